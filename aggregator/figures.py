"""Numbers in the role they play in a sentence. English."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final

from aggregator.words import WORD, carries_meaning, content_words, stem
from fedrag.core.quantities import Quantity, quantities, substances

_CLAUSE: Final = re.compile(r"[,;:()](?!\d)|\b(?=(?:if|when|where|unless|because|since|although|until|while|whose)\b)")
_CONDITION: Final = re.compile(r"\W*(?:if|when|where|unless|whose|while|until|above|below|under|at|between|for)\b")
_REASON: Final = re.compile(r"\s*(?:because|since|although|so that)\b")
_BELOW: Final = re.compile(r"(?:below|under|less than|fewer than|lower than|<|≤|up to|down to|until|before|within)\W*$")
_ABOVE: Final = re.compile(r"(?:above|over|more than|greater than|exceeds?|>|≥|at least|after|from|reaches)\W*$")
_OR_MORE: Final = re.compile(r"\W*(?:[\w%/²]+\W+){0,2}?or (?:more|over|above|higher)\b")
_OR_LESS: Final = re.compile(r"\W*(?:[\w%/²]+\W+){0,2}?or (?:less|under|below|lower)\b")
_EVERY: Final = re.compile(r"(?:every|each)\W*$")
_FOR: Final = re.compile(r"\b(?:for|over)(?: (?:at least|up to|a total of|another))?\W*$")
_LIMIT: Final = re.compile(r"(?:maximum|max|exceed|not more than|no more than|up to|total)\W*(?:\w+\W+){0,2}$")
_RATES: Final = (  # the first that fits: "twice daily" before "daily"
    (re.compile(r"\b(?:twice (?:a day|daily)|two times (?:a day|daily)|bd)\b"), 12.0),
    (re.compile(r"\b(?:three times (?:a day|daily)|thrice daily|tds)\b"), 8.0),
    (re.compile(r"\b(?:four times (?:a day|daily)|qds)\b"), 6.0),
    (re.compile(r"\b(?:weekly|once a week|every week)\b"), 168.0),
    (re.compile(r"\b(?:once (?:a day|daily)|daily|every day|each day|nightly)\b"), 24.0),
)


class ClauseKind(StrEnum):
    MAIN = "main"
    CONDITION = "condition"
    REASON = "reason"


class Role(StrEnum):
    DOSE = "dose"
    INTERVAL = "interval"
    DURATION = "duration"
    LIMIT = "limit"
    BOUND = "bound"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in its role: the interval `low` to `high` of `what` (a dimension, or the word that is counted), and the
    content words and medicines of its clause."""

    role: Role
    what: str
    low: float
    high: float
    condition: bool
    about: frozenset[str]
    substances: frozenset[str]

    def meets(self, other: "Figure") -> bool:
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True, slots=True)
class Clause:
    """A stretch of a sentence; a condition says when, a reason why."""

    start: int
    text: str
    kind: ClauseKind

    def holds(self, position: int) -> bool:
        return self.start <= position < self.start + len(self.text)


def clauses(text: str) -> Iterator[Clause]:
    """The clauses of a normalised sentence, in order; what separates them belongs to none."""
    at = 0
    for part in _CLAUSE.split(text):
        start = text.index(part, at)
        yield Clause(start, part, _kind(part))
        at = start + len(part)


def _kind(clause: str) -> ClauseKind:
    if _CONDITION.match(clause):
        return ClauseKind.CONDITION
    return ClauseKind.REASON if _REASON.match(clause) else ClauseKind.MAIN


def figures(text: str, parts: Sequence[Clause]) -> Iterator[Figure]:
    """Every number but clock times and what stands in reasons, and how often something is done."""
    for quantity in quantities(text):
        clause = next(clause for clause in parts if clause.holds(quantity.start))
        clock = ":" in text[max(0, quantity.start - 1) : quantity.end + 1]
        if clause.kind is not ClauseKind.REASON and not clock:
            yield _figure(quantity, text, clause)
    for clause in parts:
        hours = next((hours for pattern, hours in _RATES if pattern.search(clause.text)), None)
        if hours is not None:
            about = content_words(clause.text)
            yield Figure(Role.INTERVAL, "h", hours, hours, False, about, substances(clause.text))


def _figure(quantity: Quantity, text: str, clause: Clause) -> Figure:
    before, after = text[max(0, quantity.start - 40) : quantity.start], text[quantity.end : quantity.end + 30]
    low, high = sorted((float(quantity.first), float(quantity.last)))
    role = Role.DOSE
    if _EVERY.search(before):
        role = Role.INTERVAL
    elif _FOR.search(before) and quantity.dimension in ("h", "month"):
        role = Role.DURATION
    elif _OR_MORE.match(after) or _ABOVE.search(before):
        role, high = Role.BOUND, inf
    elif _OR_LESS.match(after) or _BELOW.search(before):
        role, low = Role.BOUND, -inf
    elif _LIMIT.search(before):
        role = Role.LIMIT
    what = quantity.dimension or _counted(before, after)
    condition = clause.kind is ClauseKind.CONDITION
    return Figure(role, what, low, high, condition, content_words(clause.text), substances(clause.text))


def _counted(before: str, after: str) -> str:
    """The word a number without a unit counts: the next one, or the last one before it."""
    following = WORD.match(after.lstrip(" -"))
    if following and carries_meaning(following.group()):
        return stem(following.group())
    earlier = [word for word in WORD.findall(before) if carries_meaning(word) or word == "day"]
    return stem(earlier[-1]) if earlier else ""
