"""The members of the federation as nodes to call, following the registry while questions run."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import httpx2

from fedrag.core.protocols import Node
from fedrag.core.wire import NodeId
from fedrag.members import Member, MemberRegistry


@dataclass(frozen=True, slots=True)
class Connection:
    """A hospital that can be called, and the connections kept open to it."""

    node: Node
    client: httpx2.AsyncClient


class LiveMembers:
    """Args:
    registry: where members come and go.
    connect: how one is called.
    """

    def __init__(self, registry: MemberRegistry, connect: Callable[[Member], Connection]) -> None:
        self._registry = registry
        self._connect = connect
        self._seen: tuple[int, int] | None = None
        self._connections: dict[Member, Connection] = {}
        self._nodes: Mapping[NodeId, Node] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def nodes(self) -> Mapping[NodeId, Node]:
        """The hospitals of this moment; a mapping that was handed out does not change. Connections to a hospital that
        left, or came back with another key or address, are closed at once."""
        version = self._registry.version()
        if version != self._seen:
            members = self._registry.members()
            for member in set(self._connections) - set(members):
                self._close(self._connections.pop(member))
            for member in members:
                if member not in self._connections:
                    self._connections[member] = self._connect(member)
            self._nodes = MappingProxyType({member.id: self._connections[member].node for member in members})
            self._seen = version
        return self._nodes

    async def aclose(self) -> None:
        for connection in self._connections.values():
            await connection.client.aclose()
        await asyncio.gather(*self._closing)
        self._registry.close()

    def _close(self, connection: Connection) -> None:
        with contextlib.suppress(RuntimeError):  # no loop is running: then nothing was called, and nothing is open
            task = asyncio.get_running_loop().create_task(connection.client.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
