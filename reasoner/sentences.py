"""Released passages into sentences: exact stretches of their text, so that what is quoted can be found again."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MINIMUM_WORDS: Final = 3
"""A shorter piece (a list's label, "Adults:") is not a statement; it stays with what follows it."""
MAXIMUM_CHARACTERS: Final = 600

_END: Final = re.compile(
    r"""(?<=[.!?])["'”’)\]]*\s+(?=["'“‘(\[]?[A-Z0-9À-Þ])   # Full stop, space, capital or number.
      | \n\s*\n                                            # An empty line.
      | \n(?=\s*(?:[-*•|]|\d{1,2}[.)]\s))                  # A list item or table row begins.
    """,
    re.VERBOSE,
)
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:dr|mr|mrs|ms|prof|st|vs|fig|no|approx|e\.g|i\.e|cf|etc|al|max|min|ca|resp|incl|subcut|inj|tabs?|caps?"
    r"|ref|sect|vol|pp?|i\.v|i\.m|s\.c|p\.o|b\.d|t\.d\.s|q\.d\.s|o\.d|p\.r\.n)"
    r"|(?<![A-Za-z/])(?<!\d )[A-Z])\.$",
    re.IGNORECASE,
)
_LIST_NUMBER: Final = re.compile(r"(?:^|\n)\s*\d{1,2}[.)]$")
_LIST_MARK: Final = re.compile(r"^(?:[-*•]|\d{1,2}[.)])\s+")
_BREAK: Final = re.compile(r"(?<=[;:])\s+|\s+(?=[(])")


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of a passage."""

    start: int
    end: int


def spans(text: str) -> tuple[Span, ...]:
    """The sentences of `text` in order, without surrounding space and list marks; together they hold all its words.

    Decimals, medical abbreviations, initials and "1." at the head of a list item do not end a sentence. Sentences
    longer than MAXIMUM_CHARACTERS are cut at a semicolon, colon or bracket, else between words.
    """
    borders, start = [], 0
    for match in _END.finditer(text):
        before = text[start : match.start()]
        if match.group().isspace() and "\n" not in match.group() and _continues(before):
            continue
        if len(before.split()) < MINIMUM_WORDS and "\n\n" not in match.group():
            continue
        borders.append((start, match.start() + len(match.group()) - len(match.group().lstrip("\"'”’)]"))))
        start = match.end()
    borders.append((start, len(text)))
    return tuple(piece for first, last in borders for piece in _cut(text, _trim(text, first, last)))


def _continues(before: str) -> bool:
    return bool(_ABBREVIATION.search(before[-12:]) or _LIST_NUMBER.search(before))


def _trim(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    mark = _LIST_MARK.match(text[start:end])
    start += mark.end() if mark else 0
    return Span(start, start + len(text[start:end].rstrip()))


def _cut(text: str, span: Span) -> Iterator[Span]:
    start = span.start
    while span.end - start > MAXIMUM_CHARACTERS:
        window = text[start : start + MAXIMUM_CHARACTERS]
        breaks = [match.start() for match in _BREAK.finditer(window) if match.start() > MAXIMUM_CHARACTERS // 3]
        at = breaks[-1] if breaks else max(window.rfind(" "), 0) or MAXIMUM_CHARACTERS
        yield _trim(text, start, start + at)
        start += at
    if start < span.end:
        last = _trim(text, start, span.end)
        if last.end > last.start:
            yield last
