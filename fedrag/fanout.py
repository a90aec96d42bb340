"""Asking many hospitals at once: one deadline, and whatever becomes of each of them is a value."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded, FedragError, Refused
from fedrag.core.exchange import NodeOutcome, NodeStatus
from fedrag.core.protocols import Node, Reply
from fedrag.core.wire import NodeId

T = TypeVar("T")
_log = structlog.get_logger()


@dataclass(slots=True)
class _Record:
    failures: int = 0
    suspended_until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Leaves a hospital alone that keeps failing, each time for longer.

    After `threshold` failures in a row it is suspended for `base_s`, doubling with each further failure up to
    `maximum_s`. When the time is over one question tries it again; an answer of any kind clears its record.
    """

    threshold: int = 2
    base_s: float = 2.0
    maximum_s: float = 300.0
    clock: Callable[[], float] = time.monotonic
    _records: dict[NodeId, _Record] = field(default_factory=dict)

    def admits(self, node: NodeId) -> bool:
        record = self._records.get(node)
        if record is None or record.failures < self.threshold:
            return True
        now = self.clock()
        if now < record.suspended_until_s:
            return False
        # Half open: this caller is the trial; others wait until it is known how it went.
        record.suspended_until_s = now + self._pause_s(record.failures)
        return True

    def record(self, node: NodeId, *, alive: bool) -> None:
        if alive:
            self._records.pop(node, None)
            return
        record = self._records.setdefault(node, _Record())
        record.failures += 1
        if record.failures >= self.threshold:
            record.suspended_until_s = self.clock() + self._pause_s(record.failures)

    def _pause_s(self, failures: int) -> float:
        return float(min(self.base_s * 2.0 ** min(failures - self.threshold, 60), self.maximum_s))


@dataclass(frozen=True, slots=True)
class Gathered(Generic[T]):
    """What came back: a value of each hospital that answered, an outcome of every one that was to be asked."""

    values: Mapping[NodeId, T]
    outcomes: Mapping[NodeId, NodeOutcome]
    wire_bytes: int
    messages: int


async def ask_all(
    nodes: Sequence[Node], call: Callable[[Node], Awaitable[Reply[T]]], deadline: Deadline, breaker: CircuitBreaker
) -> Gathered[T]:
    """Call every node at once and wait no longer than the deadline. Never raises for what a node does."""
    admitted = [node for node in nodes if breaker.admits(node.id)]
    outcomes = {node.id: NodeOutcome(node=node.id, status=NodeStatus.SUSPENDED) for node in nodes}
    tasks = [asyncio.create_task(_ask(node, call, deadline)) for node in admitted]
    try:
        results = await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    values: dict[NodeId, T] = {}
    wire_bytes = 0
    for reply, outcome in results:
        outcomes[outcome.node] = outcome
        breaker.record(outcome.node, alive=outcome.status in (NodeStatus.ANSWERED, NodeStatus.REFUSED))
        if reply is not None:
            values[outcome.node] = reply.value
            wire_bytes += reply.wire_bytes
    return Gathered(values, outcomes, wire_bytes, len(admitted))


async def _ask(
    node: Node, call: Callable[[Node], Awaitable[Reply[T]]], deadline: Deadline
) -> tuple[Reply[T] | None, NodeOutcome]:
    started = time.perf_counter()
    reply, status, code = None, NodeStatus.ANSWERED, None
    try:
        async with asyncio.timeout(deadline.remaining_ms() / 1000):
            reply = await call(node)
    except (TimeoutError, DeadlineExceeded):
        status, code = NodeStatus.TIMED_OUT, DeadlineExceeded.code
    except Refused as error:
        status, code = NodeStatus.REFUSED, error.code
    except FedragError as error:
        status, code = NodeStatus.FAILED, error.code
    except Exception as error:  # noqa: BLE001 - whatever a hospital sends, the others must not suffer for it
        _log.error("node_call_failed", node=node.id, error=type(error).__name__)
        status, code = NodeStatus.FAILED, "internal"
    elapsed_ms = (time.perf_counter() - started) * 1000
    return reply, NodeOutcome(node=node.id, status=status, elapsed_ms=elapsed_ms, code=code)
