"""How much of what names a person a detector takes out, and what it costs: marked texts, and the counts over them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fedrag.evaluation.report import Cell, Table

Span = tuple[int, int]
Finder = Callable[[str], Sequence[Span]]
"""The ranges of a text that a detector takes out."""

_WORDS: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LONGEST_TERM: Final = 8


@dataclass(frozen=True, slots=True)
class Marked:
    """One identifier; `counts`: whether HIPAA's Safe Harbor wants it gone."""

    kind: str
    start: int
    end: int
    counts: bool = True


@dataclass(frozen=True, slots=True)
class MarkedText:
    """Texts of one `group` were made alike: they are in the same half."""

    id: str
    group: str
    text: str
    identifiers: tuple[Marked, ...]
    look_alike: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """What a detector took out of some texts.

    An identifier is removed when none of its letters and digits is left. `by_kind`: kind → (removed, all), of every
    kind that is marked; the other figures are of those that count.
    """

    removed: int
    identifiers: int
    characters_removed: int
    characters: int
    without_leak: int
    with_identifiers: int
    untouched: int
    look_alikes: int
    by_kind: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def recall(self) -> float:
        return share(self.removed, self.identifiers)

    def row(self, name: str) -> tuple[Cell, ...]:
        kept: Cell = share(self.untouched, self.look_alikes) if self.look_alikes else "none marked"
        return (
            name,
            self.recall,
            share(self.characters_removed, self.characters),
            share(self.without_leak, self.with_identifiers),
            kept,
            self.identifiers,
        )


COLUMNS: Final = (
    "detector",
    "identifiers removed",
    "characters removed",
    "texts without a leak",
    "look-alikes untouched",
    "identifiers",
)


def removal(texts: Iterable[MarkedText], find: Finder) -> Removal:
    removed: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for one in texts:
        spans = find(one.text)
        gone = covered(one.text, spans)
        left = False
        for identifier in one.identifiers:
            places = [at for at in range(identifier.start, identifier.end) if one.text[at].isalnum()]
            hidden = sum(gone[at] for at in places)
            marked[identifier.kind] += 1
            removed[identifier.kind] += hidden == len(places)
            if identifier.counts:
                sums.update(all=1, removed=hidden == len(places), characters=len(places), hidden=hidden)
                left |= hidden < len(places)
        if any(identifier.counts for identifier in one.identifiers):
            sums.update(with_identifiers=1, without_leak=not left)
        if one.look_alike:
            sums.update(look_alikes=1, untouched=not spans)
    return Removal(
        removed=sums["removed"],
        identifiers=sums["all"],
        characters_removed=sums["hidden"],
        characters=sums["characters"],
        without_leak=sums["without_leak"],
        with_identifiers=sums["with_identifiers"],
        untouched=sums["untouched"],
        look_alikes=sums["look_alikes"],
        by_kind={kind: (removed[kind], marked[kind]) for kind in sorted(marked)},
    )


def kinds_table(title: str, found: Mapping[str, Removal], not_counted: frozenset[str], note: str) -> Table:
    """Recall per kind, a column per detector."""
    kinds = sorted({kind for one in found.values() for kind in one.by_kind})
    rows: list[tuple[Cell, ...]] = [
        (
            f"{kind} (no identifier)" if kind in not_counted else kind,
            next(one.by_kind[kind][1] for one in found.values() if kind in one.by_kind),
            *(share(*one.by_kind.get(kind, (0, 0))) for one in found.values()),
        )
        for kind in kinds
    ]
    return Table(title, ("kind", "number", *found), tuple(rows), note)


class Terms:
    """Clinical terms, found in a text as runs of whole words."""

    def __init__(self, terms: Iterable[str]) -> None:
        split = (tuple(word.group().lower() for word in _WORDS.finditer(term)) for term in terms)
        self._terms = frozenset(words for words in split if words and len("".join(words)) > 3)

    def places(self, text: str) -> list[Span]:
        """Of terms in a text, the longest first, none inside another."""
        words = list(_WORDS.finditer(text))
        lower = [word.group().lower() for word in words]
        found: list[Span] = []
        at = 0
        while at < len(words):
            sizes = range(min(_LONGEST_TERM, len(words) - at), 0, -1)
            size = next((one for one in sizes if tuple(lower[at : at + one]) in self._terms), 0)
            if size:
                found.append((words[at].start(), words[at + size - 1].end()))
            at += size or 1
        return found


@dataclass(frozen=True, slots=True)
class Kept:
    """Occurrences of clinical terms outside identifiers, and how many a detector left whole."""

    kept: int
    terms: int


def terms_kept(texts: Iterable[MarkedText], terms: Terms, find: Finder) -> Kept:
    kept = found = 0
    for one in texts:
        gone = covered(one.text, find(one.text))
        named = covered(one.text, [(identifier.start, identifier.end) for identifier in one.identifiers])
        for start, end in terms.places(one.text):
            if not any(named[start:end]):
                found += 1
                kept += not any(gone[start:end])
    return Kept(kept, found)


def covered(text: str, spans: Iterable[Span]) -> bytearray:
    """One byte per character: is it inside a span?"""
    gone = bytearray(len(text))
    for start, end in spans:
        gone[start:end] = b"\1" * (end - start)
    return gone


def share(some: int, of: int) -> float:
    return some / of if of else 0.0
