"""Raw similarity where it can be compared, calibrated probability everywhere else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import ClassVar, Final

from aggregator.selection import Selection, best_first, select
from fedrag.core.protocols import NodeOffer, Winner

_ALONE: Final = ""
"""The group of offers without a similarity: only their probabilities can be compared."""


class Settings(Selection):
    pass


@dataclass(frozen=True, slots=True)
class Comparable:
    """Groups of offers with one `comparable_with` are ranked inside by similarity and among each other by probability.

    Inside a group similarity decides alone. To place it among other groups, its probabilities are fitted to its order:
    the least-squares fit that never rises with rank (isotonic regression), so a probability that contradicts the
    similarities is averaged with its neighbours, and the merge of the groups by fitted probability keeps each group's
    order. With one group the result is the order by raw similarity, whatever the probabilities.

    Ties: equal similarities by node, then rank; offers without similarity and with equal probability by rank, then
    node; equal fitted probabilities of two groups by group. The handle comes last of all.
    """

    settings: Settings

    name: ClassVar[str] = "comparable"

    def merge(self, offers: Sequence[NodeOffer], k: int) -> tuple[Winner, ...]:
        return select(rank(offers), offers, k, self.settings)


def rank(offers: Sequence[NodeOffer]) -> Iterator[NodeOffer]:
    """The order of `Comparable`, best first, brought about as far as it is asked for."""
    groups: dict[str, tuple[list[NodeOffer], list[float]]] = {}
    current: str | None = None
    for offered in offers:
        similarity = offered.offer.similarity
        name = _ALONE if similarity is None else similarity.comparable_with
        if name != current:
            members, values = groups.setdefault(name, ([], []))
            current = name
        members.append(offered)
        values.append(offered.offer.probability if similarity is None else similarity.value)
    if len(groups) == 1:  # placed among no others: nothing has to be fitted
        return best_first(*next(iter(groups.values())), _turn)
    placed = merge(*(_placed(name, *group) for name, group in groups.items()))
    return (offered for *_, offered in placed)


def _placed(
    name: str, offers: Sequence[NodeOffer], values: Sequence[float]
) -> Iterator[tuple[float, str, int, NodeOffer]]:
    """A group in its order, each offer behind its place among other groups; no two places are equal."""
    ordered = list(best_first(offers, values, _turn))
    fitted = never_rising([offered.offer.probability for offered in ordered])
    for place, (fit, offered) in enumerate(zip(fitted, ordered, strict=True)):
        yield -fit, name, place, offered


def _turn(offered: NodeOffer) -> tuple[int, str, int, str]:
    """Who comes first of offers with equal similarities, or without one and with equal probabilities."""
    offer = offered.offer
    return (0 if offer.similarity else offer.rank, offered.node, offer.rank, offer.handle)


def never_rising(values: Sequence[float]) -> tuple[float, ...]:
    """The never rising sequence nearest to `values` in squares: pool adjacent violators (Ayer et al. 1955)."""
    totals: list[float] = []
    sizes: list[int] = []
    for value in values:
        total, size = value, 1
        while totals and totals[-1] / sizes[-1] < total / size:
            total, size = total + totals.pop(), size + sizes.pop()
        totals.append(total)
        sizes.append(size)
    return tuple(total / size for total, size in zip(totals, sizes, strict=True) for _ in range(size))


def build(settings: Settings) -> Comparable:
    return Comparable(settings)
