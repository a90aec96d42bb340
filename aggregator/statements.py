"""What a sentence states, as far as two hospitals could contradict each other about it. English.

A statement is read from the surface: which words it is about, for whom and by which route, which numbers it names in
which role, and whether it says do or do not. What cannot be read stays unread, and no conflict is made of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aggregator.figures import Clause, ClauseKind, Figure, clauses, figures
from aggregator.medicines import classes_of
from aggregator.preferences import preferred
from aggregator.words import WORD, content_words
from fedrag.core.quantities import normalised

MAXIMUM_STATEMENTS: Final = 50
"""Of one passage. More than an encoder's window holds; a passage of a thousand full stops must not stall an answer."""
WITHIN: Final = 5

_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\"“•-])|(?<=;)\s+|\n+")
_SURFACE: Final = re.compile(r"\s?/\s?1\.73\s?m2\b|(?<=\d)/\d{2,3}(?=\s?mmhg)")
"""Body surface that kidney function is related to, and diastolic pressures: numbers that say nothing more."""


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
    "finding": {
        "positive": _either(r"positive"),
        "negative": _either(r"negative"),
    },
    "level": {
        "low": _either(r"low\b|hypo"),
        "high": _either(r"high\b|hyper"),
    },
    "moment": {
        "before": _either(r"before|prior to"),
        "after": _either(r"after\b|following"),
    },
    "severity": {
        "mild": _either(r"mild|minor|uncomplicated"),
        "moderate": _either(r"moderate"),
        "severe": _either(r"severe|major|life-threatening"),
    },
}
"""Ways of doing the same thing; two statements that name different ones need not disagree."""

_NEGATIVE: Final = _either(
    r"not\b|nothing\b|\w+n['’]t\b|never\b|no\b(?! more| later| less| longer than)|nor\b|cannot|avoid|contraindicat|stop"
    r"|switch(?:ed)? off|withh|omit|discontinu|hold\b|forbid|prohibit|exclu"
)
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
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
    denied: frozenset[str]
    """Of these, the ones within WITHIN words of one that says do not."""
    preferred: frozenset[str]
    """What it says to use first."""


def statements(text: str, heading: str) -> tuple[Statement, ...]:
    """The sentences of a passage, up to MAXIMUM_STATEMENTS; `heading` says what they are about where they do not."""
    sentences = [sentence.strip() for sentence in _SENTENCE.split(text) if sentence.strip()]
    return tuple(_statement(sentence, normalised(heading)) for sentence in sentences[:MAXIMUM_STATEMENTS])


def _statement(sentence: str, heading: str) -> Statement:
    text = _SURFACE.sub("", normalised(sentence))
    parts = clauses(text)
    negative = [_NOT_STOPPED.sub("", clause.text) for clause in parts if _says_no(clause)]
    return Statement(
        text=sentence,
        words=_words_of(text),
        scopes=frozenset(_scopes(text, heading)),
        manners=frozenset(
            (kind, name) for kind, ways in _MANNERS.items() for name, pattern in ways.items() if pattern.search(text)
        ),
        figures=tuple(figures(text, parts)),
        negated=frozenset().union(*map(_words_of, negative)) if negative else None,
        denied=frozenset().union(*map(_denied, negative)),
        preferred=preferred(text),
    )


def _scopes(text: str, heading: str) -> Iterator[str]:
    for name, pattern in _SCOPES.items():
        named = pattern.search(text) or pattern.search(heading)
        if named and not (name in _OTHERS and _OTHERS[name].search(text)):
            yield name


def _words_of(text: str) -> frozenset[str]:
    return content_words(text) | classes_of(text)


def _says_no(clause: Clause) -> bool:
    return clause.kind is ClauseKind.MAIN and _NEGATIVE.search(_NOT_STOPPED.sub("", clause.text)) is not None


def _denied(text: str) -> frozenset[str]:
    """What stands within WITHIN words of a word that says do not."""
    near: list[str] = []
    for match in _NEGATIVE.finditer(text):
        near += WORD.findall(text[: match.start()])[-WITHIN:]
        near += WORD.findall(text[match.end() :].lstrip(_LETTERS))[:WITHIN]
    return _words_of(" ".join(near))
