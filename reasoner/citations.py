"""Citations: every number must name a released passage; what does not is dropped and counted."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_MARK: Final = re.compile(r"\s?[\[【]\s*(\d+(?:\s*[,;]\s*\d+)*)\s*[\]】]")
_NUMBER: Final = re.compile(r"\d+")
_DIGITS: Final = 6
"""No evidence has as many passages: a longer number is none of them."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left of a text or a list: each citation once, in order of appearance; how many were dropped."""

    text: str
    citations: tuple[int, ...]
    dropped: int


def check_numbers(numbers: Iterable[int], released: Collection[int]) -> Checked:
    """A list of citations without those that name no released passage."""
    given = list(numbers)
    kept = tuple(dict.fromkeys(number for number in given if number in released))
    return Checked("", kept, sum(number not in released for number in given))


def check_text(text: str, released: Collection[int]) -> Checked:
    """A text whose marks [1] and [1, 2] name released passages only; each becomes [1] or [1][2]."""
    cited: list[int] = []
    dropped = 0

    def keep(mark: re.Match[str]) -> str:
        nonlocal dropped
        numbers = [int(number) if len(number) <= _DIGITS else -1 for number in _NUMBER.findall(mark[1])]
        kept = [number for number in numbers if number in released]
        dropped += len(numbers) - len(kept)
        cited.extend(kept)
        space = " " if kept and mark.group().startswith((" ", "\n")) else ""
        return space + marks(kept)

    cleaned = _MARK.sub(keep, text)
    while cleaned != text:  # what is left round a mark that was dropped can be a mark again: [1[9]2]
        text = cleaned
        cited.clear()
        cleaned = _MARK.sub(keep, text)
    return Checked(cleaned, tuple(dict.fromkeys(cited)), dropped)


def marks(citations: Sequence[int]) -> str:
    """[1][2]"""
    return "".join(f"[{number}]" for number in citations)
