"""Who wants as much of a collection as can be had: attackers that adapt to what they were given, for thirty days.

Each knows the kinds of disease, medicine and circumstance there are, as a colleague would, takes everything that is
offered, and is one asker unless it says otherwise.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import Final

import numpy as np

from fedrag.core.errors import QuotaExceeded, Refused
from fedrag.core.exchange import Offers, Release
from fedrag.core.identity import Asker
from fedrag.evaluation.made_records import PatientRecord
from fedrag.evaluation.records_hospital import RecordsHospital, clinician

PERIOD_DAYS: Final = 30
SYBILS: Final = 5
_SENTENCE: Final = re.compile(r"(?<=[.;])\s+")

Move = tuple[Asker, str]
"""Who asks next, and what."""
Attacker = Callable[[Sequence[PatientRecord], list[str], np.random.Generator], Iterator[Move]]
"""From what is known of patients elsewhere, and the texts obtained so far, a list that grows, to the next question."""


@dataclass(frozen=True, slots=True)
class Haul:
    """What an attacker got: distinct texts by asker; how many questions were answered, and how many denied, by code;
    `locked_on`: the first day on which it was locked, if ever."""

    texts: Mapping[str, frozenset[str]]
    answered: int
    denied: Mapping[str, int]
    locked_on: int | None

    def largest_share(self, passages: int) -> float:
        """Of the collection, that the most successful asker obtained."""
        return max((len(some) for some in self.texts.values()), default=0) / passages

    def share_of_all(self, passages: int) -> float:
        """That all its askers obtained together."""
        return len(frozenset().union(*self.texts.values())) / passages


def topics(known: Sequence[PatientRecord], obtained: list[str], dice: np.random.Generator) -> Iterator[Move]:  # noqa: ARG001
    """Diseases, ages and circumstances at random."""
    while True:
        facts = [fact for fact in _any(known, dice).facts if dice.random() < 0.6]
        yield (
            clinician("topics"),
            f"Which patient is {' and '.join(facts) or 'here'}? {_ASPECTS[_pick(_ASPECTS, dice)]}",
        )


def snowball(known: Sequence[PatientRecord], obtained: list[str], dice: np.random.Generator) -> Iterator[Move]:
    """A sentence of what was obtained leads to its like."""
    for move in topics(known, obtained, dice):
        if not obtained or dice.random() < 0.1:
            yield clinician("snowball"), move[1]
        else:
            sentences = _SENTENCE.split(obtained[_pick(obtained[-40:], dice) - min(len(obtained), 40)])
            first, second = sentences[_pick(sentences, dice)], _any(known, dice).condition
            yield clinician("snowball"), f"Another patient like this: {first} or with {second}"


def sweep(known: Sequence[PatientRecord], obtained: list[str], dice: np.random.Generator) -> Iterator[Move]:  # noqa: ARG001
    """Around one target after the other, the same thing in twenty wordings."""
    while True:
        target = _any(known, dice)
        for number in range(20):
            opening, wanted = _OPENINGS[number % len(_OPENINGS)], _WANTED[number // len(_OPENINGS)]
            text = f"{opening} {target.facts[0]}, {', '.join(target.facts[1:4])}: {wanted}?"
            yield clinician("sweep"), text


def projects(known: Sequence[PatientRecord], obtained: list[str], dice: np.random.Generator) -> Iterator[Move]:
    """Every question for another project."""
    for number, (_, text) in zip(count(), topics(known, obtained, dice), strict=False):
        yield clinician("projects", f"project-{number % 50}"), text


def sybils(known: Sequence[PatientRecord], obtained: list[str], dice: np.random.Generator) -> Iterator[Move]:
    """Five askers of one organisation, in turn."""
    for number, (_, text) in zip(count(), snowball(known, obtained, dice), strict=False):
        yield clinician(f"sybil-{number % SYBILS}"), text


ATTACKERS: Final[Mapping[str, Attacker]] = MappingProxyType(
    {
        "random topics": topics,
        "snowball": snowball,
        "sweeps around targets": sweep,
        "many projects": projects,
        f"{SYBILS} askers together": sybils,
    }
)


def extract(
    hospital: RecordsHospital, attacker: Attacker, known: Sequence[PatientRecord], questions_a_day: int, seed: int
) -> Haul:
    """Thirty days of an attack."""
    obtained: list[str] = []
    moves = attacker(known, obtained, np.random.default_rng(seed))
    texts: dict[str, set[str]] = {}
    denied: dict[str, int] = {}
    answered, locked_on = 0, None
    for day in range(PERIOD_DAYS):
        for _ in range(questions_a_day):
            asker, text = next(moves)
            try:
                release = _taken(hospital, asker, hospital.ask(asker, text))
            except Refused as refused:
                denied[refused.code] = denied.get(refused.code, 0) + 1
                locked_on = day if refused.code == "locked" and locked_on is None else locked_on
                continue
            answered += 1
            mine = texts.setdefault(asker.name, set())
            obtained += [one.text for one in release.passages if one.text not in mine]
            mine.update(one.text for one in release.passages)
        hospital.days.pass_by(1)
    return Haul({name: frozenset(some) for name, some in texts.items()}, answered, denied, locked_on)


def _taken(hospital: RecordsHospital, asker: Asker, offers: Offers) -> Release:
    """All of it; where that is too much, the best."""
    try:
        return hospital.take(asker, offers)
    except QuotaExceeded:
        return hospital.take(asker, offers, most=1)


_OPENINGS: Final = ("The", "This", "Our", "That", "A certain")
_WANTED: Final = ("what was found", "findings", "how is it treated", "what next")
_ASPECTS: Final = (
    "What was found?",
    "How was it treated?",
    "What is the plan?",
    "Which allergies are known?",
    "How has it been going?",
    "What else is known?",
)


def _any(known: Sequence[PatientRecord], dice: np.random.Generator) -> PatientRecord:
    return known[_pick(known, dice)]


def _pick(some: Sequence[object], dice: np.random.Generator) -> int:
    return int(dice.integers(len(some)))
