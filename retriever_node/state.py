"""The node's own memory: nonces it has seen, what it has released, what it has done, in which sums it was, and the
statistics it shares with other hospitals. One transactional store."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fedrag.core.errors import IdentityError, IntegrityError

FORMAT: Final = 2
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
)
"""What each format added to the one before."""


class NodeState:
    """SQLite in write-ahead mode, fully synchronous: a release is recorded on disk before its text is sent."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        with self.transaction() as connection:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            for added in _SCHEMAS[found:]:
                for statement in added.split(";"):
                    connection.execute(statement)
            if found < FORMAT:
                connection.execute(f"PRAGMA user_version = {FORMAT}")
        if found > FORMAT:
            self._connection.close()
            raise IntegrityError(f"{path} has format {found}; this version reads up to {FORMAT}", code="state_format")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is done inside, or nothing."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def remember_nonce(self, nonce: str, now_s: int, window_s: int) -> None:
        """Raises IdentityError(replayed) for a nonce seen inside the window."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM nonces WHERE seen_at < ?", (now_s - 2 * window_s,))
            done = connection.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?)", (nonce, now_s))
            if done.rowcount == 0:
                raise IdentityError("this request was seen before", code="replayed")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
