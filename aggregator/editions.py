"""Which of two passages is the later edition."""

import re
from collections.abc import Sequence
from typing import Final

from aggregator.near_duplicates import fingerprint_of
from fedrag.core.answer import EvidencePassage
from fedrag.core.exchange import Citation
from fedrag.core.quantities import normalised

SHARED_TEXT: Final = 0.2
"""From which share of common word triples two passages under one heading are editions of one text."""
_BRACKETED: Final = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_NUMBER: Final = re.compile(r"\d+")


def newer(one: EvidencePassage, other: EvidencePassage) -> int | None:
    """The number of the passage whose document took effect later; None where a date is missing or both are equal."""
    return _later(one, other, _dates(one, other))


def edition_after(one: EvidencePassage, other: EvidencePassage) -> int | None:
    """The number of the later of two editions of one text: the same title and section, much of the wording, and another
    date or version. None where they are not that."""
    if not _same_heading(one.passage.citation, other.passage.citation):
        return None
    later = newer(one, other) or _later(one, other, _versions(one, other))
    if later is None:
        return None
    mine, theirs = fingerprint_of(one.passage.text).shingles, fingerprint_of(other.passage.text).shingles
    return later if len(mine & theirs) >= SHARED_TEXT * len(mine | theirs) else None


def _same_heading(one: Citation, other: Citation) -> bool:
    return bool(one.title) and _heading(one) == _heading(other)


def _heading(citation: Citation) -> tuple[str, str]:
    return normalised(_BRACKETED.sub("", citation.title)).strip(), normalised(citation.section)


def _dates(one: EvidencePassage, other: EvidencePassage) -> tuple[Sequence[int], Sequence[int]]:
    dates = [side.passage.citation.effective_date for side in (one, other)]
    first, second = ((date.toordinal(),) if date else () for date in dates)
    return first, second


def _versions(one: EvidencePassage, other: EvidencePassage) -> tuple[Sequence[int], Sequence[int]]:
    first, second = (
        tuple(int(digits) for digits in _NUMBER.findall(side.passage.citation.version)) for side in (one, other)
    )
    return first, second


def _later(one: EvidencePassage, other: EvidencePassage, order: tuple[Sequence[int], Sequence[int]]) -> int | None:
    mine, theirs = tuple(order[0]), tuple(order[1])
    if not mine or not theirs or mine == theirs:
        return None
    return one.number if mine > theirs else other.number
