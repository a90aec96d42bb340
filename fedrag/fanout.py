"""Asking many hospitals at once: one deadline, and whatever becomes of each of them is a value."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from fedrag.circuit import CircuitBreaker
from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded, FedragError, Refused
from fedrag.core.exchange import NodeOutcome, NodeStatus
from fedrag.core.protocols import Node, Reply
from fedrag.core.wire import NodeId

T = TypeVar("T")
FAIR_MS: Final = 500
"""Who did not answer in less than this was not given a chance: an impatient asker must not suspend a hospital for
all."""
_log = structlog.get_logger()


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
    fair = deadline.remaining_ms() >= FAIR_MS
    outcomes = {node.id: NodeOutcome(node=node.id, status=NodeStatus.SUSPENDED) for node in nodes}
    tasks = [asyncio.create_task(attempt(node, call, deadline)) for node in admitted]
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
        if fair or outcome.status is not NodeStatus.TIMED_OUT:
            breaker.record(outcome.node, alive=outcome.status in (NodeStatus.ANSWERED, NodeStatus.REFUSED))
        if reply is not None:
            values[outcome.node] = reply.value
            wire_bytes += reply.wire_bytes
    return Gathered(values, outcomes, wire_bytes, len(admitted))


async def attempt(
    node: Node, call: Callable[[Node], Awaitable[Reply[T]]], deadline: Deadline
) -> tuple[Reply[T] | None, NodeOutcome]:
    """Call one node; what becomes of it is a value. Raises nothing but cancellation."""
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
