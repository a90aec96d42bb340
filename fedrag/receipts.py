"""The receipts that hospitals signed, kept by the coordinator: what a hospital's audit log is held against later.

A receipt holds the head of the hospital's chain after one request, so it vouches for every line before. One SQLite
file; no question, no asker, no text.
"""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import structlog

from fedrag.core.errors import IntegrityError
from fedrag.core.exchange import Receipt
from fedrag.core.wire import NodeId

FORMAT: Final = 1
_DAY_S: Final = 86_400.0
_PRUNED_EVERY_S: Final = 3_600.0
_MOST_WAITING: Final = 100_000
_SCHEMA: Final = """
CREATE TABLE receipts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, receipt TEXT NOT NULL, kept_at REAL NOT NULL
);
CREATE INDEX receipts_by_node ON receipts (node, id);
CREATE INDEX receipts_by_age ON receipts (kept_at);
"""
_TOO_OLD: Final = """
DELETE FROM receipts WHERE kept_at < ? AND id NOT IN (SELECT max(id) FROM receipts GROUP BY node)
"""
_log = structlog.get_logger()


class ReceiptStore:
    """`keep` returns at once: one thread writes all that came meanwhile with one flush to disk, and `flush` waits for
    it. Receipts are kept for `keep_days`, the newest of each hospital for ever. `clock`: Unix seconds."""

    def __init__(self, path: Path, keep_days: float, *, clock: Callable[[], float] = time.time) -> None:
        """Raises IntegrityError(state_format)."""
        self._keep_s, self._clock, self._pruned_s = keep_days * _DAY_S, clock, 0.0
        self._waiting: deque[tuple[NodeId, str, float]] = deque()
        self._lock = threading.Lock()
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("BEGIN IMMEDIATE")
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {FORMAT}")
        self._connection.execute("COMMIT")
        if found not in (0, FORMAT):
            self._connection.close()
            raise IntegrityError(f"{path} has format {found}; this version reads {FORMAT}", code="state_format")
        self._writer = ThreadPoolExecutor(1, "receipts")

    def keep(self, receipt: Receipt) -> None:
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append((receipt.node, receipt.model_dump_json(), self._clock()))
        self._writer.submit(self._write)

    def flush(self) -> None:
        """What came before is on disk when this returns, or the log says why not."""
        self._writer.submit(self._write).result()

    def close(self) -> None:
        self.flush()
        self._writer.shutdown()
        with self._lock:
            self._connection.close()

    async def aclose(self) -> None:
        self.close()

    def _write(self) -> None:
        """What cannot be written now is tried again with the next: a question is answered all the same."""
        come = list(self._waiting)
        if not come:
            return
        try:
            with self._lock:
                self._insert(come)
        except sqlite3.Error as error:
            _log.error("receipts_not_kept", error=type(error).__name__, waiting=len(come))
            return
        for _ in come:
            self._waiting.popleft()

    def _insert(self, come: list[tuple[NodeId, str, float]]) -> None:
        now_s = self._clock()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany("INSERT INTO receipts (node, receipt, kept_at) VALUES (?, ?, ?)", come)
            if abs(now_s - self._pruned_s) > _PRUNED_EVERY_S:
                self._connection.execute(_TOO_OLD, (now_s - self._keep_s,))
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        if abs(now_s - self._pruned_s) > _PRUNED_EVERY_S:
            self._pruned_s = now_s


def kept(path: Path) -> Mapping[NodeId, int]:
    """How many receipts there are of each hospital; a coordinator may serve meanwhile."""
    if not path.exists():
        return {}
    with closing(_reading(path)) as connection:
        return dict(connection.execute("SELECT node, count(*) FROM receipts GROUP BY node ORDER BY node"))


def receipts_of(path: Path, node: NodeId) -> Iterator[str]:
    """Those of one hospital as JSON, in the order in which they came: an anchor file, line by line."""
    if not path.exists():
        return
    with closing(_reading(path)) as connection:
        for (receipt,) in connection.execute("SELECT receipt FROM receipts WHERE node = ? ORDER BY id", (node,)):
            yield receipt


def _reading(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10)
    connection.execute("PRAGMA query_only = ON")
    return connection
