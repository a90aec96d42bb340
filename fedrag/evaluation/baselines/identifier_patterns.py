"""Sixteen regular expressions, the least that anybody would write: ten for dates and numbers, six for capitals."""

import re
from collections.abc import Sequence
from typing import Final

_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_CAPITALISED: Final = r"[A-Z][\w'’-]+"

DATES_AND_NUMBERS: Final = (
    r"\b\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b",
    r"\b\d{4}-\d{2}-\d{2}\b",
    rf"\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?\b",
    rf"\b\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?:,? \d{{4}})?\b",
    rf"\b{_MONTH},? \d{{4}}\b",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\(?\b\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b",
    r"\b[\w.+-]+@[\w-]+\.[\w.-]+\b",
    r"\bhttps?://\S+",
    r"\b(?:MRN|ID|#)[ :#]*[A-Z]*-?\d[\dA-Z-]*\b",
)
CAPITALS: Final = (
    rf"\b(?:Mr|Mrs|Ms|Dr|Prof)\.? {_CAPITALISED}(?: {_CAPITALISED}|(?: [A-Z]\.))?",
    rf"\b{_CAPITALISED} [A-Z]\.",
    rf"\b{_CAPITALISED} {_CAPITALISED}\b",
    rf"\b(?:St|Mt)\.? {_CAPITALISED}\b",
    rf"\b(?:{_CAPITALISED} )+(?:Hospital|Clinic|Center|Medical)\b",
    rf"\b(?:at|in|from) {_CAPITALISED}(?:,? [A-Z]{{2}}\b)?",
)


def finder(*patterns: str) -> "_Finder":
    return _Finder(patterns)


class _Finder:
    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(re.compile(pattern) for pattern in patterns)

    def __call__(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for pattern in self._patterns for found in pattern.finditer(text)]
