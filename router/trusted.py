"""A routing policy that is shown descriptions as far as they are believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fedrag.core.collection import CollectionDescription, RankedNode, RoutingDecision
from fedrag.core.protocols import RoutingLimits, RoutingPolicy
from fedrag.core.wire import FloatVector, NodeId
from router.choosing import in_turn, turn_of
from router.expectation import stack
from router.trust import Density, Standing, Trust

CLAIMED: Final = 0.2
"""Share of what is like a question that a hospital in audit must claim to be asked out of turn."""
CURIOUS: Final = 0.25
"""Share of those questions at which one such hospital is asked besides."""
RIVALS: Final = 8
UNPROVEN: Final = 0.05
"""Share of all questions at which a hospital is that shows nothing a description could be held against."""
_TURNS: Final = 2**32


@dataclass(frozen=True, slots=True)
class Believed:
    """`collections` as the policy is to see them; `counting`: what counts of each hospital that is believed; `waiting`:
    what hospitals claim that are in audit; `last`: those that come after all others."""

    given: tuple[CollectionDescription, ...]
    collections: tuple[CollectionDescription, ...]
    counting: Mapping[NodeId, Density]
    waiting: tuple[tuple[NodeId, Density], ...]
    last: frozenset[NodeId]
    hospitals: int


class Trusted:
    """`policy`, for which a hospital in audit, or distrusted, holds nothing: it comes last, and its claims take nothing
    from others. At some questions that it claims to know about one hospital in audit is asked besides, so that it can
    show what it has. Where nobody is believed yet nothing is left out that the cap has room for."""

    def __init__(self, policy: RoutingPolicy, trust: Trust) -> None:
        self._policy, self._trust = policy, trust
        self._kept: tuple[str, Believed] | None = None

    def trusting(self, trust: Trust) -> "Trusted":
        """The same, by what is known now."""
        return self if trust is self._trust else Trusted(self._policy, trust)

    def around(self, policy: RoutingPolicy) -> "Trusted":
        """Another policy, by the same trust; what was derived from the descriptions is kept."""
        made = Trusted(policy, self._trust)
        made._kept = self._kept
        return made

    def route(
        self,
        query: FloatVector,
        comparable_with: str,
        collections: Sequence[CollectionDescription],
        limits: RoutingLimits,
    ) -> RoutingDecision:
        believed = self._believed(tuple(collections), comparable_with, query.size)
        decision = self._policy.route(query, comparable_with, believed.collections, limits)
        if not believed.last:
            return decision
        if len(believed.last) == believed.hospitals:
            return self._everyone(query, comparable_with, believed, limits)
        ranking = [one for one in decision.ranking if one.node not in believed.last]
        least = min((one.probability for one in ranking), default=0.0)
        ranking += [
            RankedNode(node=one.node, score=min(one.score, 0.0), probability=min(one.probability, least))
            for one in decision.ranking
            if one.node in believed.last
        ]
        selected = tuple(node for node in decision.selected if node not in believed.last)
        besides = self._besides(query, believed, ranking) if len(selected) < limits.maximum_nodes else ()
        told = {one.node for one in ranking}
        ranking += [RankedNode(node=node, score=0.0, probability=UNPROVEN) for node in besides if node not in told]
        why = f"{decision.why.rstrip('.')}; {len(believed.last)} not believed yet"
        return decision.model_copy(
            update={
                "ranking": tuple(ranking),
                "selected": (*selected, *besides),
                "why": f"{why}, one of them asked to show what it has." if besides else f"{why}.",
            }
        )

    def _everyone(
        self, query: FloatVector, comparable_with: str, believed: Believed, limits: RoutingLimits
    ) -> RoutingDecision:
        """Nothing is known of anybody: all are asked, or as many as the cap allows, in turn."""
        decision = self._policy.route(query, comparable_with, believed.given, limits)
        nodes = sorted(believed.last)
        turns = in_turn(len(nodes), turn_of(query))[: limits.maximum_nodes]
        selected = tuple(nodes[at] for at in turns)
        told = {one.node for one in decision.ranking}
        more = [RankedNode(node=node, score=0.0, probability=UNPROVEN) for node in selected if node not in told]
        why = f"No description was audited yet: {len(selected)} of {len(nodes)} hospitals are asked, whatever they say."
        return decision.model_copy(update={"ranking": (*decision.ranking, *more), "selected": selected, "why": why})

    def _believed(
        self, collections: tuple[CollectionDescription, ...], comparable_with: str, dimension: int
    ) -> Believed:
        if self._kept is None or self._kept[0] != comparable_with or self._kept[1].given != collections:
            self._kept = comparable_with, believe(collections, self._trust, comparable_with, dimension)
        return self._kept[1]

    def _besides(self, query: FloatVector, believed: Believed, ranking: Sequence[RankedNode]) -> tuple[NodeId, ...]:
        """At most one; which, and whether, follows from the question alone. What they claim is held against what the
        first of the ranking hold."""
        turn = turn_of(query) / _TURNS
        dumb = [node for node, claims in believed.waiting if not len(claims.masses)]
        if dumb and turn < UNPROVEN:
            return (dumb[int(turn / UNPROVEN * len(dumb))],)
        if turn >= CURIOUS:
            return ()
        claimed = {node: float(claims.terms(query).sum()) for node, claims in believed.waiting}
        first = [believed.counting[one.node] for one in ranking[:RIVALS] if one.node in believed.counting]
        known = sum(float(one.terms(query).sum()) for one in first)
        sure = [node for node, own in claimed.items() if own > 0 and own >= CLAIMED * (own + known)]
        if not sure:
            return ()
        return (sure[int(turn / CURIOUS * len(sure))],)


def claims_of(
    collections: Sequence[CollectionDescription], comparable_with: str, dimension: int
) -> dict[NodeId, Density]:
    """What each hospital claims that can be compared, clamped as routing policies do."""
    stacked = stack(collections, comparable_with, dimension)
    return {
        node: Density(stacked.vectors[own], stacked.masses[own].astype(np.float64))
        for at, node in enumerate(stacked.nodes)
        for own in (stacked.owners == at,)
    }


def believe(
    collections: tuple[CollectionDescription, ...], trust: Trust, comparable_with: str, dimension: int
) -> Believed:
    """Every description with the prototypes and passages that count. One that counts for nothing has no passages: to a
    policy it is a hospital without documents."""
    claims = claims_of(collections, comparable_with, dimension)
    standing = trust.standings(claims)
    made: list[CollectionDescription] = []
    counting: dict[NodeId, Density] = {}
    for node in sorted(claims):
        record = trust.records.get(node)
        own = sorted((one for one in collections if one.node == node), key=lambda one: one.collection)
        if record is None or standing[node] is not Standing.BELIEVED or not record.claims.same(claims[node]):
            made += [one.model_copy(update={"passages": 0, "prototypes": ()}) for one in own]
            continue
        counted, at = record.counted(), 0
        counting[node] = Density(claims[node].vectors, counted)
        for one in own:
            number = len(one.prototypes) if _compared(one, comparable_with, dimension) else 0
            if number:
                made.append(_counting(one, counted[at : at + number]))
            else:
                made.append(one if record.words else one.model_copy(update={"passages": 0, "prototypes": ()}))
            at += number
    waiting = tuple((node, claims[node]) for node in sorted(claims) if standing[node] is Standing.AUDIT)
    last = frozenset(node for node in claims if standing[node] is not Standing.BELIEVED)
    return Believed(collections, tuple(made), counting, waiting, last, len(claims))


def _compared(one: CollectionDescription, comparable_with: str, dimension: int) -> bool:
    same = one.encoder.comparable_with == comparable_with
    return same and bool(one.prototypes) and one.encoder.dimension == dimension


def _counting(
    one: CollectionDescription, masses: "np.ndarray[tuple[int], np.dtype[np.float64]]"
) -> CollectionDescription:
    whole = np.rint(masses).astype(np.int64)
    if [prototype.mass for prototype in one.prototypes] == whole.tolist():
        return one
    kept = tuple(
        prototype.model_copy(update={"mass": int(mass)})
        for prototype, mass in zip(one.prototypes, whole, strict=True)
        if mass > 0
    )
    return one.model_copy(update={"prototypes": kept, "passages": min(one.passages, int(whole.sum()))})
