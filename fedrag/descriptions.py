"""Keeping the catalogue fresh: every hospital is asked what it holds, again and again, while questions run."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from fedrag.core.collection import NodeDescription
from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError
from fedrag.core.protocols import Node
from fedrag.core.wire import NodeId
from fedrag.fanout import CircuitBreaker, ask_all
from router.catalogue import Catalogue

REFRESH_S: Final = 15.0
"""Also the longest that a hospital which was down at the start stays unknown."""
_TIMEOUT_MS: Final = 5_000
_log = structlog.get_logger()


class DescriptionWatch:
    """The latest description of each hospital that gave one."""

    def __init__(self, nodes: Callable[[], Mapping[NodeId, Node]], breaker: CircuitBreaker) -> None:
        self._nodes = nodes
        self._catalogue = Catalogue()
        self._names: dict[NodeId, str] = {}
        self._breaker = breaker

    def catalogue(self) -> Catalogue:
        return self._catalogue

    def name_of(self, node: NodeId) -> str:
        """The hospital's own name; its id until it was reached."""
        return self._names.get(node, node)

    async def refresh(self) -> None:
        deadline = Deadline.after_ms(_TIMEOUT_MS)
        gathered = await ask_all(
            list(self._nodes().values()), lambda node: node.describe(deadline), deadline, self._breaker
        )
        for description in gathered.values.values():
            self._take(description)

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_S)

    def _take(self, description: NodeDescription) -> None:
        try:
            self._catalogue = self._catalogue.with_description(description)
        except FedragError as error:
            _log.warning("description_refused", node=description.node, code=error.code)
            return
        self._names[description.node] = description.name
