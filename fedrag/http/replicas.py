"""One hospital at several addresses, and how much may be asked twice."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from opentelemetry.trace import SpanKind

from fedrag.core.collection import NodeDescription
from fedrag.core.deadline import Deadline
from fedrag.core.errors import Unavailable
from fedrag.core.exchange import AwaitedRequest, OfferRequest, Offers, Release, ReleaseRequest
from fedrag.core.protocols import Node, ReasoningNode, Reply
from fedrag.core.statistics import KEY, A, Q, Step
from fedrag.core.traces import Trace, TraceRequest
from fedrag.core.wire import Base64, NodeId
from fedrag.tracing import span

T = TypeVar("T")
_BROKEN: Final = "connection_broken"
_UNREACHABLE: Final = "unreachable"
_BAD_STATUS: Final = "bad_status"
_SAMPLES: Final = 64
_ENOUGH_SAMPLES: Final = 8


@dataclass(slots=True)
class RetryBudget:
    """A token bucket shared by a federation: an outage must not be made worse by asking everything twice.

    Each request earns `ratio`, each further attempt costs one; `floor_per_s` comes in any case, so that a quiet
    federation can retry too; never more than `burst` are kept.
    """

    ratio: float = 0.1
    floor_per_s: float = 1.0
    burst: float = 10.0
    clock: Callable[[], float] = time.monotonic
    attempts: dict[str, int] = field(default_factory=lambda: {"retry": 0, "hedge": 0, "denied": 0})
    """Further attempts since the start, by what they were for."""
    _tokens: float = field(init=False)
    _at_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._tokens, self._at_s = self.burst, self.clock()

    def earn(self) -> None:
        self._refill()
        self._tokens = min(self.burst, self._tokens + self.ratio)

    def spend(self, purpose: str) -> bool:
        """Whether one more attempt may be made, for "retry" or "hedge"."""
        self._refill()
        granted = self._tokens >= 1
        self._tokens -= 1.0 if granted else 0.0
        self.attempts[purpose if granted else "denied"] += 1
        return granted

    def _refill(self) -> None:
        now_s = self.clock()
        self._tokens = min(self.burst, self._tokens + (now_s - self._at_s) * self.floor_per_s)
        self._at_s = now_s


@dataclass(slots=True)
class Latency:
    """The 95th percentile of the last answers, as a delay after which asking elsewhere is worth it: within bounds,
    and a fixed guess before enough is known."""

    floor_s: float = 0.05
    guess_s: float = 0.25
    ceiling_s: float = 2.0
    _last_s: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))

    def add(self, seconds: float) -> None:
        self._last_s.append(seconds)

    def hedge_after_s(self) -> float:
        if len(self._last_s) < _ENOUGH_SAMPLES:
            return self.guess_s
        ordered = sorted(self._last_s)
        return min(max(ordered[int(0.95 * (len(ordered) - 1))], self.floor_s), self.ceiling_s)


@dataclass(slots=True)
class ReplicatedNode:
    """`Node` over the replicas of one hospital, which share its key and its memory of charges.

    The replica that answered last is asked first. When it is slow the next one is asked too, and the first good answer
    counts; when its connection breaks, the next one is asked instead, or the same one again where there is no other.
    What a replica itself answers, a refusal too, is final. Charges are idempotent on (request, handle): whichever
    answers a release, it is paid once.
    """

    replicas: Sequence[Node]
    budget: RetryBudget
    _latency: dict[str, Latency] = field(default_factory=dict)
    _first: int = 0
    _summing: int = 0

    @property
    def id(self) -> NodeId:
        return self.replicas[0].id

    @property
    def public_key(self) -> Base64:
        return self.replicas[0].public_key

    async def describe(self, deadline: Deadline) -> Reply[NodeDescription]:
        return await self._ask("describe", lambda node: node.describe(deadline))

    async def offers(self, request: OfferRequest, deadline: Deadline) -> Reply[Offers]:
        return await self._ask("offers", lambda node: node.offers(request, deadline))

    async def release(self, request: ReleaseRequest, deadline: Deadline) -> Reply[Release]:
        return await self._ask("release", lambda node: node.release(request, deadline))

    async def awaited(self, request: AwaitedRequest, deadline: Deadline) -> Reply[Offers]:
        return await self._ask("awaited", lambda node: node.awaited(request, deadline))

    async def trace(self, request: TraceRequest, deadline: Deadline) -> Reply[Trace]:
        """Of the first replica that can: one that is slow is thinking, and two would think the same."""
        with span("node trace", SpanKind.CLIENT, node=self.id):
            replica = self.replicas[self._first]
            if not isinstance(replica, ReasoningNode):
                raise Unavailable("this hospital makes no chain of thought", code="no_reasoner")
            return await replica.trace(request, deadline)

    async def take_part(self, step: Step[Q, A], request: Q, deadline: Deadline) -> Reply[A]:
        """All steps of a round go to the replica that it began with, once each: no other one knows of it."""
        if step.name == KEY.name:
            self._summing = self._first
        with span("node statistics", SpanKind.CLIENT, node=self.id):
            return await self.replicas[self._summing].take_part(step, request, deadline)

    async def _ask(self, operation: str, call: Callable[[Node], Awaitable[Reply[T]]]) -> Reply[T]:
        with span(f"node {operation}", SpanKind.CLIENT, node=self.id):
            return await self._first_good(operation, call)

    async def _first_good(self, operation: str, call: Callable[[Node], Awaitable[Reply[T]]]) -> Reply[T]:
        self.budget.earn()
        latency = self._latency.setdefault(operation, Latency())
        alone = len(self.replicas) == 1
        order = [0, 0] if alone else [(self._first + step) % len(self.replicas) for step in range(len(self.replicas))]
        unasked = deque(order)
        running: dict[asyncio.Future[Reply[T]], tuple[int, float]] = {}
        hedging, failure = not alone, Unavailable("no replica was asked")

        def ask(position: int) -> None:
            running[asyncio.ensure_future(call(self.replicas[position]))] = (position, time.perf_counter())

        ask(unasked.popleft())
        try:
            while running:
                patience_s = latency.hedge_after_s() if hedging and unasked else None
                done, _ = await asyncio.wait(running, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    hedging = self.budget.spend("hedge")
                    if hedging:
                        ask(unasked.popleft())
                for answered in done:
                    position, started = running.pop(answered)
                    try:
                        reply = answered.result()
                    except Unavailable as error:
                        failure = error
                        # Alone, it is asked once more only if it had been reached: there is nobody to ask instead.
                        elsewhere = error.code in ((_BROKEN,) if alone else (_BROKEN, _UNREACHABLE, _BAD_STATUS))
                        if elsewhere and unasked and self.budget.spend("retry"):
                            ask(unasked.popleft())
                        continue
                    latency.add(time.perf_counter() - started)
                    self._first = position
                    return reply
            raise failure
        finally:
            for asked in running:
                asked.cancel()
            await asyncio.gather(*running, return_exceptions=True)
