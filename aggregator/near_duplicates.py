"""Near-identical passages count once: hospitals share leaflets, and a copy is not a second opinion."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from fedrag.core.exchange import Offer, Sketch
from fedrag.core.protocols import NodeOffer, Winner
from fedrag.core.quantities import facts_of
from fedrag.core.sketch import part_of, share, shingles_of
from fedrag.core.wire import NodeId

PART: Final = 0.6
"""From which share of the longer one two passages are one."""


def fold(
    ranking: Iterable[NodeOffer],
    offers: Sequence[NodeOffer],
    k: int,
    per_node_maximum: int | None,
    minimum: float | None,
) -> tuple[Winner, ...]:
    """The first k of the `ranking` of these offers, each standing for the near-identical offers below it.

    An offer is folded into the first winner of whose passage its own is a part, or the other way round, of at least the
    `minimum` share (None: nothing is folded), in its own hospital too; the winner names the other hospitals in order.
    Offers without a sketch are never folded. A hospital that has `per_node_maximum` winners gets no more.

    The ranking is followed only until there are k winners; who else holds them is then asked of all other offers, in
    whatever order: the last offer of all can still be a copy of the first.
    """
    winners: list[_Winner] = []
    won: dict[NodeId, int] = {}
    seen: set[tuple[NodeId, str]] = set()
    if k <= 0:
        return ()
    for offered in ranking:
        node = offered.node
        if (node, offered.offer.handle) in seen:
            continue
        seen.add((node, offered.offer.handle))
        twin = _twin(offered.offer.sketch, winners, minimum)
        if twin is not None:
            twin.holders.add(node)
        elif per_node_maximum is None or won.get(node, 0) < per_node_maximum:
            winners.append(_Winner(node, offered.offer))
            won[node] = won.get(node, 0) + 1
            if len(winners) == k:
                break
    _name_holders(winners, offers, seen, minimum)
    return tuple(held_by(Winner(one.node, one.offer), *one.holders) for one in winners)


def comparable(one: Sketch | None, other: Sketch | None) -> bool:
    """Whether two sketches decide if their passages are one: there are two, made with the same key."""
    return one is not None and other is not None and one.key_id == other.key_id


def held_by(winner: Winner, *nodes: NodeId) -> Winner:
    """The winner, with these hospitals known to hold it as well."""
    return replace(winner, also_held_by=tuple(sorted({*winner.also_held_by, *nodes} - {winner.node})))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A text, as far as near-identity goes."""

    facts: tuple[str, ...]
    shingles: Counter[str]


def fingerprint_of(text: str) -> Fingerprint:
    return Fingerprint(facts_of(text), shingles_of(text))


def near_identical(a: Fingerprint, b: Fingerprint) -> bool:
    """The same decision on texts, without hashes: equal facts, and the shorter one a part of the longer one."""
    if a.facts != b.facts:
        return False
    shorter, longer = sorted((a.shingles, b.shingles), key=Counter.total)
    return shorter <= longer and share(shorter.total(), longer.total()) >= PART


@dataclass(frozen=True, slots=True)
class _Winner:
    node: NodeId
    offer: Offer
    holders: set[NodeId] = field(default_factory=set)


def _name_holders(
    winners: Sequence[_Winner], offers: Sequence[NodeOffer], seen: set[tuple[NodeId, str]], minimum: float | None
) -> None:
    """Of all offers not seen yet. One look at the facts leaves out nearly every offer."""
    facts = {winner.offer.sketch.facts for winner in winners if winner.offer.sketch is not None}
    if minimum is None or not facts:
        return
    for offered in offers:
        sketch = offered.offer.sketch
        if sketch is not None and sketch.facts in facts and (offered.node, offered.offer.handle) not in seen:
            twin = _twin(sketch, winners, minimum)
            if twin is not None:
                twin.holders.add(offered.node)


def _twin(sketch: Sketch | None, winners: Sequence[_Winner], minimum: float | None) -> _Winner | None:
    if sketch is None or minimum is None:
        return None
    for winner in winners:
        other = winner.offer.sketch
        if other is not None and other.facts == sketch.facts and part_of(other, sketch) >= minimum:
            return winner
    return None
