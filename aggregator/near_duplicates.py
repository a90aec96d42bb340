"""Near-identical passages count once: hospitals share leaflets, and a copy is not a second opinion."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from fedrag.core.exchange import Sketch
from fedrag.core.protocols import NodeOffer, Winner
from fedrag.core.quantities import facts_of
from fedrag.core.sketch import resemblance, shingles_of
from fedrag.core.wire import NodeId

RESEMBLANCE: Final = 0.6
"""From which resemblance two passages with equal facts are one."""


def fold(
    ranking: Sequence[NodeOffer], k: int, per_node_maximum: int | None, minimum: float | None
) -> tuple[Winner, ...]:
    """The first k of a ranking, each standing for the near-identical offers below it.

    An offer is folded into the first winner whose sketch has the same facts and at least the `minimum` resemblance
    (None: nothing is folded), in its own hospital too; the winner names the other hospitals in order. Offers without a
    sketch are never folded. A hospital that has `per_node_maximum` winners gets no more.
    """
    winners: list[Winner] = []
    won: dict[NodeId, int] = {}
    for offered in ranking:
        twin = _twin(offered.offer.sketch, winners, minimum) if minimum is not None else None
        if twin is not None:
            winners[twin] = held_by(winners[twin], offered.node)
        elif len(winners) < k and (per_node_maximum is None or won.get(offered.node, 0) < per_node_maximum):
            winners.append(Winner(offered.node, offered.offer))
            won[offered.node] = won.get(offered.node, 0) + 1
    return tuple(winners)


def held_by(winner: Winner, *nodes: NodeId) -> Winner:
    """The winner, with these hospitals known to hold it as well."""
    return replace(winner, also_held_by=tuple(sorted({*winner.also_held_by, *nodes} - {winner.node})))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A text, as far as near-identity goes."""

    facts: tuple[str, ...]
    shingles: frozenset[str]


def fingerprint_of(text: str) -> Fingerprint:
    return Fingerprint(facts_of(text), shingles_of(text))


def near_identical(a: Fingerprint, b: Fingerprint) -> bool:
    """The same decision on texts: exact Jaccard resemblance of the shingles instead of its estimate."""
    return a.facts == b.facts and len(a.shingles & b.shingles) >= RESEMBLANCE * len(a.shingles | b.shingles)


def _twin(sketch: Sketch | None, winners: Sequence[Winner], minimum: float) -> int | None:
    if sketch is None:
        return None
    for at, winner in enumerate(winners):
        other = winner.offer.sketch
        if other is not None and other.facts == sketch.facts and resemblance(other, sketch) >= minimum:
            return at
    return None
