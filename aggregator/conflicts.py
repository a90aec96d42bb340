"""Hospitals that cannot both be followed. Shown with both quotes; nothing is reconciled."""

from collections.abc import Sequence
from itertools import combinations, product
from math import inf
from typing import Final

from aggregator.figures import Figure, Role
from aggregator.statements import Statement, statements
from fedrag.core.answer import Conflict, ConflictKind, EvidencePassage, Quote
from fedrag.core.protocols import Encoder

SIMILARITY: Final = 0.6
"""From which cosine similarity two sentences may be about the same thing."""
OVERLAP: Final = 0.3
"""From which share of the shorter statement's content words in the other."""
DENIED: Final = 1 / 3
"""From which share of the content words of what is said not to be done in the other statement."""


def find_conflicts(passages: Sequence[EvidencePassage], encoder: Encoder) -> tuple[Conflict, ...]:
    """At most one conflict for each pair of passages of different hospitals: that of its most similar sentences."""
    read = [(passage, statements(passage.passage.text, _heading(passage))) for passage in passages]
    candidates = [
        (first.number, second.number, one, other, kind)
        for (first, ours), (second, theirs) in combinations(read, 2)
        if first.node != second.node
        for one, other in product(ours, theirs)
        if overlap(one, other) >= OVERLAP and (kind := disagreement(one, other)) is not None
    ]
    if not candidates:
        return ()
    texts = sorted({statement.text for *_, one, other, _ in candidates for statement in (one, other)})
    vectors = dict(zip(texts, encoder.encode_passages(texts), strict=True))
    best: dict[tuple[int, int], tuple[float, Conflict]] = {}
    for first, second, one, other, kind in candidates:
        similarity = float(vectors[one.text] @ vectors[other.text])
        if similarity >= SIMILARITY and similarity > best.get((first, second), (-inf,))[0]:
            quotes = Quote(citation=first, text=one.text), Quote(citation=second, text=other.text)
            best[first, second] = similarity, Conflict(kind=kind, first=quotes[0], second=quotes[1])
    return tuple(best[pair][1] for pair in sorted(best))


def _heading(passage: EvidencePassage) -> str:
    return f"{passage.passage.citation.title}. {passage.passage.citation.section}"


def overlap(one: Statement, other: Statement) -> float:
    """Shared content words over those of the statement that has fewer, in [0, 1]."""
    fewer = min(len(one.words), len(other.words))
    return len(one.words & other.words) / fewer if fewer else 0.0


def disagreement(one: Statement, other: Statement) -> ConflictKind | None:
    """How two statements about the same thing contradict each other, if they do.

    Other people, another route, purpose, phase or severity: no conflict. Do against do not: a conflict unless their
    conditions exclude each other. Otherwise numbers: a different dose, interval, duration or limit in the same case, or
    the same act from a different threshold on.
    """
    if _other_people(one, other) or _other_manner(one, other):
        return None
    conditions = _compared(one, other, condition=True)
    apart = any(not mine.meets(theirs) for mine, theirs in conditions)
    if (one.negated is None) != (other.negated is None):
        return ConflictKind.NEGATION if not apart and _denied(one, other) else None
    shifted = any(_differ(mine, theirs) for mine, theirs in conditions)
    changed = any(_differ(mine, theirs) for mine, theirs in _compared(one, other, condition=False))
    return ConflictKind.NUMBERS if changed != shifted and not apart else None


def _denied(one: Statement, other: Statement) -> bool:
    """Whether what one says not to do is what the other is about."""
    negated, words = (one.negated, other.words) if one.negated is not None else (other.negated, one.words)
    return negated is not None and bool(negated) and len(negated & words) >= DENIED * len(negated)


def _other_people(one: Statement, other: Statement) -> bool:
    """Whether one is about a group that the other does not mention."""
    return one.scopes != other.scopes and not one.scopes & other.scopes


def _other_manner(one: Statement, other: Statement) -> bool:
    """Whether there is a kind of manner of which both name one and they share none."""
    kinds = {kind for kind, _ in one.manners} & {kind for kind, _ in other.manners}
    return bool(kinds - {kind for kind, _ in one.manners & other.manners})


def _compared(one: Statement, other: Statement, *, condition: bool) -> list[tuple[Figure, Figure]]:
    """The pairs of figures to be held against each other: same role, same thing measured; of several
    the one that agrees, if any does."""
    mine = [figure for figure in one.figures if figure.condition == condition]
    theirs = [figure for figure in other.figures if figure.condition == condition]
    keys = sorted({_key(figure) for figure in mine} & {_key(figure) for figure in theirs})
    pairs = [[pair for pair in product(_of(mine, key), _of(theirs, key)) if _same_subject(*pair)] for key in keys]
    return [min(same, key=lambda pair: _differ(*pair)) for same in pairs if same]


def _key(figure: Figure) -> tuple[Role, str]:
    return (figure.role, figure.what)


def _of(figures: Sequence[Figure], key: tuple[Role, str]) -> list[Figure]:
    return [figure for figure in figures if _key(figure) == key]


def _same_subject(one: Figure, other: Figure) -> bool:
    if one.substances and other.substances and not one.substances & other.substances:
        return False
    return bool(one.about & other.about) or not one.about or not other.about


def _differ(one: Figure, other: Figure) -> bool:
    """Bounds in the same direction differ when their ends do, everything else when the intervals have nothing in
    common."""
    if one.role is Role.BOUND and (one.low == -inf) == (other.low == -inf):
        return (one.low, one.high) != (other.low, other.high)
    return not one.meets(other)
