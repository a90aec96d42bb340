"""Who has no say at present, in the coordinator's folder: one SQLite file, a row for each fitted vote.

Sums and counts of hospitals; no question, no answer.
"""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fedrag.core.errors import IntegrityError
from reasoner.drift import Drift

FORMAT: Final = 1


class DriftStore:
    """Thread-safe. The command line and the running service share the file."""

    def __init__(self, path: Path) -> None:
        """Raises IntegrityError(state_format)."""
        self._lock = threading.Lock()
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # What a power failure costs is seen again.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, FORMAT):
            raise IntegrityError(f"{path} has format {found}; this version reads {FORMAT}", code="state_format")
        self._connection.execute("CREATE TABLE IF NOT EXISTS drift (vote TEXT PRIMARY KEY, state TEXT NOT NULL)")
        self._connection.execute(f"PRAGMA user_version = {FORMAT}")

    def change(self, vote: str, by: Callable[[Drift], Drift]) -> Drift:
        """What is known under this vote, put in place of what was known, in one transaction."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                row = self._connection.execute("SELECT state FROM drift WHERE vote = ?", (vote,)).fetchone()
                before = Drift.model_validate_json(row[0]) if row else Drift()
                after = by(before)
                if after != before:
                    self._connection.execute(
                        "INSERT OR REPLACE INTO drift VALUES (?, ?)", (vote, after.model_dump_json())
                    )
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        return after

    def close(self) -> None:
        with self._lock:
            self._connection.close()
