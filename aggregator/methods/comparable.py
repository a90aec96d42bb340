"""Raw similarity where it can be compared, calibrated probability everywhere else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from aggregator.near_duplicates import RESEMBLANCE, fold
from fedrag.core.config import Config
from fedrag.core.exchange import Offer
from fedrag.core.protocols import NodeOffer, Winner
from fedrag.core.wire import NodeId

_ALONE: Final = ""
"""The group of offers without a similarity: only their probabilities can be compared."""


class Settings(Config):
    near_duplicates: bool = True
    """Fold near-identical passages into the best of them."""
    resemblance: Annotated[float, Field(ge=0.5, le=1, allow_inf_nan=False)] = RESEMBLANCE
    """From which estimated resemblance two passages with equal facts are one."""
    per_node_maximum: Annotated[int, Field(ge=1)] | None = None
    """How many winners one hospital may have; None: as many as it earns."""


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

    def merge(self, offers: Sequence[NodeOffer], k: int) -> tuple[Winner, ...]:
        settings = self.settings
        resemblance = settings.resemblance if settings.near_duplicates else None
        return fold(rank(offers), k, settings.per_node_maximum, resemblance)


def rank(offers: Sequence[NodeOffer]) -> tuple[NodeOffer, ...]:
    """The total order of `Comparable`; a handle that a node offers twice counts once, at its best place."""
    groups: dict[str, list[NodeOffer]] = {}
    for offered in offers:
        groups.setdefault(_group(offered.offer), []).append(offered)
    placed = [
        (-fitted, name, place, offered)
        for name, group in groups.items()
        for place, (fitted, offered) in enumerate(_fitted(sorted(group, key=_within_group)))
    ]
    once: dict[tuple[NodeId, str], NodeOffer] = {}
    for *_, offered in sorted(placed, key=lambda item: item[:3]):
        once.setdefault((offered.node, offered.offer.handle), offered)
    return tuple(once.values())


def _group(offer: Offer) -> str:
    return offer.similarity.comparable_with if offer.similarity else _ALONE


def _within_group(offered: NodeOffer) -> tuple[float, float, str, int, str]:
    offer = offered.offer
    if offer.similarity:
        return (-offer.similarity.value, 0, offered.node, offer.rank, offer.handle)
    return (-offer.probability, offer.rank, offered.node, offer.rank, offer.handle)


def _fitted(group: Sequence[NodeOffer]) -> Iterator[tuple[float, NodeOffer]]:
    fit = never_rising([offered.offer.probability for offered in group])
    return zip(fit, group, strict=True)


def never_rising(values: Sequence[float]) -> tuple[float, ...]:
    """The never rising sequence nearest to `values` in squares: pool adjacent violators (Ayer et al. 1955)."""
    pools: list[tuple[float, int]] = []
    for value in values:
        total, size = value, 1
        while pools and pools[-1][0] / pools[-1][1] < total / size:
            above, count = pools.pop()
            total, size = total + above, size + count
        pools.append((total, size))
    return tuple(total / size for total, size in pools for _ in range(size))


def build(settings: Settings) -> Comparable:
    return Comparable(settings)
