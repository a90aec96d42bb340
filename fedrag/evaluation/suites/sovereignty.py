"""Attacks on a hospital's records under the policy that ships, and what an ordinary month of questions feels of it.

Extraction, and whether somebody's records are there; each beside the same attack with controls taken away, so that it
is seen to be one. Counts of patients and the audit log are attacked elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from fedrag.core.config import Config
from fedrag.encoders import ENCODERS
from fedrag.encoders.remembering import Remembering
from fedrag.evaluation.extraction import ATTACKERS, Haul, extract
from fedrag.evaluation.made_records import PatientRecord, clinical_notes, made_records
from fedrag.evaluation.membership import Candidates, from_offers, from_releases, from_similarities, margin
from fedrag.evaluation.ordinary_month import Month, Put, compared, live, ordinary_month, together
from fedrag.evaluation.records_hospital import DAYS_ALONE, NONE, SHIPPED, Controls, Ingested
from fedrag.evaluation.report import Cell, Findings, Table
from fedrag.evaluation.run import Run

SUITE: Final = "sovereignty"
PATIENTS: Final = 520
"""Of made records: a little more than 1,000 passages, the smallest collection that the bars are for."""
CANDIDATES: Final = 150
"""Of each kind: there, and not there."""
QUESTIONS_A_DAY: Final = 8
CLINICIANS: Final = 3
ENCODER: Final = "minilm"
CONTROLS: Final = (NONE, DAYS_ALONE, SHIPPED)
_ATTACKS: Final = """\
An attacker takes everything it is offered, every day for 30 days; the share is of the collection's passages, that the \
most successful asker obtained and that all its askers obtained together."""
_MEMBERS: Final = """\
AUC of telling patients whose records are there from others; .5 is guessing. The attacker holds every candidate's \
note. Offers are asked for by an asker of its own for each candidate, so that no lockout and no quota helps."""
_INHERENT: Final = """\
Who may be given a patient's text for treatment can find out whether one patient is there, by being given it: an asker \
for each candidate does so. Nothing but a review by a person can keep this from somebody with that purpose; the share \
bounds for how many patients one asker can. The lines with fewer candidates show that one asker's few answers count \
for more where it wants to know of few."""


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Source:
    """Patients of a collection, others of the same kind who are not in it, and more that an attacker knows."""

    name: str
    there: tuple[PatientRecord, ...]
    others: tuple[PatientRecord, ...]
    known: tuple[PatientRecord, ...]


@dataclass(frozen=True, slots=True)
class Sovereignty:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        notes = _notes(run)
        return () if notes is None else (notes,)

    def evaluate(self, run: Run) -> Findings:
        tables = [table for source in sources(run) for table in _attacked(source, run)]
        return Findings(tuple(tables), notes=(_ATTACKS, _MEMBERS, _INHERENT))


def build(settings: Settings) -> Sovereignty:  # noqa: ARG001 - has none
    return Sovereignty()


def _notes(run: Run) -> Path | None:
    place = None if run.data is None else run.data / "clinical_notes" / "encounters_dev.jsonl"
    return place if place is not None and place.is_file() else None


def sources(run: Run) -> list[Source]:
    """Made records, and the data package of fictional visits where it is there."""
    made = made_records(3 * PATIENTS, run.seed)
    found = [Source("made records", made[:PATIENTS], made[PATIENTS : 2 * PATIENTS], made[2 * PATIENTS :])]
    if (notes := _notes(run)) is not None:
        visits = clinical_notes(notes)
        third = len(visits) // 3
        found.append(Source("clinical_notes", visits[: 2 * third], visits[2 * third :], made[2 * PATIENTS :]))
    return found


def _attacked(source: Source, run: Run) -> tuple[Table, ...]:
    encoder = Remembering(ENCODERS.build(ENCODER))
    candidates = min(run.limit or CANDIDATES, len(source.there), len(source.others))
    with TemporaryDirectory() as folder:
        ingested = Ingested.of(Path(folder), source.there, ENCODER, encoder)
        return (
            _extraction(source, ingested, run),
            _membership(source, ingested, candidates, run),
            _utility(source, ingested, run),
        )


def _extraction(source: Source, ingested: Ingested, run: Run) -> Table:
    a_day = min(run.limit or QUESTIONS_A_DAY, QUESTIONS_A_DAY)
    pairs = [(controls, name) for controls in CONTROLS for name in ATTACKERS]
    rows: list[tuple[Cell, ...]] = []
    with run.progress(f"extraction, {source.name}") as told:
        for done, (controls, name) in enumerate(pairs):
            told(done, len(pairs))
            with ingested.serving(controls) as hospital:
                haul = extract(hospital, ATTACKERS[name], source.known, a_day, run.seed)
                rows.append((controls.name, name, *_of(haul, hospital.passages)))
    columns = ("controls", "attack", "one asker", "all askers", "answered", "denied", "first locked on day")
    title = f"Extraction in 30 days: {source.name}, {a_day} questions a day"
    return Table(title, columns, tuple(rows), note=f"{hospital.passages:,} passages")


def _of(haul: Haul, passages: int) -> tuple[Cell, ...]:
    denied = ", ".join(f"{code} {number}" for code, number in sorted(haul.denied.items()))
    locked = "never" if haul.locked_on is None else haul.locked_on
    return haul.largest_share(passages), haul.share_of_all(passages), haul.answered, denied or "none", locked


def _membership(source: Source, ingested: Ingested, number: int, run: Run) -> Table:
    candidates = Candidates.of(source.there[:number], source.others[:number], run.seed)
    rows: list[tuple[Cell, ...]] = []
    with run.progress(f"membership, {source.name}") as told:
        told(0, 4)
        with ingested.serving(SHIPPED) as hospital:
            rows += [("offers as shipped", name, value) for name, value in from_offers(hospital, candidates).items()]
            told(1, 4)
            rows += [("baseline", name, value) for name, value in from_similarities(hospital, candidates).items()]
        told(2, 4)
        for some in sorted({min(number, 20), min(number, 100), number, min(len(source.there), len(source.others))}):
            few = Candidates.of(source.there[:some], source.others[:some], run.seed)
            with ingested.serving(SHIPPED) as hospital:
                value = from_releases(hospital, few, one_asker=True)
            rows.append(("releases as shipped", f"one asker in 30 days, {some} there and {some} not", value))
        told(3, 4)
        few = Candidates.of(source.there[: min(number, 50)], source.others[: min(number, 50)], run.seed)
        with ingested.serving(SHIPPED) as hospital:
            value = from_releases(hospital, few, one_asker=False)
        rows.append(("releases as shipped", "an asker for each candidate", value))
    note = f"{number} there and {number} not; guessing lies within .5 ± {margin(candidates.there):.3f} (95 %)"
    return Table(f"Membership: {source.name}", ("from", "score", "AUC"), tuple(rows), note)


def _utility(source: Source, ingested: Ingested, run: Run) -> Table:
    clinicians = min(run.limit or CLINICIANS, CLINICIANS)
    rows: list[tuple[Cell, ...]] = []
    with run.progress(f"ordinary months, {source.name}") as told:
        told(0, 2)
        for done, all_here in enumerate((False, True), start=1):
            months = [
                ordinary_month(source.there, np.random.default_rng((run.seed, at)), all_here=all_here)
                for at in range(clinicians)
            ]
            given = {controls.name: _lived(ingested, controls, months) for controls in _VARIED}
            for controls in _VARIED[1:]:
                pairs = zip(months, given[controls.name], given[NONE.name], strict=True)
                month = together([compared(*one) for one in pairs])
                where = "all at this hospital" if all_here else "at one of four hospitals"
                rows.append((controls.name, where, *_felt(month, clinicians)))
            told(done, 2)
    columns = (
        "controls", "patients looked up", "questions a month", "of them about records", "unaffected",
        "of those about records", "denied",
    )  # fmt: skip
    return Table(f"An ordinary month: {source.name}, {clinicians} clinicians", columns, tuple(rows))


_VARIED: Final = (NONE, SHIPPED, replace(SHIPPED, name="lockout alone", quota=NONE.quota))


def _lived(ingested: Ingested, controls: Controls, months: Sequence[Sequence[Put]]) -> list[list[frozenset[str] | str]]:
    with ingested.serving(controls) as hospital:
        return [live(hospital, month, f"clinician-{at}") for at, month in enumerate(months)]


def _felt(month: Month, clinicians: int) -> tuple[Cell, ...]:
    denied = ", ".join(f"{code} {number}" for code, number in month.codes.items())
    return (
        month.questions / clinicians,
        month.of_records / clinicians,
        month.unaffected,
        month.unaffected_of_records,
        denied or "none",
    )
