"""A routing policy that is shown descriptions as far as they are believed."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from fedrag.core.collection import CollectionDescription, RankedNode, RoutingDecision
from fedrag.core.protocols import RoutingLimits, RoutingPolicy
from fedrag.core.wire import FloatVector, NodeId
from router.believed import Believed, believe
from router.choosing import in_turn, turn_of
from router.trust import Trust

CLAIMED: Final = 0.05
"""Share of what is like a question that a hospital in audit must claim to be asked out of turn: that for which it would
be asked if it were believed."""
CURIOUS: Final = 0.25
"""Share of those questions at which one such hospital is asked besides."""
RIVALS: Final = 8
UNPROVEN: Final = 0.05
"""Share of all questions at which a hospital is that shows nothing a description could be held against."""
_TURNS: Final = 2**32


class Trusted:
    """`policy`, for which a hospital in audit, or distrusted, holds nothing: it comes last, and its claims take nothing
    from others. At some questions that it claims to know about one hospital in audit is asked besides, so that it can
    show what it has. Where nobody is believed yet nothing is left out that the cap has room for."""

    def __init__(self, policy: RoutingPolicy, trust: Trust) -> None:
        self._policy, self._trust = policy, trust
        self._kept: tuple[str, Trust, Believed] | None = None

    def trusting(self, trust: Trust) -> "Trusted":
        """The same, by what is known now; what was derived of hospitals for which nothing changed is kept."""
        return self if trust is self._trust else self._with(self._policy, trust)

    def around(self, policy: RoutingPolicy) -> "Trusted":
        """Another policy, by the same trust; what was derived from the descriptions is kept."""
        return self._with(policy, self._trust)

    def _with(self, policy: RoutingPolicy, trust: Trust) -> "Trusted":
        made = Trusted(policy, trust)
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
        if len(believed.last) == len(believed.hospitals):
            return self._everyone(query, comparable_with, believed, limits)
        ranking = [one for one in decision.ranking if one.node not in believed.last]
        least = min((one.probability for one in ranking), default=0.0)
        ranking += [
            one
            if one.score <= 0 and one.probability <= least
            else RankedNode(node=one.node, score=min(one.score, 0.0), probability=min(one.probability, least))
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
        means, trust, believed = self._kept or (comparable_with, None, None)
        if believed is not None and means != comparable_with:
            believed = None
        if believed is None or trust is not self._trust or believed.given != collections:
            believed = believe(collections, self._trust, comparable_with, dimension, believed)
            self._kept = comparable_with, self._trust, believed
        return believed

    def _besides(self, query: FloatVector, believed: Believed, ranking: Sequence[RankedNode]) -> tuple[NodeId, ...]:
        """At most one; which, and whether, follows from the question alone. What they claim is held against what the
        first of the ranking hold."""
        turn, dumb = turn_of(query) / _TURNS, believed.dumb
        if dumb and turn < UNPROVEN:
            return (dumb[int(turn / UNPROVEN * len(dumb))],)
        if turn >= CURIOUS or not believed.waited:
            return ()
        claimed = np.bincount(believed.whose, weights=believed.waiting.terms(query), minlength=len(believed.waited))
        first = [believed.hospitals[one.node].counting for one in ranking[:RIVALS]]
        known = sum(float(one.terms(query).sum()) for one in first if one is not None)
        sure = np.flatnonzero((claimed > 0) & (claimed >= CLAIMED * (claimed + known)))
        return (believed.waited[sure[int(turn / CURIOUS * len(sure))]],) if len(sure) else ()
