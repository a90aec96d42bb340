"""The audit log: one line for everything that was offered, released, decided or changed, each chained to all before it.

    head_n = sha256(head_{n-1} ‖ line_n)        head_0 = sha256("fedrag audit")

A chain proves that nothing was changed before a head that somebody else holds. Each answer of a node carries such a
head, signed (`Receipt`); coordinators keep them. Without one, who owns the disk can write the whole chain anew.
"""

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from fedrag.core.errors import IdentityError, InputError, IntegrityError
from fedrag.core.exchange import Receipt
from fedrag.core.wire import NodeId
from fedrag.http.signing import signed_bytes, verify

GENESIS: Final = hashlib.sha256(b"fedrag audit").hexdigest()
_TOLD_EVERY: Final = 10_000
_DIGEST_CHARACTERS: Final = 32


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who got what, in ids and numbers; never a word of a question or passage.

    Args:
        at: ISO 8601, UTC.
        kind: what happened; all are listed in docs/audit.md.
        request_id: the answer's id at the coordinator; empty for what the hospital did by itself.
        passages: their numbers in the store.
        role, issuer, project: of the asker, as far as the node knows.
        collections, passage_bytes, rules: of each of `passages`, in order; rules of the policy.
        question: keyed digest, equal where the same was asked (`question_digest`).
        collection: where it is about one.
        by: who of the hospital decided.
        detail: a code, or the reason that who decided gave.
        figures: what was counted, by name.
    """

    at: str
    kind: str
    request_id: str
    asker: str
    purpose: str
    coordinator: str
    processor: str = ""
    passages: tuple[int, ...] = ()
    text_bytes: int = 0
    role: str = ""
    issuer: str = ""
    project: str = ""
    collections: tuple[str, ...] = ()
    passage_bytes: tuple[int, ...] = ()
    rules: tuple[str, ...] = ()
    question: str = ""
    collection: str = ""
    by: str = ""
    detail: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verified:
    """A chain that holds: its lines, its head, how many anchors it was held against, how many lines came after the
    newest of these, for which nobody outside vouches."""

    lines: int
    head: str
    anchors: int
    unanchored: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A line as it stands in the log."""

    position: int
    line: str
    head: str


_FIELDS: Final = tuple(one.name for one in fields(AuditEvent))
_ALWAYS: Final = ("at", "kind", "request_id", "asker", "purpose", "coordinator", "processor", "passages", "text_bytes")
Progress = Callable[[int, int], None]
"""Told how many lines of how many were read."""


def timestamp(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, UTC).isoformat()


def append(connection: sqlite3.Connection, event: AuditEvent) -> str:
    """Write one line; returns the new head."""
    row = connection.execute("SELECT head FROM audit ORDER BY position DESC LIMIT 1").fetchone()
    named = ((name, getattr(event, name)) for name in _FIELDS)
    written = {name: value for name, value in named if value or name in _ALWAYS}
    line = json.dumps(written, separators=(",", ":"), sort_keys=True, default=dict)
    head = _next_head(row[0] if row else GENESIS, line)
    connection.execute("INSERT INTO audit (event, head) VALUES (?, ?)", (line, head))
    return head


def note(
    connection: sqlite3.Connection,
    kind: str,
    now_s: float,
    *,
    collection: str = "",
    coordinator: str = "",
    by: str = "",
    detail: str = "",
    figures: Mapping[str, float] | None = None,
) -> str:
    """Write what the hospital did by itself, an ingest or a change of policy say; returns the new head."""
    event = AuditEvent(
        at=timestamp(now_s),
        kind=kind,
        request_id="",
        asker="",
        purpose="",
        coordinator=coordinator,
        collection=collection,
        by=by,
        detail=detail,
        figures=figures or {},
    )
    return append(connection, event)


def question_digest(key: bytes, text: str | None, vector: str | None = None) -> str:
    """HMAC-SHA256 under a key of the node's own: equal for equal questions, whatever their case and spaces, and to
    nobody else a sign of what was asked. Without a text, of the vector's bytes; empty without either."""
    asked = " ".join(text.casefold().split()) if text is not None else vector
    if asked is None:
        return ""
    return hmac.new(key, asked.encode(), hashlib.sha256).hexdigest()[:_DIGEST_CHARACTERS]


def entries(connection: sqlite3.Connection) -> Iterator[Entry]:
    """The log, oldest first, checked while read. Raises IntegrityError(audit_broken) at the first line that was
    changed, removed, moved or put in between."""
    head, expected = GENESIS, 1
    try:
        rows = connection.execute("SELECT position, event, head FROM audit ORDER BY position")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise IntegrityError("there is no audit log", code="audit_broken") from None
    for position, line, stored in rows:
        head = _next_head(head, line)
        if head != stored or position != expected:
            raise IntegrityError(f"the audit chain is broken at line {expected}", code="audit_broken")
        expected += 1
        yield Entry(position, line, head)


def lines(connection: sqlite3.Connection) -> Iterator[str]:
    """Every line as JSON, as `entries` has them."""
    return (entry.line for entry in entries(connection))


def check(
    connection: sqlite3.Connection, anchors: Sequence[Receipt] = (), progress: Progress = lambda _done, _of: None
) -> Verified:
    """Holds the chain against heads that were given out: each stands in it, at a line of the request it was given for.

    Raises IntegrityError: `audit_broken`; `audit_rewritten` where a head is missing (lines up to there were changed,
    put in, moved or cut off, and the chain made to fit), or was given for a request that its line is not about.
    """
    wanted: dict[str, set[str]] = {}
    for anchor in anchors:
        wanted.setdefault(anchor.head, set()).add(anchor.request_id)
    given = len(wanted)
    of = _count(connection)
    position, head, newest = 0, GENESIS, 0
    for entry in entries(connection):
        position, head = entry.position, entry.head
        if head in wanted:
            if wanted.pop(head) != {json.loads(entry.line)["request_id"]}:
                raise IntegrityError(
                    f"line {position} is not about the request whose receipt names it", code="audit_rewritten"
                )
            newest = position
        if position % _TOLD_EVERY == 0:
            progress(position, of)
    progress(position, of)
    if wanted:
        raise IntegrityError(
            f"{len(wanted)} of {given} heads that were given out are not in the chain", code="audit_rewritten"
        )
    return Verified(position, head, given, position - newest if given else position)


def read_anchors(path: Path, node: NodeId, public_key: str) -> tuple[Receipt, ...]:
    """Receipts, a line each, as `fedrag receipts export` writes them. Raises InputError(bad_anchor) for a file of other
    things, or of receipts that this node did not sign."""
    anchors = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                receipt = Receipt.model_validate_json(line)
                if receipt.node != node:
                    raise InputError(f"line {number} is a receipt of {receipt.node}", code="bad_anchor")
                verify(public_key, "receipt", signed_bytes(receipt), receipt.signature)
                anchors.append(receipt)
    except (OSError, UnicodeDecodeError, ValidationError, IdentityError):
        reason = f"{path}: line {len(anchors) + 1} is no receipt that this node signed"
        raise InputError(reason, code="bad_anchor") from None
    return tuple(anchors)


def _count(connection: sqlite3.Connection) -> int:
    with suppress(sqlite3.OperationalError):
        return int(connection.execute("SELECT coalesce(max(position), 0) FROM audit").fetchone()[0])
    return 0


def _next_head(previous: str, line: str) -> str:
    return hashlib.sha256(f"{previous}{line}".encode()).hexdigest()
