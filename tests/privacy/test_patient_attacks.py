"""Attacks on a collection of records under the shipped rule for treatment, small; `fedrag evaluate sovereignty` runs
them whole.

Oracles: each attack succeeds where the controls are taken away, so it is an attack; an ordinary month is not touched.
"""

from dataclasses import replace

import numpy as np
import pytest

from fedrag.core.errors import Refused
from fedrag.encoders import ENCODERS
from fedrag.encoders.remembering import Remembering
from fedrag.evaluation.extraction import ATTACKERS, extract
from fedrag.evaluation.made_records import made_records
from fedrag.evaluation.membership import Candidates, auc, from_offers, from_releases, from_similarities
from fedrag.evaluation.ordinary_month import compared, live, ordinary_month
from fedrag.evaluation.records_hospital import NONE, SHIPPED, Controls, Ingested, clinician, shipped_rule

PATIENTS, SHARE = 120, 0.02
TWO_PER_CENT = replace(SHIPPED, quota=f"share_per_30_days = {SHARE}")


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    encoder = Remembering(ENCODERS.build("hashing"))
    return Ingested.of(tmp_path_factory.mktemp("records"), made_records(PATIENTS, 1), "hashing", encoder)


def test_the_controls_are_those_that_ship() -> None:
    """The rule is the one in the file that a new node is given; a share of at most 2 % of the collection."""
    assert 'purposes = ["treatment"]' in shipped_rule("treatment")
    share = float(shipped_rule("treatment").split("share_per_30_days = ")[1].split(" ")[0])
    assert 0 < share <= SHARE


@pytest.mark.parametrize("name", ATTACKERS)
def test_nobody_extracts_more_than_two_per_cent_in_thirty_days(ingested: Ingested, name: str) -> None:
    """Without controls the same questions get more."""
    known, shares = made_records(100, 9), {}
    for controls in (NONE, TWO_PER_CENT):
        with ingested.serving(controls) as hospital:
            haul = extract(hospital, ATTACKERS[name], known, questions_a_day=1, seed=3)
            shares[controls.name] = haul.largest_share(hospital.passages)
            assert haul.answered > 0
    assert shares["as shipped"] <= SHARE
    assert shares["none"] > shares["as shipped"]


def test_offers_do_not_tell_who_is_there(ingested: Ingested) -> None:
    """Number, bytes and probabilities are the same for all; similarities, which other classes tell, tell it at once."""
    there = made_records(PATIENTS, 1)[:8]
    candidates = Candidates.of(there, made_records(PATIENTS + 8, 1)[PATIENTS:], 5)
    with ingested.serving(SHIPPED) as hospital:
        told = from_offers(hospital, candidates)
        assert from_similarities(hospital, candidates)["similarity of the best passage (other classes)"] > 0.95
    assert told["number of offers"] == 0.5
    assert told["bytes of the answer"] == 0.5
    assert abs(told["probability told, whole note"] - 0.5) <= 0.05
    assert abs(told["probability told, mean of five questions"] - 0.5) <= 0.05


def test_one_asker_learns_little_about_who_is_there_from_releases(ingested: Ingested) -> None:
    """Of whom it asks about, it finds out as many as its share of the collection lets it; an asker for each candidate
    finds out all, which shows that only the share stands in the way."""
    there = made_records(PATIENTS, 1)
    candidates = Candidates.of(there, made_records(2 * PATIENTS, 1)[PATIENTS:], 5)
    with ingested.serving(TWO_PER_CENT) as hospital:
        assert from_releases(hospital, candidates, one_asker=True) <= 0.55
    few = Candidates.of(there[:10], made_records(PATIENTS + 10, 1)[PATIENTS:], 5)
    with ingested.serving(TWO_PER_CENT) as hospital:
        assert from_releases(hospital, few, one_asker=False) > 0.95


def test_an_ordinary_month_is_not_touched(ingested: Ingested) -> None:
    """Of all questions of a clinician at least 95 %, where the share is as many passages as it is in a collection of
    1,000; and none by the lockout."""
    month = made_records(PATIENTS, 1)
    months = [ordinary_month(month, np.random.default_rng(7), all_here=False)]
    given = {}
    for controls in (NONE, replace(SHIPPED, quota="share_per_30_days = 0.085")):
        with ingested.serving(controls) as hospital:
            given[controls.name] = [live(hospital, month, f"dr-{at}") for at, month in enumerate(months)]
    made = [compared(*one) for one in zip(months, given["as shipped"], given["none"], strict=True)]
    assert all(one.of_records >= 7 for one in made)
    assert sum(one.affected for one in made) <= 0.05 * sum(one.questions for one in made)
    assert not any("locked" in one.codes for one in made)


def test_what_is_asked_again_in_the_same_words_is_free(ingested: Ingested) -> None:
    """Thirty times the same passages in the same order; another question finds the share used up."""
    record = made_records(PATIENTS, 1)[3]
    small = Controls("two passages", "share_per_30_days = 0.015, per_asker_per_day = 3", SHIPPED.lockout)
    asker = clinician("ann")
    with ingested.serving(small) as hospital:
        first = hospital.take(asker, hospital.ask(asker, record.notes[0]))
        assert 1 <= len(first.passages) <= 3
        for _ in range(30):
            again = hospital.take(asker, hospital.ask(asker, record.notes[0]))
            assert [one.text for one in again.passages] == [one.text for one in first.passages]
        for other in made_records(PATIENTS, 1)[4:8]:
            try:
                hospital.take(asker, hospital.ask(asker, other.notes[0]))
            except Refused as refused:
                assert refused.code in ("share_quota", "asker_quota", "patient_quota")  # noqa: PT017 - some of them may still fit
                return
    pytest.fail("nothing was charged")


def test_the_share_is_one_of_patients_too(ingested: Ingested) -> None:
    """Who takes one passage of each patient gets those of 2 % of the patients, two of 120, not of 2 % of the passages,
    which are more; what was given is given again."""
    asker, met, codes = clinician("ann"), [], []
    with ingested.serving(TWO_PER_CENT) as hospital:
        assert int(SHARE * hospital.passages) > int(SHARE * PATIENTS) == 2
        for record in made_records(PATIENTS, 1)[:12]:
            offers = hospital.ask(asker, record.notes[0])
            try:
                met.append((record, hospital.take(asker, offers, most=1).passages[0].text))
            except Refused as refused:
                codes.append(refused.code)
        assert (len(met), set(codes)) == (2, {"patient_quota"})
        record, text = met[0]
        again = hospital.take(asker, hospital.ask(asker, record.notes[0]), most=1)
        assert [one.text for one in again.passages] == [text]


def test_an_auc_counts_pairs() -> None:
    """By hand: of four pairs two right, one tied."""
    assert auc([1.0, 0.5, 0.5, 0.0], np.array([True, True, False, False])) == (3 + 0.5) / 4
    assert auc([1.0, 1.0], np.array([True, False])) == 0.5
