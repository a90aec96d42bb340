"""Keeping the catalogue fresh: every hospital is asked what it holds, again and again, while questions run.

The same calls are the probes that tell the circuit breaker which hospitals are back.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from fedrag.circuit import CircuitBreaker
from fedrag.core.collection import NodeDescription
from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError
from fedrag.core.exchange import NodeStatus
from fedrag.core.protocols import Node
from fedrag.core.wire import NodeId
from fedrag.fanout import attempt
from router.catalogue import Catalogue

REFRESH_S: Final = 15.0
"""Between two descriptions of a hospital; one that does not answer is asked after 1, 2, 4, … and at most this long."""
_TICK_S: Final = 0.5
_TIMEOUT_MS: Final = 5_000
_log = structlog.get_logger()


@dataclass(slots=True)
class _Watched:
    """A hospital under its present key and address."""

    node: Node
    misses: int = 0
    due_s: float = 0.0


class DescriptionWatch:
    """The latest description of each present member that gave one."""

    def __init__(
        self,
        nodes: Callable[[], Mapping[NodeId, Node]],
        breaker: CircuitBreaker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes = nodes
        self._breaker = breaker
        self._clock = clock
        self._watched: dict[NodeId, _Watched] = {}
        self._catalogue = Catalogue()
        self._names: dict[NodeId, str] = {}

    def catalogue(self) -> Catalogue:
        return self._catalogue

    def name_of(self, node: NodeId) -> str:
        """The hospital's own name; its id until it was reached."""
        return self._names.get(node, node)

    async def refresh(self) -> None:
        """Ask every member now."""
        self._follow_members()
        await asyncio.gather(*(self._ask(watched) for watched in self._watched.values()))

    async def run(self) -> None:
        """Ask each member when it is due, new ones at once, until cancelled. A slow one holds up nobody."""
        running: dict[NodeId, asyncio.Task[None]] = {}
        try:
            while True:
                try:
                    self._follow_members()
                except Exception as error:  # noqa: BLE001 - a registry that cannot be read now must not end the watch
                    _log.error("watch_failed", error=type(error).__name__)
                now_s = self._clock()
                for node, watched in self._watched.items():
                    if watched.due_s <= now_s and (node not in running or running[node].done()):
                        running[node] = asyncio.create_task(self._ask(watched))
                await asyncio.sleep(_TICK_S)
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    def _follow_members(self) -> None:
        """Whoever left, or came back with another key or address, is forgotten."""
        present = self._nodes()
        for node in [node for node, watched in self._watched.items() if present.get(node) is not watched.node]:
            del self._watched[node]
            self._names.pop(node, None)
            self._breaker.forget(node)
            self._catalogue = self._catalogue.without(node)
        for node, called in present.items():
            if node not in self._watched:
                self._watched[node] = _Watched(called)

    async def _ask(self, watched: _Watched) -> None:
        deadline = Deadline.after_ms(_TIMEOUT_MS)
        reply, outcome = await attempt(watched.node, lambda node: node.describe(deadline), deadline)
        if self._watched.get(outcome.node) is not watched:
            return  # it left while it was being asked
        self._breaker.probe(outcome.node, alive=outcome.status in (NodeStatus.ANSWERED, NodeStatus.REFUSED))
        watched.misses = 0 if reply is not None else watched.misses + 1
        pause_s = REFRESH_S if reply is not None else min(2.0 ** (watched.misses - 1), REFRESH_S)
        watched.due_s = self._clock() + pause_s
        if reply is not None:
            self._take(reply.value)

    def _take(self, description: NodeDescription) -> None:
        try:
            self._catalogue = self._catalogue.with_description(description)
        except FedragError as error:
            _log.warning("description_refused", node=description.node, code=error.code)
            if error.code == "stale_description":
                self._catalogue = self._catalogue.refusing(description)
            return
        self._names[description.node] = description.name
