"""Every description names the one before it: whoever follows them sees what was left out, taken back or signed twice.

The last one's digest is kept in the node's own memory, beside its audit: passages that were repaired, or stored anew,
go on where the chain was. Only who restores that memory too goes back in it, and then far up (`advance_descriptions`).
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from fedrag.core.collection import CollectionDescription
from fedrag.core.wire import NodeId
from retriever_node.state import NodeState

_UNNUMBERED: Final = {"version": 1, "described_at": datetime.fromtimestamp(0, UTC), "previous": "", "signature": ""}


@dataclass(frozen=True, slots=True)
class Link:
    """The last description: `content` without numbers, `digest` with all of them, both as SHA-256."""

    content: str
    version: int
    described_at: datetime
    previous: str
    digest: str

    def holds(self, content: str, version: int) -> bool:
        return self.content == content and self.version >= version


def follow(state: NodeState, described: CollectionDescription) -> CollectionDescription:
    """The description with its place in the chain: that of the last one where it says the same, under no higher
    version, else the next. Raises as `NodeState.transaction` does."""
    content = _content(described)
    with state.reading() as connection:
        last = _last(connection, described.collection)
    if last is None or not last.holds(content, described.version):
        with state.transaction() as connection:
            last = _last(connection, described.collection)
            if last is None or not last.holds(content, described.version):
                last = _next(connection, described, content, last)
    return described.model_copy(
        update={"version": last.version, "described_at": last.described_at, "previous": last.previous}
    )


def _next(connection: sqlite3.Connection, described: CollectionDescription, content: str, last: Link | None) -> Link:
    version = max(described.version, last.version + 1) if last else described.version
    previous = last.digest if last else ""
    digest = described.model_copy(update={"version": version, "previous": previous}).digest
    connection.execute(
        "INSERT OR REPLACE INTO descriptions VALUES (?, ?, ?, ?, ?, ?)",
        (described.collection, content, version, described.described_at.isoformat(), previous, digest),
    )
    return Link(content, version, described.described_at, previous, digest)


def _last(connection: sqlite3.Connection, collection: NodeId) -> Link | None:
    row = connection.execute(
        "SELECT content, version, described_at, previous, digest FROM descriptions WHERE collection = ?", (collection,)
    ).fetchone()
    if row is None:
        return None
    content, version, described_at, previous, digest = row
    return Link(content, version, datetime.fromisoformat(described_at), previous, digest)


def _content(described: CollectionDescription) -> str:
    return hashlib.sha256(described.model_copy(update=_UNNUMBERED).model_dump_json().encode()).hexdigest()
