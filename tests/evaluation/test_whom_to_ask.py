"""Recall against hospitals asked, on a corpus small enough to know who holds what; and that no fold sees itself."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from fedrag.core.collection import EncoderIdentity
from fedrag.encoders import ENCODERS
from fedrag.evaluation import routing, routing_tables
from fedrag.evaluation.contenders import fold_of
from fedrag.evaluation.corpus import Corpus, Query
from fedrag.evaluation.routing import RoutingContenders
from fedrag.evaluation.routing_bound import LEVELS, fitted
from fedrag.evaluation.routing_tables import ORACLE, PRODUCT, findings, steps_of
from fedrag.evaluation.run import Half, Run
from fedrag.evaluation.selection import Request, SelectionTask, Selectors
from fedrag.evaluation.splits import Document

DIMENSION = 8
ENCODER = EncoderIdentity(
    name="made",
    weights_sha256="c" * 64,
    precision="fp32",
    dimension=DIMENSION,
    maximum_tokens=64,
    languages=("en",),
)
HOSPITALS = ("east", "north", "west")


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def corpus(answers_at=None, questions=60, seed=0):
    """Three hospitals, each with forty passages about a direction of its own. Question i is about direction i mod 3 and
    is answered by the nearest passage there; `answers_at[i]` puts the answer to question i elsewhere."""
    random = np.random.default_rng(seed)
    centres = np.eye(DIMENSION)[:3]
    about = np.repeat(np.arange(3), 40)
    vectors = unit(centres[about] + 0.2 * random.standard_normal((120, DIMENSION)))
    asked = unit(centres[np.arange(questions) % 3] + 0.2 * random.standard_normal((questions, DIMENSION)))
    documents = tuple(
        Document(f"d{at}", HOSPITALS[group], "", f"passage {at}", f"passage {at}", f"d{at}")
        for at, group in enumerate(about)
    )
    grades = {}
    for at, query in enumerate(asked):
        place = (answers_at or {}).get(at, at % 3)
        held = np.flatnonzero(about == place)
        grades[f"q{at}"] = {f"d{held[np.argmax(vectors[held] @ query)]}": 1}
    queries = tuple(Query(f"q{at}", f"question {at}") for at in range(questions))
    return Corpus(documents, vectors, queries, asked, grades)


@pytest.fixture
def quick(monkeypatch):
    """Without the baseline that takes seconds to train."""
    monkeypatch.setattr(routing, "LEARNED_UP_TO", 0)


def test_one_hospital_is_enough_where_one_holds_everything(quick):
    """The right hospital comes first for every question, and is all that is asked; a constant choice is right a third
    of the time."""
    made = corpus()
    contenders = RoutingContenders(made, ENCODER, 0)
    results = [contenders.line_up(query) for query in made.queries]
    recalls, best, differences, contacts, bounds, leaks = findings(results, 3, 0).tables
    rows = {row[0]: row[1:] for row in recalls.rows}
    assert rows[PRODUCT] == pytest.approx((1, 1, 1))
    assert rows[ORACLE] == pytest.approx((1, 1, 1))
    assert rows["popularity prior"][0] == pytest.approx(1 / 3, abs=0.1)
    assert {row[0]: row[2] for row in contacts.rows}[PRODUCT] == pytest.approx(1)
    assert [row[-1] for row in best.rows] == ["level", "level", "level"]
    assert {row[2] for row in best.rows} == {"one centroid each"}
    assert {row[0]: row[2] for row in bounds.rows}[PRODUCT] == pytest.approx(1)
    assert next(row for row in differences.rows if row[0] == "popularity prior")[1].startswith("+0.")
    assert {row[0] for row in leaks.rows} >= {PRODUCT, "broadcast"}


def test_what_a_set_finds_is_what_its_merged_ten_hold(quick):
    """Against a search of the same hospitals' passages, written out."""
    made = corpus()
    contenders = RoutingContenders(made, ENCODER, 0)
    owners = np.array(made.owners)
    for at in range(0, 60, 7):
        found = routing.Found(contenders, made.asked[at], made.grades[f"q{at}"])
        for nodes in (("east",), ("north", "west"), HOSPITALS):
            held = np.flatnonzero(np.isin(owners, nodes))
            ten = held[np.argsort(-(made.vectors[held] @ made.asked[at]), kind="stable")[:10]]
            expected = float(any(f"d{one}" in made.grades[f"q{at}"] for one in ten))
            assert found.recall(nodes) == expected


def test_no_fold_learns_from_itself(quick):
    """The answers to one fold's questions are put elsewhere: what is learned for that fold stays the same to the last
    count, and what is learned for the others does not."""
    fold = fold_of("q0")
    moved = {at: (at + 1) % 3 for at in range(60) if fold_of(f"q{at}") == fold}
    before, after = (RoutingContenders(made, ENCODER, 0) for made in (corpus(), corpus(answers_at=moved)))
    for number in range(5):
        first, second = (one.fold(number) for one in (before, after))
        learned = [one.mixture._learned.as_experience() for one in (first, second)]
        assert (learned[0] == learned[1]) == (number == fold)
        texts = [one.tfidf.scores("question 1") for one in (first, second)]
        assert (texts[0] == texts[1]) == (number == fold)


def test_the_best_other_is_named_at_every_number_with_a_verdict():
    """Of ten answers ours finds 9, 5, 5 and 5, and at the second number one of 200 questions more; a rival 5, 5, 9 and
    5, another one: ahead, level (it may be luck), behind, level, and the rival is the one named."""
    tenths = {PRODUCT: (9, 5, 5, 5), "RAGRoute": (5, 5, 9, 5), "popularity prior": (1, 1, 1, 1), ORACLE: (10,) * 4}
    results = [
        {"curves": {name: [float(at % 10 < one) for one in found] for name, found in tenths.items()}}
        for at in range(200)
    ]
    results[5]["curves"][PRODUCT][1] = 1.0
    made = routing_tables._best_other(results, (1, 2, 3, 4), seed=0)
    assert [(row[0], row[2], row[-1]) for row in made.rows] == [
        (1, "RAGRoute", "ahead"),
        (2, "RAGRoute", "level"),
        (3, "RAGRoute", "behind"),
        (4, "RAGRoute", "level"),
    ]
    assert made.rows[1][4].startswith("+0.005")
    assert made.note.startswith("ahead at 1; level at 2, 4; behind at 3.")


def known(made):
    contenders = RoutingContenders(made, ENCODER, 0)
    return contenders._known_to_all()


def test_the_bound_finds_who_was_of_use():
    """Whoever answers is known exactly by direction: every level ranks the right hospital first for nearly all
    questions of a fold that it was not fitted to."""
    all_known = known(corpus())
    for level, probabilities in fitted(all_known, 0).items():
        held_out = all_known.folds == 0
        right = probabilities[held_out].argmax(axis=1) == all_known.useful[held_out].argmax(axis=1)
        assert right.mean() > 0.95, level


def test_the_bound_learns_nothing_from_the_fold_it_is_judged_on():
    """Other answers to one fold's questions: its probabilities stay as they were; those of other folds do not."""
    moved = {at: (at + 1) % 3 for at in range(60) if fold_of(f"q{at}") == 0}
    before, after = known(corpus()), known(corpus(answers_at=moved))
    for level in LEVELS:
        first, second = (fitted(one, 0)[level][before.folds == 0] for one in (before, after))
        assert (first == second).all(), level
    first, second = (fitted(one, 1)["outcomes"][before.folds == 1] for one in (before, after))
    assert (first != second).any()


def test_terms_in_the_clear_name_who_alone_has_them():
    """A word that one hospital's documents have, another that all have."""
    made = corpus()
    documents = tuple(
        replace(one, text=f"passage {'zygoma' if one.node == 'north' else 'common'}") for one in made.documents
    )
    queries = (Query("q0", "zygoma"), Query("q1", "passage"), *made.queries[2:])
    terms = known(replace(made, documents=documents, queries=queries)).terms[..., 0]
    assert terms[0].argmax() == HOSPITALS.index("north")
    assert terms[0].min() < 0 < terms[0].max()
    assert terms[1] == pytest.approx(0, abs=1e-6)


def test_many_hospitals_are_looked_at_in_doublings():
    """Every number up to sixteen, then powers of two."""
    assert steps_of(3) == (1, 2, 3)
    assert steps_of(64) == (1, 2, 4, 8, 16, 32, 64)
    assert steps_of(1000)[-1] == 512


def test_an_observer_names_the_topic_of_who_is_asked_and_nothing_of_a_broadcast():
    """Three topics of 30, 20 and 10 questions, each asked of a hospital of its own: all named. Asked of all hospitals:
    always the commonest, half of them right. By lot: no better than that."""
    topics = np.repeat([0, 1, 2], [30, 20, 10])
    folds = np.arange(60) % 5
    own = np.eye(3)[topics]
    lot = np.random.default_rng(0).integers(2, size=(60, 3)).astype(float)
    assert (routing_tables.topics_named(own, topics, folds) == topics).all()
    assert (routing_tables.topics_named(np.ones((60, 3)), topics, folds) == 0).all()
    assert (routing_tables.topics_named(lot, topics, folds) == topics).mean() < 0.65


def test_what_is_learned_without_an_origin_knows_nothing_of_it(tmp_path):
    """Other judgements of one origin's requests, and what was learned without it stays the same to the last count; what
    was learned with it does not."""

    @contextmanager
    def silent(what):
        yield lambda done, total: None

    encoder = ENCODERS.build("hashing", {"dimension": 32})
    run = Run(data=None, limit=None, half=Half.SEEN, output=tmp_path, progress=silent, command="test", identity="one")
    sources = {"Lung": "asthma and lung disease", "Skin": "eczema and skin disease"}

    def selectors(judged):
        requests = tuple(
            Request(
                f"r{at}", f"question {at}", "one" if at % 2 else "two", judged if at % 2 else {"Lung": 1, "Skin": 9}
            )
            for at in range(20)
        )
        return Selectors(SelectionTask("small", sources, requests), run, encoder)

    before, after = selectors({"Lung": 9, "Skin": 0}), selectors({"Lung": 0, "Skin": 9})
    for origin, same in (("one", True), ("two", False)):
        learned = [made._fitted("leave origin out", origin) for made in (before, after)]
        experience = [one.policy._learned.as_experience() for one in learned]
        assert (experience[0] == experience[1]) == same
        assert experience[0].regressions
        assert (learned[0].prior == learned[1].prior) == same
        assert (learned[0].tfidf.scores("question 3") == learned[1].tfidf.scores("question 3")) == same
