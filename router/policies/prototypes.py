"""Ask the hospitals that are expected to hold the best passages, judged by the prototypes they publish."""

import hashlib
from collections.abc import Sequence
from math import log1p
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedrag.core.collection import CollectionDescription, RankedNode, RoutingDecision
from fedrag.core.config import Config
from fedrag.core.protocols import RoutingLimits
from fedrag.core.wire import FloatVector, NodeId
from router.choosing import under_cap
from router.expectation import Prototypes, expected_counts, stack

Counts = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Settings(Config):
    depth: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 2.0
    """Passages looked for, per passage the answer wants."""
    coverage: Share = 0.95
    """Share of them that the selected hospitals are expected to hold."""
    minimum_probability: Share = 0.2
    """A hospital at least this likely to hold one of them is asked too, however small its share."""
    prior: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.3
    """Probability of being useful of a hospital about which nothing comparable is known."""
    reserve: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.1
    """Share of the cap, rounded up, that is kept for such hospitals when it binds; a cap of 1 keeps none."""


class PrototypeRouting:
    """P(useful) = 1 - exp(-expected number of the best passages), as for a Poisson count.

    The stacked prototypes of the last set of collections are kept; the decision depends on the arguments alone.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stacked: tuple[tuple[CollectionDescription, ...], str, Prototypes] | None = None

    def route(
        self,
        query: FloatVector,
        comparable_with: str,
        collections: Sequence[CollectionDescription],
        limits: RoutingLimits,
    ) -> RoutingDecision:
        prototypes = self._stack(tuple(collections), comparable_with, query.size)
        wanted = self._settings.depth * limits.passages
        unlooked = -log1p(-self._settings.prior)
        expected = expected_counts(query, prototypes, wanted) + unlooked * prototypes.unknown
        probability = -np.expm1(-expected)
        ranked = _order(query, expected, prototypes)
        enough = self._enough(expected[ranked], probability[ranked])
        selected = under_cap(ranked, enough, limits.maximum_nodes, prototypes.unknown, self._settings.reserve)
        return RoutingDecision(
            policy="prototypes",
            ranking=tuple(
                RankedNode(node=prototypes.nodes[at], score=float(expected[at]), probability=float(probability[at]))
                for at in ranked
            ),
            selected=tuple(prototypes.nodes[at] for at in selected),
            why=self._why(len(selected), enough, prototypes, wanted),
        )

    def _stack(
        self, collections: tuple[CollectionDescription, ...], comparable_with: str, dimension: int
    ) -> Prototypes:
        kept = self._stacked
        if kept is None or kept[0] != collections or kept[1] != comparable_with:
            kept = (collections, comparable_with, stack(collections, comparable_with, dimension))
            self._stacked = kept
        return kept[2]

    def _enough(self, expected: Counts, probability: Counts) -> int:
        """How many of the best hospitals: the fewest that cover the share, and all that are likely enough. Both are
        decided by the expected number alone, so both are beginnings of the ranking."""
        covered = np.cumsum(expected)
        if not covered.size or covered[-1] <= 0:
            return int(expected.size)
        fewest = int(np.searchsorted(covered, self._settings.coverage * covered[-1])) + 1
        likely = int(np.count_nonzero(probability >= self._settings.minimum_probability))
        return min(max(fewest, likely), int(expected.size))

    def _why(self, selected: int, enough: int, prototypes: Prototypes, wanted: float) -> str:
        known, unknown = len(prototypes.nodes), int(prototypes.unknown.sum())
        if not known:
            return "No hospital has described a collection."
        if selected == known:
            reason = f"Nothing lets a hospital be left out: all {known} are asked"
        elif selected < enough:
            reason = f"{selected} of {known} hospitals are asked, as many as the cap allows of {enough} worth asking"
        else:
            reason = (
                f"{selected} of {known} hospitals are asked: those expected to hold {self._settings.coverage:.0%} of"
                f" the {wanted:.0f} nearest passages, and any with a fair chance of one"
            )
        return f"{reason}; {unknown} cannot be compared and count with a prior." if unknown else f"{reason}."


def _order(query: FloatVector, expected: Counts, prototypes: Prototypes) -> Positions:
    """Best first. Unknown hospitals tie; a digest of query and name turns them about from question to question, so that
    the same ones do not always come last."""
    turns = [
        _turn(query, node) if unknown else b""
        for node, unknown in zip(prototypes.nodes, prototypes.unknown, strict=True)
    ]
    order = sorted(range(len(turns)), key=lambda at: (-expected[at], turns[at], prototypes.nodes[at]))
    return np.array(order, dtype=np.int64)


def _turn(query: FloatVector, node: NodeId) -> bytes:
    return hashlib.blake2b(query.tobytes() + node.encode(), digest_size=8).digest()


def build(settings: Settings) -> PrototypeRouting:
    return PrototypeRouting(settings)
