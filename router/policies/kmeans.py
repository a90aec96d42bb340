"""Ask the hospitals that helped with questions of this kind: the K-means router of Federate-the-Router, with hospitals
in place of models, and what hospitals describe in place of an empty table.

    cells      groups of the prototypes that hospitals publish, weighted by their members
    share      d_ch: the part of the passages in cell c that hospital h says it has
    score      P(useful) = Σ_c w_c (useful_ch + s d_ch) / (asked_ch + s), over the cells near the question, Σ w = 1

Sums and counts by cell and hospital are all that is learned, so several parties can add theirs up under a mask
(`router.pooling`). No hospital is a column of a trained model: one that comes has d, and counts from then on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from fedrag.core.collection import CollectionDescription, RankedNode, RoutingDecision
from fedrag.core.config import Config
from fedrag.core.protocols import RoutingLimits
from fedrag.core.wire import FloatVector, NodeId
from router.choosing import Doubles, Flags, fewest, in_turn, turn_of, under_cap
from router.expectation import stack
from router.learning import Learned

CERTAIN: Final = 0.999
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Chance = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class Settings(Config):
    strength: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0
    """s: questions near this one after which what was seen counts as much as what is described."""
    coverage: Share = 0.95
    """Share of what is expected to help that the hospitals asked make up."""
    prior: Chance = 0.3
    """Probability of being useful of a hospital that cannot be compared, before it was asked."""
    reserve: Chance = 0.1
    """Share of the cap, rounded up, kept for such hospitals when it binds; a cap of 1 keeps none."""


@dataclass(frozen=True, slots=True)
class Table:
    """`cells`: the centres, and what was learned in them; `described` float64 (cells, nodes): d."""

    collections: tuple[CollectionDescription, ...]
    comparable_with: str
    nodes: tuple[NodeId, ...]
    cells: Learned
    described: Doubles
    unknown: Flags


class KMeansRouting:
    """What was derived from the last set of collections is kept; a decision depends on the arguments, and on what the
    policy was made with, alone."""

    def __init__(self, settings: Settings, learned: Learned | None = None) -> None:
        self._settings = settings
        self._learned = learned
        self._kept: Table | None = None

    def informed_by(self, learned: Learned | None) -> "KMeansRouting":
        return KMeansRouting(self._settings, learned)

    def route(
        self,
        query: FloatVector,
        comparable_with: str,
        collections: Sequence[CollectionDescription],
        limits: RoutingLimits,
    ) -> RoutingDecision:
        table = self._table(tuple(collections), comparable_with, query.size)
        probability = np.minimum(self._useful(query, table), CERTAIN)
        turns = in_turn(len(table.nodes), turn_of(query))
        ranked = turns[np.argsort(-probability[turns], kind="stable")]
        target = self._settings.coverage if limits.target is None else limits.target
        enough = max(fewest(probability[ranked], target), min(limits.minimum_nodes, len(ranked)))
        selected = under_cap(ranked, enough, limits.maximum_nodes, table.unknown, self._settings.reserve)
        return RoutingDecision(
            policy="kmeans",
            ranking=tuple(
                RankedNode(node=table.nodes[at], score=float(probability[at]), probability=float(probability[at]))
                for at in ranked
            ),
            selected=tuple(table.nodes[at] for at in selected),
            why=_why(len(selected), len(table.nodes), enough, float(table.cells.asked.sum())),
        )

    def _useful(self, query: FloatVector, table: Table) -> Doubles:
        nobody = np.where(table.unknown, self._settings.prior, 0.0)
        if not len(table.cells.centres):
            return nobody
        near, weights = table.cells.weights(query)
        column = {node: at for at, node in enumerate(table.cells.nodes)}
        places = np.array([column.get(node, len(column)) for node in table.nodes], dtype=np.int64)
        room = np.zeros((len(near), 1))
        asked = np.hstack([table.cells.asked[near], room])[:, places]
        useful = np.hstack([table.cells.useful[near], room])[:, places]
        strength, described = self._settings.strength, np.maximum(table.described[near], nobody)
        probability: Doubles = weights @ ((useful + strength * described) / (asked + strength))
        return probability

    def _table(self, collections: tuple[CollectionDescription, ...], comparable_with: str, dimension: int) -> Table:
        kept = self._kept
        if kept is None or kept.collections != collections or kept.comparable_with != comparable_with:
            kept = self._kept = self._made(collections, comparable_with, dimension)
        return kept

    def _made(self, collections: tuple[CollectionDescription, ...], comparable_with: str, dimension: int) -> Table:
        stacked, cells = stack(collections, comparable_with, dimension), self._learned
        if cells is None or cells.comparable_with != comparable_with or cells.centres.shape[1] != dimension:
            cells = Learned.beginning(comparable_with, stacked.vectors, stacked.masses)
        described = np.zeros((len(cells.centres), len(stacked.nodes)))
        if len(cells.centres) and len(stacked.vectors):
            held = np.argmax(stacked.vectors @ cells.centres.T, axis=1)
            np.add.at(described, (held, stacked.owners), stacked.masses)
            described /= np.maximum(described.sum(axis=1, keepdims=True), 1)
        return Table(collections, comparable_with, stacked.nodes, cells, described, stacked.unknown)


def _why(selected: int, known: int, enough: int, counted: float) -> str:
    if not known:
        return "No hospital has described a collection."
    basis = f"by {counted:.0f} counts of who helped with such questions" if counted else "by descriptions alone"
    if selected == known:
        return f"Nothing lets a hospital be left out: all {known} are asked, {basis}."
    if selected < enough:
        return (
            f"{selected} of {known} hospitals are asked, as many as the cap allows of {enough} worth asking, {basis}."
        )
    return f"{selected} of {known} hospitals are asked: the fewest that make up what helps, {basis}."


def build(settings: Settings) -> KMeansRouting:
    return KMeansRouting(settings)
