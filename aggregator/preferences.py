"""Which medicine or procedure a sentence names as the one to use first. English."""

import re
from typing import Final

from aggregator.medicines import classes_of, medicines
from aggregator.words import WORD, carries_meaning, content_words, stem

_RANK: Final = (
    r"(?:first[- ](?:choice|line)(?! (?:for|in|if|when)\b)(?: \w+)?|first[- ](?:choice|line)|(?:drug|medicine|treatment"
    r"|antibiotic|agent|test|method) of (?:first )?choice|first (?:drug|medicine|treatment|antibiotic|agent))"
)
_SUBJECT: Final = re.compile(rf"(?P<what>[^,;:]*?)\b(?:is|are|remains?) (?:our |the |a )?{_RANK}")
_OBJECT: Final = re.compile(rf"{_RANK}[^,;:]*?(?: is| are|:) (?P<what>[^,;:]*)")
_WITH: Final = re.compile(r"\b(?:treated|managed|started|begins?) first with (?P<what>[^,;:]*)")
_GENERIC: Final = content_words("first choice line drug medicine treatment antibiotic agent test method treat manage")
_SECOND: Final = re.compile(r"\b(?:allerg|intoleran|alternativ|second[- ]|otherwise|instead|resistan|fail)")
SHARED: Final = 0.5
"""From which share of the longer indication two preferences are about the same one."""


def preferred(text: str) -> frozenset[str]:
    """What a `normalised` sentence puts first: its medicines where it names some, else the word next to the verb."""
    for pattern, nearest in ((_OBJECT, 0), (_WITH, 0), (_SUBJECT, -1)):
        match = pattern.search(text)
        if match:
            named = medicines(match["what"])
            words = [stem(word) for word in WORD.findall(match["what"]) if carries_meaning(word)]
            chosen = frozenset(stem(one) for one in named) or frozenset(words[nearest:][:1])
            if chosen and not _SECOND.search(text):
                return chosen
    return frozenset()


def another_first(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two preferences have neither a medicine nor a class in common."""
    if not one or not other or one & other:
        return False
    return not classes_of(" ".join(sorted(one))) & classes_of(" ".join(sorted(other)))


def same_indication(one: frozenset[str], other: frozenset[str], named: frozenset[str]) -> bool:
    """Whether the content words of two sentences, but for what is `named` in them, are about the same illness."""
    mine, theirs = one - named - _GENERIC, other - named - _GENERIC
    return bool(mine & theirs) and len(mine & theirs) >= SHARED * max(len(mine), len(theirs))
