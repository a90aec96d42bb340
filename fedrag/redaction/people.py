"""Names of people that no title, no label and no second name shows: words that the name model finds likely."""

import re
from collections.abc import Iterator
from typing import Final

from fedrag.redaction.fragments import SITE
from fedrag.redaction.names import scored
from fedrag.redaction.words import CLINICAL_THING, is_common, is_eponym

Span = tuple[int, int]

LIKELY: Final = 1.0
"""Logit above which a word is a name by itself."""
BESIDE: Final = -2.0
"""The same for a capitalised word beside one that is."""
_JOINT: Final = re.compile(r"[ \t]|-|\.[ \t]|[ \t][A-Z]\.?[ \t]")
_PLACE: Final = re.compile(SITE)
_SAINT: Final = re.compile(r"\b(?:St|Saint)\b\.?[ \t]$")
_INITIAL: Final = re.compile(r"[ \t][A-Z]\b\.?(?!\w)")


def people(text: str) -> Iterator[Span]:
    """Ranges of names, in order, none overlapping: words in a row that are likely enough, one of them by itself."""
    run: list[tuple[int, int, float]] = []
    for start, end, logit in scored(text):
        if logit <= BESIDE or _is_none(text[start:end]):
            continue
        if run and not _JOINT.fullmatch(text, run[-1][1], start):
            yield from _name(text, run)
            run = []
        run.append((start, end, logit))
    yield from _name(text, run)


def _name(text: str, run: list[tuple[int, int, float]]) -> Iterator[Span]:
    likely = [logit > LIKELY for _, _, logit in run]
    if not any(likely):  # also where there is no run
        return
    while not (likely[0] or text[run[0][0]].isupper()):
        del run[0], likely[0]
    while not (likely[-1] or text[run[-1][0]].isupper()):
        del run[-1], likely[-1]
    start, end = run[0][0], run[-1][1]
    if _SAINT.search(text, max(0, start - 8), start):
        return  # a place, a plant, a fire: another rule has looked at it
    if CLINICAL_THING.match(text, end) or _PLACE.match(text, end):
        return  # a disease; or the name of a hospital, which another rule has looked at
    if len(run) == 1 and is_eponym(text[start:end]):
        return
    initial = _INITIAL.match(text, end)
    yield start, initial.end() if initial else end


def _is_none(word: str) -> bool:
    return len(word) == 1 or is_common(word) or "n't" in word or word.lower().startswith(("i'", "i’"))
