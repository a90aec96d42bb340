"""Passages that cannot both be followed. Shown with both quotes; nothing is reconciled."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import inf
from typing import Final

from aggregator.editions import edition_after, newer
from aggregator.figures import Figure, Role
from aggregator.preferences import another_first, same_indication
from aggregator.statements import Statement, statements
from fedrag.core.answer import Conflict, ConflictKind, EvidencePassage, Quote
from fedrag.core.protocols import Encoder
from fedrag.core.quantities import facts_of
from fedrag.core.wire import FloatVector

SIMILARITY: Final = 0.55
"""From which cosine similarity two sentences may be about the same thing."""
OVERLAP: Final = 0.3
"""From which share of the shorter statement's content words in the other."""
EDITED: Final = 0.6
"""From which such share two sentences of two editions are one sentence."""
DENIED: Final = 1 / 3
"""From which share of the content words of what is said not to be done in the other statement."""


@dataclass(frozen=True, slots=True)
class _Pair:
    first: EvidencePassage
    second: EvidencePassage
    one: Statement
    other: Statement
    kind: ConflictKind


def find_conflicts(
    passages: Sequence[EvidencePassage], encoder: Encoder, question: FloatVector | None = None
) -> tuple[Conflict, ...]:
    """At most one conflict for each pair of passages, that of its most similar sentences; the ones nearest to the
    question first.

    Hospitals contradict each other; a hospital contradicts itself only where it keeps two editions of one document.
    `question`: its unit vector under this encoder.
    """
    read = [(passage, statements(passage.passage.text, _heading(passage))) for passage in passages]
    pairs = [
        pair
        for (first, ours), (second, theirs) in combinations(read, 2)
        for pair in _pairs(first, second, ours, theirs)
    ]
    if not pairs:
        return ()
    texts = sorted({statement.text for pair in pairs for statement in (pair.one, pair.other)})
    vectors = dict(zip(texts, encoder.encode_passages(texts), strict=True))
    best: dict[tuple[int, int], tuple[float, _Pair]] = {}
    for pair in pairs:
        place = pair.first.number, pair.second.number
        similarity = float(vectors[pair.one.text] @ vectors[pair.other.text])
        if similarity >= SIMILARITY and similarity > best.get(place, (-inf,))[0]:
            best[place] = similarity, pair
    found = [_conflict(best[place][1], vectors, question) for place in sorted(best)]
    return tuple(sorted(found, key=lambda conflict: -conflict.relevance))


def _pairs(
    first: EvidencePassage, second: EvidencePassage, ours: Sequence[Statement], theirs: Sequence[Statement]
) -> Iterator[_Pair]:
    """The sentences of two passages that disagree; of two editions of one document also those that merely differ."""
    editions = edition_after(first, second) is not None
    if first.node == second.node and not editions:
        return
    for one, other in product(ours, theirs):
        if overlap(one, other) >= OVERLAP:
            kind = disagreement(one, other)
            if editions and (kind is not None or _changed(one, other)):
                yield _Pair(first, second, one, other, ConflictKind.SUPERSEDED)
            elif kind is not None:
                yield _Pair(first, second, one, other, kind)


def _changed(one: Statement, other: Statement) -> bool:
    """Whether what one edition says in this sentence to the letter, its numbers above all, the other says otherwise."""
    return overlap(one, other) >= EDITED and facts_of(one.text) != facts_of(other.text)


def _conflict(pair: _Pair, vectors: Mapping[str, FloatVector], question: FloatVector | None) -> Conflict:
    relevance = 1.0
    if question is not None:
        relevance = float((vectors[pair.one.text] + vectors[pair.other.text]) @ question) / 2
    return Conflict(
        kind=pair.kind,
        first=Quote(citation=pair.first.number, text=pair.one.text),
        second=Quote(citation=pair.second.number, text=pair.other.text),
        newer=edition_after(pair.first, pair.second) or newer(pair.first, pair.second),
        relevance=min(1.0, max(0.0, relevance)),
    )


def _heading(passage: EvidencePassage) -> str:
    return f"{passage.passage.citation.title}. {passage.passage.citation.section}"


def overlap(one: Statement, other: Statement) -> float:
    """Shared content words over those of the statement that has fewer, in [0, 1]."""
    fewer = min(len(one.words), len(other.words))
    return len(one.words & other.words) / fewer if fewer else 0.0


def disagreement(one: Statement, other: Statement) -> ConflictKind | None:
    """How two statements about the same thing contradict each other, if they do.

    Other people, another route, purpose, phase or severity: no conflict. Do against do not: a conflict unless their
    conditions exclude each other; so are two medicines or procedures that are each to be used first. Otherwise numbers:
    a different dose, interval, duration or limit in the same case, or the same act from a different threshold on.
    """
    if _other_people(one, other) or _other_manner(one, other):
        return None
    conditions = _compared(one, other, condition=True)
    apart = any(_exclude(mine, theirs) for mine, theirs in conditions)
    if (one.negated is None) != (other.negated is None):
        return ConflictKind.NEGATION if not apart and _denied(one, other) else None
    if not apart and another_first(one.preferred, other.preferred):
        named = one.preferred | other.preferred
        return ConflictKind.RECOMMENDATION if same_indication(one.words, other.words, named) else None
    shifted = any(_differ(mine, theirs) for mine, theirs in conditions)
    changed = any(_differ(mine, theirs) for mine, theirs in _compared(one, other, condition=False))
    return ConflictKind.NUMBERS if changed != shifted and not apart else None


def _denied(one: Statement, other: Statement) -> bool:
    """Whether what one says not to do is what the other is about."""
    no, yes = (one, other) if one.negated is not None else (other, one)
    negated = no.negated or frozenset()
    return bool(no.denied & yes.words) and len(negated & yes.words) >= DENIED * len(negated)


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


def _exclude(one: Figure, other: Figure) -> bool:
    """Whether no case meets both; "below 30" and "30 or more" touch, and have no case in common either."""
    lower, upper = sorted((one, other), key=lambda figure: (figure.low, figure.high))
    touching = lower.high == upper.low and lower.low < lower.high and upper.low < upper.high
    return touching or not one.meets(other)


def _differ(one: Figure, other: Figure) -> bool:
    """Bounds in the same direction differ when their ends do, everything else when the intervals have nothing in
    common."""
    if one.role is Role.BOUND and (one.low == -inf) == (other.low == -inf):
        return (one.low, one.high) != (other.low, other.high)
    return not one.meets(other)
