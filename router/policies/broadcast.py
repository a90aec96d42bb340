"""Ask every hospital: nothing about the question can be read from who was asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fedrag.core.collection import CollectionDescription, RankedNode, RoutingDecision
from fedrag.core.config import Config
from fedrag.core.protocols import RoutingLimits
from fedrag.core.wire import FloatVector

NO_ESTIMATE: Final = 0.5
"""The probability of being useful of a hospital about which nothing was asked."""


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Every hospital, in the order of its name, up to the cap.

    The order depends neither on the question (it would show its topic) nor on what a hospital claims (a claim would buy
    a place under the cap).
    """

    def route(
        self,
        query: FloatVector,  # noqa: ARG002 - the protocol's; not looked at, on purpose
        comparable_with: str,  # noqa: ARG002 - the same
        collections: Sequence[CollectionDescription],
        limits: RoutingLimits,
    ) -> RoutingDecision:
        nodes = sorted({described.node for described in collections})
        selected = nodes[: max(0, limits.maximum_nodes)]
        return RoutingDecision(
            policy="broadcast",
            ranking=tuple(RankedNode(node=node, score=0.0, probability=NO_ESTIMATE) for node in nodes),
            selected=tuple(selected),
            why=_why(len(selected), len(nodes)),
        )


def _why(selected: int, known: int) -> str:
    if not known:
        return "No hospital has described a collection."
    if selected == known:
        return f"Every hospital is asked: {known} of {known}."
    return f"{selected} of {known} hospitals are asked, the first by name: the cap leaves no room for more."


def build(settings: Settings) -> Broadcast:  # noqa: ARG001 - a broadcast has nothing to set
    return Broadcast()
