"""The audit log: one line per offer and release, each chained to all before it by its hash."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from fedrag.core.errors import IntegrityError

GENESIS: Final = hashlib.sha256(b"fedrag audit").hexdigest()


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who got what, in ids and numbers; never a word of a question or passage. `at` is ISO 8601, UTC."""

    at: str
    kind: str
    request_id: str
    asker: str
    purpose: str
    coordinator: str
    processor: str = ""
    passages: tuple[int, ...] = ()
    text_bytes: int = 0


def timestamp(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, UTC).isoformat()


def append(connection: sqlite3.Connection, event: AuditEvent) -> str:
    """Write one line; returns the new head, sha256(previous head ‖ line)."""
    row = connection.execute("SELECT head FROM audit ORDER BY position DESC LIMIT 1").fetchone()
    line = json.dumps(asdict(event), separators=(",", ":"), sort_keys=True)
    head = _next_head(row[0] if row else GENESIS, line)
    connection.execute("INSERT INTO audit (event, head) VALUES (?, ?)", (line, head))
    return head


def lines(connection: sqlite3.Connection) -> Iterator[str]:
    """Every line as JSON, oldest first, checked while read. Raises IntegrityError(audit_broken) at the first that was
    changed, removed or put in between."""
    head = GENESIS
    expected = 1
    for position, line, stored in connection.execute("SELECT position, event, head FROM audit ORDER BY position"):
        head = _next_head(head, line)
        if head != stored or position != expected:
            raise IntegrityError(f"the audit chain is broken at line {position}", code="audit_broken")
        expected += 1
        yield line


def _next_head(previous: str, line: str) -> str:
    return hashlib.sha256(f"{previous}{line}".encode()).hexdigest()
