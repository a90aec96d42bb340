"""Ask the fewest hospitals that are likely to hold what helps: what they describe, corrected by what came of asking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fedrag.core.collection import CollectionDescription, RankedNode, RoutingDecision
from fedrag.core.config import Config
from fedrag.core.protocols import RoutingLimits
from fedrag.core.wire import FloatMatrix, FloatVector, NodeId
from router.choosing import Doubles, Flags, Positions, fewest, in_turn, turn_of, under_cap
from router.expectation import UnpackedByName, stack
from router.learning import Learned, Outcome
from router.likeness import Likeness, Reading
from router.regression import features_of

CERTAIN: Final = 0.999
"""No estimate of ours is surer."""
TEXT_SLOPE: Final = 1.5
"""Log-odds per unit of similarity between a question and a description, above that of the other descriptions: between
1.3 and 1.6 in logistic regressions of relevance on prior and similarity, each on all FeB4RAG origins but one."""
TURNS: Final = 2**32
KEPT: Final = 2
"""Sets of collections of which what was derived is kept: all, and those that one question may be put to."""
PASSAGES: Final = 10
"""Passages wanted, at which `width` holds."""
WIDENING: Final = 1 / 6
"""The variance grows with this power of the passages wanted: the more are wanted, the further away they lie. With it
the share of the 1, 10 and 50 nearest passages that the hospitals asked hold is the same, on MedQuAD and PubMedQA."""

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
    telling: Chance = 0.33
    """Part of the uncertainty about a passage's hospital that descriptions near the question must take away; where they
    tell less, everybody is asked: whoever was left out would be left out by chance. 0: never."""
    padded: Annotated[int, Field(ge=0)] = 0
    """Hospitals asked at least, with others drawn at random where fewer are worth asking: who sees the connections then
    learns less of the question. The same question draws the same ones."""
    told: Annotated[int, Field(ge=1)] = 64
    """Hospitals in the decision's ranking, besides those selected."""


@dataclass(frozen=True, slots=True)
class Described:
    """What the descriptions of one moment come to. `texts` float32 (nodes, dimension) or None: unit vectors of what
    unknown hospitals say in words, 0 where nothing is known; `worded`: which have one."""

    nodes: tuple[NodeId, ...]
    likeness: Likeness
    holding: Flags
    unknown: Flags
    texts: FloatMatrix | None
    worded: Flags


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was derived, and from what; None: not of what there is now. `unpacked` is carried on."""

    collections: tuple[CollectionDescription, ...] | None
    comparable_with: str
    described: Described
    unpacked: UnpackedByName


@dataclass(frozen=True, slots=True)
class _Choice:
    """Of the hospitals `ranked`, `enough` were wanted and `selected` fit under the cap; `curious`: one more or none;
    `decoys`: drawn at random. `alike`: descriptions do not tell them apart."""

    alike: bool
    ranked: Positions
    enough: int
    selected: Positions
    curious: Positions
    decoys: Positions


class MixtureRouting:
    """P(useful | question) = what the description promises × useful over expected of the past, near the question.

    What was derived from the last set of collections is kept, and what did not change is not derived again; a decision
    depends on the arguments, and on what the policy was made with, alone (among thousands of prototypes also on the
    groups that they fell into when groups were last made: see `Likeness`).
    """

    def __init__(
        self, settings: Settings, learned: Learned | None = None, texts: Mapping[str, FloatVector] | None = None
    ) -> None:
        self._settings = settings
        self._learned = learned
        self._texts = texts or {}
        self._kept: tuple[_Kept, ...] = ()
        self._columns: tuple[Described, Positions] | None = None
        self._lines: tuple[Doubles, Doubles] | None = None

    def informed_by(self, learned: Learned | None, texts: Mapping[str, FloatVector] | None = None) -> "MixtureRouting":
        """The same policy with this experience. `texts`: the text of a description → its vector under the coordinator's
        encoder, as a passage; those it has when None."""
        made = MixtureRouting(self._settings, learned, self._texts if texts is None else texts)
        # Where words are read anew, what was unpacked still holds.
        made._kept = self._kept if texts is None else tuple(replace(one, collections=None) for one in self._kept)
        return made

    def set_to(self, settings: Settings) -> "MixtureRouting":
        """With other settings, and the same knowledge; what was derived is kept where the kernel is the same."""
        made = MixtureRouting(settings, self._learned, self._texts)
        made._kept = self._kept if settings.width == self._settings.width else ()
        return made

    def prepare(self, collections: Sequence[CollectionDescription], comparable_with: str, dimension: int) -> Likeness:
        """Derive now what the next question about these collections would have to wait for."""
        return self._described(tuple(collections), comparable_with, dimension).likeness

    def route(
        self,
        query: FloatVector,
        comparable_with: str,
        collections: Sequence[CollectionDescription],
        limits: RoutingLimits,
    ) -> RoutingDecision:
        described = self._described(tuple(collections), comparable_with, query.size)
        reading = described.likeness.read(query, self._settings.width * (limits.passages / PASSAGES) ** WIDENING)
        promised = self._promised(query, described, reading)
        corrected = np.minimum(promised * self._correction(query, comparable_with, described), CERTAIN)
        probability = self._regressed(query, comparable_with, described, corrected)
        choice = self._chosen(query, comparable_with, described, probability, reading.telling, limits)
        ranked, asked = choice.ranked, np.concatenate((choice.selected, choice.curious, choice.decoys))
        told = ranked if len(ranked) <= self._settings.told else _first(ranked, asked, self._settings.told)
        order = asked if len(asked) == len(choice.selected) else told[np.isin(told, asked)]
        return RoutingDecision(
            policy="mixture",
            ranking=tuple(
                RankedNode(node=described.nodes[at], score=float(probability[at]), probability=float(probability[at]))
                for at in told
            ),
            selected=tuple(described.nodes[at] for at in order),
            why=self._why(described, probability, choice),
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
        promised = self._promised(query, described, described.likeness.read(query, self._settings.width))
        expected = {node: float(promised[at]) for at, node in enumerate(described.nodes) if node in useful}
        unknown = frozenset(described.nodes[at] for at in np.flatnonzero(described.unknown))
        helped = {node: useful[node] for node in expected}
        return Outcome(query, expected, helped, unknown=unknown.intersection(expected))

    def _described(
        self, collections: tuple[CollectionDescription, ...], comparable_with: str, dimension: int
    ) -> Described:
        for kept in self._kept:
            if kept.collections == collections and kept.comparable_with == comparable_with:
                return kept.described
        known = max(
            (kept for kept in self._kept if kept.comparable_with == comparable_with),
            key=lambda kept: len(kept.unpacked),
            default=None,
        )
        made = self._describe(collections, comparable_with, dimension, known)
        self._kept = (made, *self._kept)[:KEPT]
        return made.described

    def _describe(
        self, collections: tuple[CollectionDescription, ...], comparable_with: str, dimension: int, known: _Kept | None
    ) -> _Kept:
        unpacked = dict(known.unpacked) if known else {}
        before = {name: one.described for name, one in unpacked.items()}
        stacked = stack(collections, comparable_with, dimension, unpacked)
        changed = sum(len(one.masses) for name, one in unpacked.items() if before.get(name) is not one.described)
        with threadpool_limits(1, user_api="blas"):  # many small products, which threads only make slower
            likeness = Likeness.of(stacked, self._settings.width, known.described.likeness if known else None, changed)
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
        described = Described(
            nodes=stacked.nodes,
            likeness=likeness,
            holding=holding,
            unknown=stacked.unknown,
            texts=texts if worded.any() else None,
            worded=worded,
        )
        return _Kept(collections, comparable_with, described, unpacked)

    def _chosen(
        self,
        query: FloatVector,
        comparable_with: str,
        described: Described,
        probability: Doubles,
        telling: float,
        limits: RoutingLimits,
    ) -> _Choice:
        """The fewest, best first, that reach the target, under the cap; everybody where nothing tells them apart."""
        turn = turn_of(query)
        turns = in_turn(len(described.nodes), turn)
        ranked = turns[np.argsort(-probability[turns], kind="stable")]
        alike = 0 < self._settings.telling > telling
        if alike:
            enough = int(described.holding.sum()) or len(ranked)
        else:
            target = self._settings.coverage if limits.target is None else limits.target
            enough = max(fewest(probability[ranked], target), min(limits.minimum_nodes, len(ranked)))
        selected = under_cap(ranked, enough, limits.maximum_nodes, described.unknown, self._settings.reserve)
        curious = self._explored(query, comparable_with, described, ranked, selected, turn, limits.maximum_nodes)
        decoys = self._decoys(described, np.concatenate((selected, curious)), turn, limits.maximum_nodes)
        return _Choice(alike, ranked, enough, selected, curious, decoys)

    def _decoys(self, described: Described, asked: Positions, turn: int, cap: int) -> Positions:
        """As many as lack to the number that every question is to be put to."""
        lacking = min(self._settings.padded, cap) - len(asked)
        if lacking <= 0:
            return np.zeros(0, dtype=np.int64)
        others = np.setdiff1d(np.flatnonzero(described.holding), asked)
        random = np.random.default_rng(turn)
        return random.permutation(others)[:lacking]

    def _promised(self, query: FloatVector, described: Described, reading: Reading) -> Doubles:
        """P(useful) by descriptions alone: a share of what is like the question, or the prior of an unknown hospital,
        raised or lowered by how like the question its words are."""
        settings, holding = self._settings, described.holding
        spread = settings.background / max(1, int(holding.sum()))
        promised = np.where(holding, (1 - settings.background) * reading.shares + spread, 0.0)
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
        return np.append(corrections, everybody)[self._columns_of(learned, described)]

    def _regressed(
        self, query: FloatVector, comparable_with: str, described: Described, probability: Doubles
    ) -> Doubles:
        """Of hospitals that cannot be compared, together with what a line over the cells makes of the question."""
        learned = self._relevant(comparable_with, query)
        if learned is None or learned.regressions is None or not described.unknown.any():
            return probability
        if self._lines is None:
            self._lines = learned.regressions.lines(), learned.regressions.shares()
        lines, shares = self._lines
        estimate = np.clip(lines @ features_of(query, learned.centres), 0.0, CERTAIN)
        made = probability.copy()
        column = {node: at for at, node in enumerate(learned.regressions.nodes)}
        for place in np.flatnonzero(described.unknown):
            at = column.get(described.nodes[place])
            if at is not None:
                made[place] += shares[at] * (estimate[at] - made[place])
        return made

    def _columns_of(self, learned: Learned, described: Described) -> Positions:
        """Where each node's counts are in what was learned, -1 where nothing was."""
        kept = self._columns
        if kept is None or kept[0] is not described:
            known = {node: place for place, node in enumerate(learned.nodes)}
            kept = described, np.array([known.get(node, -1) for node in described.nodes], dtype=np.int64)
            self._columns = kept
        return kept[1]

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
        familiar = np.append(learned.familiarity(query), 0.0)[self._columns_of(learned, described)[others]]
        return others[[int(np.argmin(familiar))]]

    def _relevant(self, comparable_with: str, query: FloatVector) -> Learned | None:
        """What was learned, if it was learned of questions under this encoder."""
        learned = self._learned
        if learned is None or not len(learned.centres) or learned.comparable_with != comparable_with:
            return None
        return learned if learned.centres.shape[1] == query.size else None

    def _why(self, described: Described, probability: Doubles, choice: _Choice) -> str:
        known, asked = len(described.nodes), len(choice.selected)
        if not known:
            return "No hospital has described a collection."
        total = float(probability.sum())
        held = float(probability[choice.selected].sum()) / total if total > 0 else 0.0
        if asked == known:
            reason = f"Nothing lets a hospital be left out: all {known} are asked"
        elif asked < choice.enough:
            reason = (
                f"{asked} of {known} hospitals are asked, as many as the cap allows of {choice.enough} worth asking,"
                f" with {held:.0%} of what is expected to help"
            )
        else:
            reason = f"{asked} of {known} hospitals are asked: the fewest that promise {held:.0%} of what helps"
        parts = [reason]
        if choice.alike:
            parts.append("descriptions hardly tell them apart")
        if self._learned is not None:
            parts.append(f"by their descriptions and {self._learned.useful.sum():.0f} answers in which one helped")
        if len(choice.curious):
            parts.append("one more to learn about it")
        if len(choice.decoys):
            parts.append(f"{len(choice.decoys)} more at random, so that who is asked tells less")
        unknown = int(described.unknown.sum())
        if unknown:
            parts.append(f"{unknown} cannot be compared and count with a prior")
        return "; ".join(parts) + "."


def _first(ranked: Positions, asked: Positions, told: int) -> Positions:
    """The first few, and everyone who is asked, in their order."""
    shown = np.zeros(len(ranked), dtype=np.bool_)
    shown[ranked[:told]] = True
    shown[asked] = True
    return ranked[shown[ranked]]


def build(settings: Settings) -> MixtureRouting:
    return MixtureRouting(settings)
