"""Numbers in the role they play in a sentence. English."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import Final

from aggregator.medicines import medicines
from aggregator.words import WORD, carries_meaning, content_words, stem
from fedrag.core.quantities import Quantity, quantities

_BOUNDED: Final = r"(?:an? )?(?:[a-z-]+ ){1,3}(?:below|above|under|over|at least|less than|more than|of) ?\d"
_CLAUSE: Final = re.compile(
    r"[,;:()](?!\d)|\b(?=(?:if|when|where|unless|because|since|although|until|while|whose|provided|down to)\b"
    rf"|with {_BOUNDED})"
)
_CONDITION: Final = re.compile(
    r"\W*(?:(?:if|when|where|unless|whose|while|until|above|below|under|at|between|for|in|provided|down to)\b"
    rf"|with {_BOUNDED})"
)
_STATED: Final = re.compile(r"\b(?:is|are|was|were|be|may|should|must|can|cannot|needs?)\b")
_CIRCUMSTANCE: Final = re.compile(r"\W*(?:above|below|under|at|between|for|in)\b")
_TOLD: Final = re.compile(
    r"(?<=\w )(?=(?:give|offer|use|start|begin|treat|aim|check|repeat|take|add|continue|stop|omit|withhold|avoid"
    r"|do not|don't|never) )"
)
_REASON: Final = re.compile(r"\s*(?:because|since|although|so that)\b")
_BELOW: Final = re.compile(r"(?:below|under|less than|fewer than|lower than|<|≤|up to|until|before|within)\W*$")
_ABOVE: Final = re.compile(
    r"(?:above|over|more than|greater than|exceeds?|>|≥|at least|after|from|reaches)\W*$"
    r"|\bdown to\W+(?:\w+\W+){0,3}$"
)
_OR_MORE: Final = re.compile(r"\W*(?:[\w%/²]+\W+){0,2}?or (?:more|over|above|higher)\b")
_OR_LESS: Final = re.compile(r"\W*(?:[\w%/²]+\W+){0,2}?or (?:less|under|below|lower)\b")
_EARLIER: Final = re.compile(r"\W*\w+ (?:before|prior to|ahead of)\b")
_LATER: Final = re.compile(r"\W*\w+ (?:after|later|following)\b")
_DAY_BEFORE: Final = re.compile(r"\bthe (?:day|evening|night) before\b")
_AFTER: Final = re.compile(r"\bafter\W*$")
_BETWEEN: Final = re.compile(r"\bbetween\W*$")
_OF_STRENGTH: Final = re.compile(r"\W*\w+ of (\d+(?:\.\d+)?) ?%")
_MOVES: Final = frozenset({"fall", "drop", "rise", "reach", "exceed", "stay", "remain"})
"""What a measure does before its bound is named; stems."""
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
    LEAD = "lead"
    """How long before something."""
    LAG = "lag"
    """How long after it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in its role: the interval `low` to `high` of `what` (a dimension, or the word that is counted), and the
    content words and medicines of its clause. Strengths are multiplied out: 100 ml of 20 % are 20 g."""

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


def clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of a normalised sentence, in order; what separates them belongs to none. Where nothing else is said,
    a circumstance is what is said."""
    found = [clause for clause in _clauses(text) if clause.text.strip(" .")]
    if any(clause.kind is ClauseKind.MAIN for clause in found):
        return tuple(found)
    return tuple(replace(one, kind=ClauseKind.MAIN) if _CIRCUMSTANCE.match(one.text) else one for one in found)


def _clauses(text: str) -> Iterator[Clause]:
    at = 0
    for part in _CLAUSE.split(text):
        start = at = text.index(part, at)
        told = _TOLD.split(part, maxsplit=1) if _CIRCUMSTANCE.match(part) else [part]
        for piece in told:
            yield Clause(at, piece, _kind(piece))
            at += len(piece)
        at = start + len(part)


def _kind(clause: str) -> ClauseKind:
    if _CONDITION.match(clause) and not (_CIRCUMSTANCE.match(clause) and _STATED.search(clause)):
        return ClauseKind.CONDITION
    return ClauseKind.REASON if _REASON.match(clause) else ClauseKind.MAIN


def figures(text: str, parts: Sequence[Clause]) -> Iterator[Figure]:
    """Every number but clock times and what stands in reasons, how often something is done, and "the day before"."""
    found = quantities(text)
    strengths = {match.start(1) for quantity in found if (match := _OF_STRENGTH.match(text, quantity.end))}
    for quantity in found:
        clause = next(clause for clause in parts if clause.holds(quantity.start))
        clock = ":" in text[max(0, quantity.start - 1) : quantity.end + 1]
        if clause.kind is not ClauseKind.REASON and not clock and quantity.start not in strengths:
            yield _figure(quantity, text, clause)
    for clause in parts:
        about, named = content_words(clause.text), medicines(clause.text)
        hours = next((hours for pattern, hours in _RATES if pattern.search(clause.text)), None)
        if hours is not None:
            yield Figure(Role.INTERVAL, "h", hours, hours, False, about, named)
        if _DAY_BEFORE.search(clause.text):
            yield Figure(Role.LEAD, "h", 24, 24, False, about, named)


def _figure(quantity: Quantity, text: str, clause: Clause) -> Figure:
    before, after = text[max(0, quantity.start - 40) : quantity.start], text[quantity.end : quantity.end + 30]
    low, high = sorted((float(quantity.first), float(quantity.last)))
    what = quantity.dimension or _counted(before, after)
    time = quantity.dimension in ("h", "month")
    strength = _OF_STRENGTH.match(text, quantity.end)
    role = Role.DOSE
    if strength and what == "l":
        what, low, high = "g", low * 10 * float(strength[1]), high * 10 * float(strength[1])
    elif _EVERY.search(before):
        role = Role.INTERVAL
    elif _FOR.search(before) and time:
        role = Role.DURATION
    elif time and _EARLIER.match(after):
        role = Role.LEAD
    elif time and (_LATER.match(after) or _AFTER.search(before)):
        role = Role.LAG
    elif _BETWEEN.search(before):
        role = Role.BOUND
    elif _OR_MORE.match(after) or _ABOVE.search(before):
        role, high = Role.BOUND, inf
    elif _OR_LESS.match(after) or _BELOW.search(before):
        role, low = Role.BOUND, -inf
    elif _LIMIT.search(before):
        role = Role.LIMIT
    condition = clause.kind is ClauseKind.CONDITION
    return Figure(role, what, low, high, condition, content_words(clause.text), medicines(clause.text))


def _counted(before: str, after: str) -> str:
    """The word a number without a unit counts: the next one, or the last one before it."""
    following = WORD.match(after.lstrip(" -"))
    if following and carries_meaning(following.group()):
        return stem(following.group())
    earlier = [stem(word) for word in WORD.findall(before) if carries_meaning(word) or word == "day"]
    return next((word for word in reversed(earlier) if word not in _MOVES), "")
