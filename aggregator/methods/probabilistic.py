"""The probability that a passage is relevant, given that its hospital was worth asking, and that it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from aggregator.selection import Selection, best_first, select
from fedrag.core.protocols import NodeOffer, Winner


class Settings(Selection):
    routing_weight: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 1.0
    """Exponent of the routing probability; 0 leaves it out."""


@dataclass(frozen=True, slots=True)
class Probabilistic:
    """By P(relevant) = P(node useful | question)^w x P(relevant | score, node useful), w the routing weight.

    The first factor is the router's, the second the node's own calibration; the product is their joint probability at
    w = 1, if the node calibrated on questions that it is useful for. Where the router tells hospitals apart poorly, a
    smaller weight trusts it less. Similarities are not looked at.

    Ties: by rank, then node, then handle.
    """

    settings: Settings

    name: ClassVar[str] = "probabilistic"

    def merge(self, offers: Sequence[NodeOffer], k: int) -> tuple[Winner, ...]:
        weight = self.settings.routing_weight
        values = [offered.routed**weight * offered.offer.probability for offered in offers]
        return select(best_first(offers, values, _turn), offers, k, self.settings)


def _turn(offered: NodeOffer) -> tuple[int, str, int, str]:
    return (offered.offer.rank, offered.node, offered.offer.rank, offered.offer.handle)


def build(settings: Settings) -> Probabilistic:
    return Probabilistic(settings)
