"""Who belongs to the federation: hospitals, and the invitations of those that may join. One SQLite file.

The command line and the running service share it: an enrolment or a revocation counts from the next question on.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from fedrag.core.enrolment import EnrolmentRequest, NodeUrl, Pem
from fedrag.core.errors import IdentityError, IntegrityError, NotFound, Refused
from fedrag.core.wire import Base64, NodeId, Wire
from fedrag.http.invitation import InvitationCode, check_proof

FORMAT: Final = 1
_SCHEMA: Final = """
CREATE TABLE members (
    id TEXT PRIMARY KEY, urls TEXT NOT NULL, public_key TEXT NOT NULL, authority TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL, revoked_at INTEGER
) WITHOUT ROWID;
CREATE TABLE invitations (
    id TEXT PRIMARY KEY, node TEXT NOT NULL, proof_key TEXT NOT NULL, expires_at INTEGER NOT NULL, used_by TEXT
) WITHOUT ROWID;
"""


class Member(Wire):
    """A hospital: its addresses (replicas after the first), the key its answers must verify with, and whom to trust for
    TLS at these addresses (PEM; empty on loopback)."""

    id: NodeId
    urls: Annotated[tuple[NodeUrl, ...], Field(min_length=1, max_length=16)]
    public_key: Base64
    authority: Pem = ""


@dataclass(frozen=True, slots=True)
class Membership:
    """A member and since when, until when it has been one. Unix seconds."""

    member: Member
    enrolled_at: int
    revoked_at: int | None


class MemberRegistry:
    """Thread-safe; every method is one transaction."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        with self._transaction() as connection:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {FORMAT}")
            elif found != FORMAT:
                raise IntegrityError(f"{path} has format {found}; this version reads {FORMAT}", code="state_format")

    def version(self) -> tuple[int, int]:
        """Changes with every change, whoever made it; costs microseconds."""
        with self._lock:
            others = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return others, self._connection.total_changes

    def members(self) -> tuple[Member, ...]:
        """Those that are asked, in order of their id."""
        return tuple(one.member for one in self.memberships() if one.revoked_at is None)

    def memberships(self) -> tuple[Membership, ...]:
        """Everyone that ever joined, in order of their id."""
        with self._transaction(writing=False) as connection:
            rows = connection.execute(
                "SELECT id, urls, public_key, authority, enrolled_at, revoked_at FROM members ORDER BY id"
            ).fetchall()
        return tuple(
            Membership(
                Member(id=node, urls=tuple(json.loads(urls)), public_key=key, authority=authority), enrolled, revoked
            )
            for node, urls, key, authority, enrolled, revoked in rows
        )

    def invite(self, node: NodeId, code: InvitationCode, expires_at: int) -> None:
        """Let the hospital that proves this code join as `node`; earlier codes for `node` are void."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM invitations WHERE node = ?", (node,))
            connection.execute(
                "INSERT INTO invitations VALUES (?, ?, ?, ?, NULL)", (code.id, node, code.proof_key, expires_at)
            )

    def enrol(self, request: EnrolmentRequest, now_s: float) -> None:
        """Take the hospital in. The code is good for one key: the same request again is answered again, so that a lost
        answer can be repeated.

        Raises IdentityError (unknown_invitation, bad_proof, bad_signature, expired_invitation, used_invitation).
        """
        member = Member(id=request.node, urls=request.urls, public_key=request.public_key, authority=request.authority)
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT node, proof_key, expires_at, used_by FROM invitations WHERE id = ?", (request.invitation,)
            ).fetchone()
            if row is None or row[0] != request.node:
                raise IdentityError("no such invitation for this hospital", code="unknown_invitation")
            _, proof_key, expires_at, used_by = row
            check_proof(request, proof_key)
            if used_by not in (None, request.public_key):
                raise IdentityError("this one-time code was used", code="used_invitation")
            if expires_at < now_s:
                raise IdentityError("this one-time code has expired", code="expired_invitation")
            connection.execute(
                "UPDATE invitations SET used_by = ? WHERE id = ?", (request.public_key, request.invitation)
            )
            _put(connection, member, now_s)

    def put(self, member: Member, now_s: float) -> None:
        """Take in a hospital whose key is known already, as on one machine."""
        with self._transaction() as connection:
            _put(connection, member, now_s)

    def revoke(self, node: NodeId, now_s: float) -> None:
        """Never ask this hospital again, and void its code, whether it has joined yet or not. Raises
        NotFound(unknown_node)."""
        with self._transaction() as connection:
            voided = connection.execute("DELETE FROM invitations WHERE node = ?", (node,)).rowcount
            revoked = connection.execute(
                "UPDATE members SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (int(now_s), node)
            ).rowcount
            if not voided and not revoked:
                raise NotFound(f"{node} is no member and not invited", code="unknown_node")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self, *, writing: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _put(connection: sqlite3.Connection, member: Member, now_s: float) -> None:
    taken = connection.execute(
        "SELECT id FROM members WHERE public_key = ? AND id != ?", (member.public_key, member.id)
    ).fetchone()
    if taken is not None:
        raise Refused("this key belongs to another member", code="key_taken")
    connection.execute(
        "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, NULL)",
        (member.id, json.dumps(member.urls), member.public_key, member.authority, int(now_s)),
    )
