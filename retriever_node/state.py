"""The node's own memory: nonces it has seen, what it has released, what it has done, in which sums it was, how it
described itself last, and the statistics it shares with other hospitals. One transactional store."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedrag.core.errors import FedragError, IdentityError, IntegrityError, Unavailable
from retriever_node.group_commit import GroupCommit

FORMAT: Final = 4
_SCHEMAS: Final = (
    """
CREATE TABLE nonces (nonce TEXT PRIMARY KEY, seen_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX nonces_by_time ON nonces (seen_at);
CREATE TABLE charges (
    asker TEXT NOT NULL, coordinator TEXT NOT NULL, request_id TEXT NOT NULL, handle TEXT NOT NULL,
    day INTEGER NOT NULL, text_bytes INTEGER NOT NULL,
    PRIMARY KEY (request_id, handle)
) WITHOUT ROWID;
CREATE INDEX charges_by_asker ON charges (asker, day);
CREATE INDEX charges_by_coordinator ON charges (coordinator, day);
CREATE TABLE audit (position INTEGER PRIMARY KEY, event TEXT NOT NULL, head TEXT NOT NULL);
""",
    """
CREATE TABLE sums (hospitals TEXT PRIMARY KEY, revealed_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE epochs (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, coordinator TEXT NOT NULL,
    statistics TEXT NOT NULL, sketch_key BLOB NOT NULL
);
CREATE TABLE epoch_calibrations (
    epoch TEXT NOT NULL, collection TEXT NOT NULL, generation INTEGER NOT NULL,
    slope REAL NOT NULL, intercept REAL NOT NULL,
    PRIMARY KEY (epoch, collection)
) WITHOUT ROWID;
""",
    """
ALTER TABLE charges RENAME TO charges_by_handle;
CREATE TABLE charges (
    coordinator TEXT NOT NULL, asker TEXT NOT NULL, request_id TEXT NOT NULL, passage TEXT NOT NULL,
    collection TEXT NOT NULL, project TEXT NOT NULL, day INTEGER NOT NULL, text_bytes INTEGER NOT NULL,
    PRIMARY KEY (coordinator, asker, request_id, passage)
) WITHOUT ROWID;
CREATE TABLE spent (
    what TEXT NOT NULL, who TEXT NOT NULL, collection TEXT NOT NULL, day INTEGER NOT NULL, passages INTEGER NOT NULL,
    PRIMARY KEY (what, who, collection, day)
) WITHOUT ROWID;
CREATE TRIGGER charged AFTER INSERT ON charges BEGIN
    INSERT INTO spent SELECT what, who, counted, NEW.day, 1 FROM (
        SELECT 'asker' AS what, NEW.asker AS who, '' AS counted
        UNION ALL SELECT 'coordinator', NEW.coordinator, ''
        UNION ALL SELECT 'everybody', '', NEW.collection WHERE NEW.collection <> ''
        UNION ALL SELECT 'asker', NEW.asker, NEW.collection WHERE NEW.collection <> ''
        UNION ALL SELECT 'project', NEW.project, NEW.collection WHERE NEW.collection <> '' AND NEW.project <> ''
    ) WHERE true ON CONFLICT DO UPDATE SET passages = passages + 1;
END;
INSERT INTO charges SELECT coordinator, asker, request_id, handle, '', '', day, text_bytes FROM charges_by_handle;
DROP TABLE charges_by_handle;
CREATE INDEX charges_by_day ON charges (day);
CREATE INDEX charges_by_asker ON charges (asker, collection, passage, day);
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL, coordinator TEXT NOT NULL, asker TEXT NOT NULL, role TEXT NOT NULL, issuer TEXT NOT NULL,
    project TEXT NOT NULL, purpose TEXT NOT NULL, question TEXT NOT NULL, reason TEXT NOT NULL,
    passages TEXT NOT NULL, made_at INTEGER NOT NULL, until INTEGER NOT NULL, same_as INTEGER,
    state TEXT NOT NULL, decided_at INTEGER, decided_by TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '',
    released_at INTEGER,
    UNIQUE (coordinator, request_id, asker)
);
CREATE INDEX reviews_by_asker ON reviews (asker, made_at);
CREATE INDEX reviews_by_state ON reviews (state, until);
CREATE TABLE asked (
    asker TEXT NOT NULL, collection TEXT NOT NULL, question BLOB NOT NULL, at INTEGER NOT NULL,
    counted INTEGER NOT NULL, generation INTEGER NOT NULL, policy TEXT NOT NULL, request TEXT NOT NULL,
    passages TEXT NOT NULL, sketch BLOB NOT NULL,
    PRIMARY KEY (asker, collection, question)
) WITHOUT ROWID;
CREATE INDEX asked_by_time ON asked (at);
CREATE TABLE locks (asker TEXT PRIMARY KEY, at INTEGER NOT NULL, collection TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counted (
    fingerprint TEXT PRIMARY KEY, asker TEXT NOT NULL, day INTEGER NOT NULL, rho REAL NOT NULL,
    noisy TEXT NOT NULL, sums TEXT NOT NULL DEFAULT '[]'
) WITHOUT ROWID;
CREATE INDEX counted_by_asker ON counted (asker, day);
CREATE TABLE losses (patient BLOB PRIMARY KEY, rho REAL NOT NULL, counts INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE decisions (what TEXT PRIMARY KEY, decided TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
""",
    """
CREATE TABLE descriptions (
    collection TEXT PRIMARY KEY, content TEXT NOT NULL, version INTEGER NOT NULL, described_at TEXT NOT NULL,
    previous TEXT NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID;
""",
)
"""What each format added to the one before."""


_BUSY_S: Final = 10
_UNREADABLE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_OUR_MISTAKE: Final = sqlite3.SQLITE_ERROR


@dataclass(eq=False, slots=True)
class SeenNonce:
    """The nonce of a request that was let in. It goes to disk with the next transaction; until `settle` has returned,
    nothing may be answered."""

    nonce: str
    seen_at: int
    forget_before: int
    state: "NodeState"
    settled: bool = False
    error: FedragError | None = None

    def settle(self) -> None:
        """On disk from here on. Raises IdentityError(replayed) where another process of this node was asked the same at
        the same time, and what `transaction` raises."""
        if not self.settled:
            with self.state.transaction():
                pass
        if self.error is not None:
            raise self.error


class NodeState:
    """SQLite in write-ahead mode, fully synchronous: a release is recorded on disk before its text is sent.

    Usable from several threads, and from several processes on one file.
    """

    def __init__(self, path: Path) -> None:
        """Raises IntegrityError: `state_format`, `corrupt_state`; Unavailable: `state_full`, `state_busy`,
        `state_unavailable`."""
        self._path, self._nonces = path, threading.Lock()
        self._pending: dict[str, SeenNonce] = {}
        self._written: tuple[SeenNonce, ...] = ()
        path.touch(mode=0o600)
        with _told():
            self._connection = self._connect()
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._commits = GroupCommit(self._connection, self._write_nonces, self._nonces_written)
            self._reader = self._connect()
            self._reader.execute("PRAGMA query_only = ON")
        with self.transaction() as connection:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            for added in _SCHEMAS[found:]:
                for statement in _statements(added):
                    connection.execute(statement)
            if found < FORMAT:
                connection.execute(f"PRAGMA user_version = {FORMAT}")
        if found > FORMAT:
            self.close()
            raise IntegrityError(f"{path} has format {found}; this version reads up to {FORMAT}", code="state_format")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is done inside, or nothing; on disk when it ends. Those that come at the same time share a flush
        (`retriever_node.group_commit`): keep it short, others wait for it.

        Raises Unavailable: `state_busy` (another process does not let go), `state_full`, `state_unavailable`;
        IntegrityError: `corrupt_state`.
        """
        with _told(), self._commits.transaction() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """What is on disk at this moment, for as long as it takes to read: nobody waits for it. Raises as
        `transaction` does."""
        with _told(), closing(self._connect()) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield connection

    def see_nonce(self, nonce: str, now_s: int, window_s: int) -> SeenNonce:
        """Raises IdentityError(replayed) for a nonce seen inside the window, by any process of this node."""
        seen = SeenNonce(nonce, now_s, now_s - 2 * window_s, self)
        with _told(), self._nonces:
            known = self._reader.execute(
                "SELECT 1 FROM nonces WHERE nonce = ? AND seen_at >= ?", (nonce, seen.forget_before)
            ).fetchone()
            if known or nonce in self._pending:
                raise _replayed()
            self._pending[nonce] = seen
        return seen

    def remember_nonce(self, nonce: str, now_s: int, window_s: int) -> None:
        """As `see_nonce`, and it is on disk when this returns."""
        self.see_nonce(nonce, now_s, window_s).settle()

    def close(self) -> None:
        self._commits.close()
        with self._nonces:
            self._reader.close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=_BUSY_S)

    def _write_nonces(self, connection: sqlite3.Connection) -> None:
        """With every commit, those of requests that are still at work too: their own transaction then has no more to
        flush."""
        with self._nonces:
            self._written = tuple(self._pending.values())
        for seen in self._written:
            connection.execute("DELETE FROM nonces WHERE seen_at < ?", (seen.forget_before,))
            done = connection.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?)", (seen.nonce, seen.seen_at))
            if done.rowcount == 0:
                seen.error = _replayed()

    def _nonces_written(self, failed: BaseException | None) -> None:
        written, self._written = self._written, ()
        with self._nonces:
            for seen in written:
                if failed is not None:
                    seen.error = _telling(failed) or Unavailable("not recorded", code="state_unavailable")
                seen.settled = True
                del self._pending[seen.nonce]


def _statements(script: str) -> Iterator[str]:
    """One by one; a trigger has semicolons inside."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def _told() -> Iterator[None]:
    """What SQLite reports, as an error of ours; mistakes of our own stay what they are."""
    try:
        yield
    except sqlite3.Error as error:
        told = _telling(error)
        if told is None:
            raise
        raise told from None


def _telling(error: BaseException) -> FedragError | None:
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError
    ):
        return None
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
    if code in _UNREADABLE:
        return IntegrityError("the node's own memory is damaged", code="corrupt_state")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable("another process holds the node's own memory", code="state_busy")
    if code == sqlite3.SQLITE_FULL:
        return Unavailable("no room on disk for the node's own memory", code="state_full")
    return None if code == _OUR_MISTAKE else Unavailable("the node's own memory fails", code="state_unavailable")


def _replayed() -> IdentityError:
    return IdentityError("this request was seen before", code="replayed")
