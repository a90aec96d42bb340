"""Ask the fewest hospitals that are likely to hold what helps: what they describe, corrected by what came of asking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedrag.core.collection import CollectionDescription, RankedNode, RoutingDecision
from fedrag.core.config import Config
from fedrag.core.protocols import RoutingLimits
from fedrag.core.wire import FloatMatrix, FloatVector, NodeId
from router.choosing import Doubles, Flags, Positions, fewest, in_turn, turn_of, under_cap
from router.expectation import stack
from router.learning import Learned, Outcome
from router.likeness import Likeness

CERTAIN: Final = 0.999
"""No estimate of ours is surer."""
TEXT_SLOPE: Final = 1.5
"""Log-odds per unit of similarity between a question and a description, above that of the other descriptions: between
1.3 and 1.6 in logistic regressions of relevance on prior and similarity, each on all FeB4RAG origins but one."""
TURNS: Final = 2**32

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Chance = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class Settings(Config):
    width: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.03
    """Variance, in each direction, of the kernel about a prototype."""
    background: Chance = 0.02
    """Share of what helps that no description tells of: divided evenly among the hospitals that hold something."""
    coverage: Share = 0.95
    """Share of what is expected to help that the selected hospitals make up."""
    prior: Chance = 0.3
    """Probability of being useful of a hospital about which nothing comparable is known."""
    reserve: Chance = 0.1
    """Share of the cap, rounded up, that is kept for such hospitals when it binds; a cap of 1 keeps none."""
    exploration: Chance = 0.05
    """Share of the questions at which one hospital more is asked, that which was asked least for such questions; none
    before something was learned."""
    told: Annotated[int, Field(ge=1)] = 64
    """Hospitals in the decision's ranking, besides those selected."""


@dataclass(frozen=True, slots=True)
class Described:
    """What the descriptions of one moment come to. `texts` float32 (nodes, dimension) or None: unit vectors of what
    unknown hospitals say in words, 0 where nothing is known; `worded`: which have one; `columns`: where each node's
    counts are in what was learned, -1 where nothing was."""

    nodes: tuple[NodeId, ...]
    likeness: Likeness
    holding: Flags
    unknown: Flags
    texts: FloatMatrix | None
    worded: Flags
    columns: npt.NDArray[np.int64]


class MixtureRouting:
    """P(useful | question) = what the description promises × useful over expected of the past, near the question.

    What was derived from the last set of collections is kept; a decision depends on the arguments, and on what the
    policy was made with, alone.
    """

    def __init__(
        self, settings: Settings, learned: Learned | None = None, texts: Mapping[str, FloatVector] | None = None
    ) -> None:
        self._settings = settings
        self._learned = learned
        self._texts = texts or {}
        self._kept: tuple[tuple[CollectionDescription, ...], str, Described] | None = None

    def informed_by(self, learned: Learned | None, texts: Mapping[str, FloatVector] | None = None) -> "MixtureRouting":
        """The same policy with this experience. `texts`: the text of a description → its vector under the coordinator's
        encoder, as a passage; those it has when None."""
        made = MixtureRouting(self._settings, learned, self._texts if texts is None else texts)
        same = texts is None and _nodes(learned) is _nodes(self._learned)
        made._kept = self._kept if same else None
        return made

    def route(
        self,
        query: FloatVector,
        comparable_with: str,
        collections: Sequence[CollectionDescription],
        limits: RoutingLimits,
    ) -> RoutingDecision:
        described = self._described(tuple(collections), comparable_with, query.size)
        promised = self._promised(query, described)
        probability = np.minimum(promised * self._correction(query, comparable_with, described), CERTAIN)
        turn = turn_of(query)
        turns = in_turn(len(described.nodes), turn)
        ranked = turns[np.argsort(-probability[turns], kind="stable")]
        enough = fewest(probability[ranked], self._settings.coverage)
        selected = under_cap(ranked, enough, limits.maximum_nodes, described.unknown, self._settings.reserve)
        curious = self._explored(query, comparable_with, described, ranked, selected, turn, limits.maximum_nodes)
        asked = np.concatenate((selected, curious))
        told = ranked if len(ranked) <= self._settings.told else _first(ranked, asked, self._settings.told)
        order = asked if not len(curious) else told[np.isin(told, asked)]
        return RoutingDecision(
            policy="mixture",
            ranking=tuple(
                RankedNode(node=described.nodes[at], score=float(probability[at]), probability=float(probability[at]))
                for at in told
            ),
            selected=tuple(described.nodes[at] for at in order),
            why=self._why(described, probability, selected, enough, len(curious)),
        )

    def outcome(
        self,
        query: FloatVector,
        comparable_with: str,
        collections: Sequence[CollectionDescription],
        useful: Mapping[NodeId, float],
    ) -> Outcome:
        """What to learn from a question. `useful`: every hospital that was asked and answered → 1 where its passages
        won and were cited, else 0."""
        described = self._described(tuple(collections), comparable_with, query.size)
        promised = self._promised(query, described)
        expected = {node: float(promised[at]) for at, node in enumerate(described.nodes) if node in useful}
        return Outcome(query, expected, {node: useful[node] for node in expected})

    def _described(
        self, collections: tuple[CollectionDescription, ...], comparable_with: str, dimension: int
    ) -> Described:
        kept = self._kept
        if kept is None or kept[0] != collections or kept[1] != comparable_with:
            kept = (collections, comparable_with, self._describe(collections, comparable_with, dimension))
            self._kept = kept
        return kept[2]

    def _describe(
        self, collections: tuple[CollectionDescription, ...], comparable_with: str, dimension: int
    ) -> Described:
        stacked = stack(collections, comparable_with, dimension)
        at = {node: place for place, node in enumerate(stacked.nodes)}
        texts = np.zeros((len(at), dimension), dtype=np.float32)
        holding = np.zeros(len(at), dtype=np.bool_)
        for one in collections:
            holding[at[one.node]] |= one.passages > 0
            vector = self._texts.get(one.text) if one.text else None
            if stacked.unknown[at[one.node]] and vector is not None and vector.size == dimension:
                texts[at[one.node]] += vector
        lengths = np.linalg.norm(texts, axis=1)
        worded = lengths > 0
        texts[worded] /= lengths[worded, None]
        known = {node: place for place, node in enumerate(_nodes(self._learned))}
        return Described(
            nodes=stacked.nodes,
            likeness=Likeness.of(stacked, self._settings.width),
            holding=holding,
            unknown=stacked.unknown,
            texts=texts if worded.any() else None,
            worded=worded,
            columns=np.array([known.get(node, -1) for node in stacked.nodes], dtype=np.int64),
        )

    def _promised(self, query: FloatVector, described: Described) -> Doubles:
        """P(useful) by descriptions alone: a share of what is like the question, or the prior of an unknown hospital,
        raised or lowered by how like the question its words are."""
        settings, holding = self._settings, described.holding
        shares = described.likeness.shares(query)
        spread = settings.background / max(1, int(holding.sum()))
        promised = np.where(holding, (1 - settings.background) * shares + spread, 0.0)
        if not described.unknown.any():
            return promised
        prior = np.full(len(promised), settings.prior)
        if described.texts is not None:
            similarities = (described.texts @ query).astype(np.float64)
            above = np.where(described.worded, similarities - similarities[described.worded].mean(), 0.0)
            odds = settings.prior / (1 - settings.prior) * np.exp(TEXT_SLOPE * above)
            prior = odds / (1 + odds)
        return np.where(described.unknown, np.maximum(promised, prior), promised)

    def _correction(self, query: FloatVector, comparable_with: str, described: Described) -> Doubles:
        learned = self._relevant(comparable_with, query)
        if learned is None:
            return np.ones(len(described.nodes))
        corrections, everybody = learned.correction(query)
        return np.append(corrections, everybody)[described.columns]

    def _explored(
        self,
        query: FloatVector,
        comparable_with: str,
        described: Described,
        ranked: Positions,
        selected: Positions,
        turn: int,
        cap: int,
    ) -> Positions:
        """At some questions one hospital more, if the cap leaves room: of those that hold something, the one that was
        asked least near this question."""
        nobody = np.zeros(0, dtype=np.int64)
        learned = self._relevant(comparable_with, query)
        if learned is None or len(selected) >= cap or turn >= self._settings.exploration * TURNS:
            return nobody
        others = ranked[~np.isin(ranked, selected) & described.holding[ranked]]
        if not len(others):
            return nobody
        familiar = np.append(learned.familiarity(query), 0.0)[described.columns[others]]
        return others[[int(np.argmin(familiar))]]

    def _relevant(self, comparable_with: str, query: FloatVector) -> Learned | None:
        """What was learned, if it was learned of questions under this encoder."""
        learned = self._learned
        if learned is None or not len(learned.centres) or learned.comparable_with != comparable_with:
            return None
        return learned if learned.centres.shape[1] == query.size else None

    def _why(self, described: Described, probability: Doubles, selected: Positions, enough: int, curious: int) -> str:
        known, asked = len(described.nodes), len(selected)
        if not known:
            return "No hospital has described a collection."
        total = float(probability.sum())
        held = float(probability[selected].sum()) / total if total > 0 else 0.0
        if asked == known:
            reason = f"Nothing lets a hospital be left out: all {known} are asked"
        elif asked < enough:
            reason = (
                f"{asked} of {known} hospitals are asked, as many as the cap allows of {enough} worth asking, with"
                f" {held:.0%} of what is expected to help"
            )
        else:
            reason = f"{asked} of {known} hospitals are asked: the fewest that promise {held:.0%} of what helps"
        parts = [reason]
        if self._learned is not None:
            parts.append(f"by their descriptions and {self._learned.useful.sum():.0f} answers in which one helped")
        if curious:
            parts.append("one more to learn about it")
        unknown = int(described.unknown.sum())
        if unknown:
            parts.append(f"{unknown} cannot be compared and count with a prior")
        return "; ".join(parts) + "."


def _nodes(learned: Learned | None) -> tuple[NodeId, ...]:
    return learned.nodes if learned is not None else ()


def _first(ranked: Positions, asked: Positions, told: int) -> Positions:
    """The first few, and everyone who is asked, in their order."""
    shown = np.zeros(len(ranked), dtype=np.bool_)
    shown[ranked[:told]] = True
    shown[asked] = True
    return ranked[shown[ranked]]


def build(settings: Settings) -> MixtureRouting:
    return MixtureRouting(settings)
