"""What a sentence states, as far as two hospitals could contradict each other about it. English.

A statement is read from the surface: which words it is about, for whom and by which route, which numbers it names in
which role, and whether it says do or do not. What cannot be read stays unread, and no conflict is made of it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from aggregator.figures import Clause, ClauseKind, Figure, clauses, figures
from aggregator.words import content_words
from fedrag.core.quantities import normalised

MAXIMUM_STATEMENTS: Final = 50
"""Of one passage. More than an encoder's window holds; a passage of a thousand full stops must not stall an answer."""

_SENTENCE: Final = re.compile(r"(?<=[.!?;])\s+(?=[A-Z(\"“•-])|\n+")


def _either(text: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{text})")


_SCOPES: Final = {
    "child": _either(r"child|infant|neonat|newborn|bab(?:y|ies)|paediatric|pediatric|toddler|under 1[0-8]\b|teen"),
    "pregnancy": _either(r"pregnan|antenatal|obstetric|trimester|gestation|eclampsia|labour|caesarean|after birth"),
    "breastfeeding": _either(r"breast-?feed|lactat"),
    "transplant": _either(r"transplant|graft"),
    "dialysis": _either(r"dialysis|haemofiltration"),
}
"""Groups whose treatment is its own: a statement about one says nothing about the others."""

_OTHERS: Final = {"child": _either(r"adults?\b"), "pregnancy": _either(r"(?:non-|not )pregnant")}
"""A sentence that names these is not about the group, whatever its heading says."""

_MANNERS: Final = {
    "route": {
        "oral": _either(r"oral|by mouth|tablet|capsule|swallow|po\b"),
        "intravenous": _either(r"intraven|iv\b|infusion|into a vein|by vein|bolus"),
        "intramuscular": _either(r"intramusc|im\b|muscle"),
        "subcutaneous": _either(r"subcut|sc\b|under the skin"),
        "inhaled": _either(r"inhal|nebul|spacer"),
        "arterial": _either(r"arter(?:y|ial)|coronary angiograph"),
        "rectal": _either(r"rectal|pr\b"),
        "topical": _either(r"topical|cream|ointment"),
    },
    "purpose": {
        "prevention": _either(r"prevent|prophyla"),
        "treatment": _either(r"treat|therap"),
    },
    "phase": {
        "loading": _either(r"loading|first dose|starting dose|initial"),
        "maintenance": _either(r"maintenance|maintain|thereafter"),
    },
    "severity": {
        "mild": _either(r"mild|minor|uncomplicated"),
        "moderate": _either(r"moderate"),
        "severe": _either(r"severe|major|life-threatening"),
    },
}
"""Ways of doing the same thing; two statements that name different ones need not disagree."""

_NEGATIVE: Final = _either(
    r"not\b|\w+n['’]t\b|never\b|no\b(?! more| later| less| longer than)|nor\b|cannot|avoid|contraindicat|stop"
    r"|switch(?:ed)? off|withh|omit|discontinu|hold\b|forbid|prohibit|exclu"
)
_NOT_STOPPED: Final = _either(r"(?:not|never)\W+(?:\w+\W+)?(?:stop|omit|withh|avoid|discontinu|switch|exclu)\w*")


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    words: frozenset[str]
    scopes: frozenset[str]
    manners: frozenset[tuple[str, str]]
    figures: tuple[Figure, ...]
    negated: frozenset[str] | None
    """The content words of the clauses that say do not; None when it says do."""


def statements(text: str, heading: str) -> tuple[Statement, ...]:
    """The sentences of a passage, up to MAXIMUM_STATEMENTS; `heading` says what they are about where they do not."""
    sentences = [sentence.strip() for sentence in _SENTENCE.split(text) if sentence.strip()]
    return tuple(_statement(sentence, normalised(heading)) for sentence in sentences[:MAXIMUM_STATEMENTS])


def _statement(sentence: str, heading: str) -> Statement:
    text = normalised(sentence)
    parts = tuple(clauses(text))
    return Statement(
        text=sentence,
        words=content_words(text),
        scopes=frozenset(_scopes(text, heading)),
        manners=frozenset(
            (kind, name) for kind, ways in _MANNERS.items() for name, pattern in ways.items() if pattern.search(text)
        ),
        figures=tuple(figures(text, parts)),
        negated=_negated(parts),
    )


def _scopes(text: str, heading: str) -> Iterator[str]:
    for name, pattern in _SCOPES.items():
        named = pattern.search(text) or pattern.search(heading)
        if named and not (name in _OTHERS and _OTHERS[name].search(text)):
            yield name


def _negated(parts: Sequence[Clause]) -> frozenset[str] | None:
    negative = [
        clause.text
        for clause in parts
        if clause.kind is ClauseKind.MAIN and _NEGATIVE.search(_NOT_STOPPED.sub("", clause.text))
    ]
    return content_words(" ".join(negative)) if negative else None
