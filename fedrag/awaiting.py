"""Answers that hospitals' staff may still add to. In memory alone, for a while, so many at most.

When such an answer is asked for, its hospitals are asked what was approved since; then merging and reasoning begin
again, over what there was and what is new. Nobody else is asked anything, and nothing happens while nobody looks.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from aggregator.near_duplicates import held_by
from fedrag import account
from fedrag.config import AwaitingConfig
from fedrag.core.answer import Answer, Completion
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import AwaitedRequest, NodeOutcome, NodeStatus, Offers
from fedrag.core.protocols import MergeMethod, NodeOffer, Winner
from fedrag.core.wire import NodeId
from fedrag.fanout import Gathered, ask_all
from fedrag.pipeline import Answered, Asked, Federation, conclude
from fedrag.stopwatch import Stopwatch

NOTHING_RELEASED: Final = "nothing_released"
"""Of a hospital whose staff released nothing in time; whether it holds anything that fits is not said."""
_LOOK_SHARE: Final = 0.35
"""Of the deadline, for asking the hospitals; reasoning gets the rest."""


@dataclass(slots=True)
class _Kept:
    answer: Answer
    asked: Asked
    owner: str
    until_s: float
    next_s: float
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class AwaitingDesk:
    """The oldest go when there are too many. `clock`: monotonic seconds; `now`: the time of day, UTC."""

    settings: AwaitingConfig
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)

    def keep(self, answered: Answered, owner: str) -> float:
        """For how many seconds the answer can still be completed; 0: there is nothing to wait for."""
        self._forget()
        answer, asked = answered.answer, standing(answered)
        if asked is None or not answer.awaiting:
            return 0.0
        left_s = (max(one.until for one in answer.awaiting) - self.now()).total_seconds()
        now_s = self.clock()
        until_s = now_s + max(0.0, min(left_s, self.settings.keep_h * 3600))
        self._kept[answer.id] = _Kept(answer, asked, owner, until_s, now_s)
        while len(self._kept) > self.settings.maximum:
            self._kept.popitem(last=False)
        return self.left_s(answer.id)

    async def look(self, answer_id: str, owner: str, parts: Federation, deadline_ms: float) -> Answer | None:
        """The answer as it is by now, where that is another than before; None as well when somebody has just looked.
        What a hospital does raises nothing."""
        self._forget()
        kept = self._kept.get(answer_id)
        if kept is None or kept.owner != owner or kept.next_s > self.clock() or kept.one_at_a_time.locked():
            return None
        async with kept.one_at_a_time:
            kept.next_s = self.clock() + self.settings.every_s
            before = kept.answer
            kept.answer, kept.asked = await completed(before, kept.asked, parts, Deadline.after_ms(deadline_ms))
        if not kept.answer.awaiting:
            self._kept.pop(answer_id, None)
        return kept.answer if kept.answer != before else None

    def left_s(self, answer_id: str) -> float:
        """For how many more seconds the answer can be completed."""
        kept = self._kept.get(answer_id)
        return 0.0 if kept is None else max(0.0, kept.until_s - self.clock())

    def _forget(self) -> None:
        now_s = self.clock()
        for answer_id in [one for one, kept in self._kept.items() if kept.until_s <= now_s]:
            del self._kept[answer_id]


def standing(answered: Answered) -> Asked | None:
    """What a question needs to come by again: the offers whose text was released (no other can win any more), and what
    was collected."""
    asked, collected = answered.asked, answered.collected
    if asked is None:
        return None
    there = {(release.node, passage.handle) for release in collected.releases for passage in release.passages}
    won = [one for one in collected.winners if (one.node, one.offer.handle) in there]
    values = {
        node: made.model_copy(update={"offers": tuple(one.offer for one in won if one.node == node), "release": None})
        for node, made in asked.offered.values.items()
    }
    return replace(asked, offered=replace(asked.offered, values=values), before=collected)


async def completed(answer: Answer, asked: Asked, parts: Federation, deadline: Deadline) -> tuple[Answer, Asked]:
    """The answer with what was released since, or as it is; hospitals that have no more to say are no longer waited
    for."""
    late = await ask_for_awaited(answer, asked, parts, deadline.share(_LOOK_SHARE))
    said = {node: made for node, made in late.values.items() if made.offers or not made.awaiting_release}
    released = sorted(node for node, made in said.items() if made.offers)
    values = dict(asked.offered.values)
    for node, made in said.items():
        values[node] = made.model_copy(update={"offers": (*values[node].offers, *made.offers), "awaiting_until": None})
    asked = replace(asked, offered=replace(asked.offered, values=values))
    if released:
        again = await _again(asked, late, parts, deadline)
        answer, asked = _as_completed(answer, again.answer, released), standing(again) or asked
    return _as_waiting(answer, asked, said.keys() - set(released)), asked


async def ask_for_awaited(answer: Answer, asked: Asked, parts: Federation, deadline: Deadline) -> Gathered[Offers]:
    """Of the hospitals that may still release something, and are still there."""

    def request(node: NodeId) -> AwaitedRequest:
        return AwaitedRequest(
            request_id=answer.id,
            coordinator=parts.coordinator,
            node=node,
            processor=parts.processor,
            deadline_ms=deadline.remaining_ms(),
            token=parts.issuer.token(asked.hop.asker, node) if parts.issuer else None,
        )

    nodes = [parts.nodes[one.node] for one in answer.awaiting if one.node in parts.nodes]
    return await ask_all(nodes, lambda node: node.awaited(request(node.id), deadline), deadline, parts.breaker)


async def _again(asked: Asked, late: Gathered[Offers], parts: Federation, deadline: Deadline) -> Answered:
    """Everything that was released finds room: somebody looked at it and said it may be read for this question."""
    room = sum(len(made.offers) for made in asked.offered.values.values())
    deadline = replace(deadline, purse=asked.hop.deadline.purse)
    hop = replace(asked.hop, limits=replace(asked.hop.limits, passages=room), deadline=deadline)
    before = replace(asked.before, rounds=(*asked.before.rounds, late))
    folded = {winner.offer.handle: winner.also_held_by for winner in before.winners}
    parts = replace(parts, merging=_Refolding(parts.merging, folded))
    return await conclude(replace(asked, hop=hop, before=before), parts, Stopwatch())


def _as_completed(first: Answer, again: Answer, released: Sequence[NodeId]) -> Answer:
    """Only what became of those that released is another now."""
    now = {one.node: one for one in again.coverage if one.node in released}
    earlier = first.completed
    return again.model_copy(
        update={
            "coverage": tuple(now.get(one.node, one) for one in first.coverage),
            "conversation": first.conversation,
            "rewritten": first.rewritten,
            "completed": Completion(
                first_answered_at=earlier.first_answered_at if earlier else first.answered_at,
                released=tuple(sorted({*released, *(earlier.released if earlier else ())})),
                before=(*(earlier.before if earlier else ()), *(one for one in first.coverage if one.node in now)),
            ),
        }
    )


def _as_waiting(answer: Answer, asked: Asked, over: Collection[NodeId]) -> Answer:
    """The answer as it is, for what is still waited for."""

    def outcome(one: NodeOutcome) -> NodeOutcome:
        if one.node not in over or one.status is not NodeStatus.AWAITING_RELEASE:
            return one
        return one.model_copy(update={"status": NodeStatus.ANSWERED, "code": NOTHING_RELEASED})

    values = asked.offered.values
    return answer.model_copy(
        update={
            "coverage": tuple(outcome(one) for one in answer.coverage),
            "awaiting": account.awaiting(values),
            "notices": (*asked.notices, *account.awaiting_notices(values, reason=asked.hop.reason is not None)),
        }
    )


@dataclass(frozen=True, slots=True)
class _Refolding:
    """A merge method over offers that were merged before: what was folded into one stays folded into it."""

    method: MergeMethod
    also_held_by: Mapping[str, tuple[NodeId, ...]]

    @property
    def name(self) -> str:
        return self.method.name

    def merge(self, offers: Sequence[NodeOffer], k: int) -> tuple[Winner, ...]:
        winners = self.method.merge(offers, k)
        return tuple(held_by(one, *self.also_held_by.get(one.offer.handle, ())) for one in winners)
