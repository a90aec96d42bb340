"""Recorded answers: what several sources said to the same questions, and how they reasoned.

A method sees a question, its options and what each source answered; never the right answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """`choice` is None where no option was chosen, or the call failed."""

    choice: str | None
    reasoning: str


@dataclass(frozen=True, slots=True)
class RecordedQuestion:
    id: str
    group: str
    text: str
    options: Mapping[str, str]
    answers: Mapping[str, RecordedAnswer]


@dataclass(frozen=True, slots=True)
class RecordedTask:
    """`best` is the source that ties go to; `order` is whom to believe first, second, …; `pair` are the two whose best
    choice is drawn as an oracle. `gold` by question id is read here and by no method."""

    suite: str
    questions: tuple[RecordedQuestion, ...]
    gold: Mapping[str, str]
    best: str
    order: tuple[str, ...]
    pair: tuple[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vote:
    choice: str | None
    confidence: float


def answers_of(arms: Mapping[str, Any], traces: Mapping[str, str]) -> dict[str, RecordedAnswer]:
    return {name: RecordedAnswer(arm["choice"], traces.get(name, "")) for name, arm in arms.items()}
