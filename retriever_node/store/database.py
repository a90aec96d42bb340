"""The store's one connection: behind a lock, in transactions, and what SQLite reports as an error of ours."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from fedrag.core.errors import ConfigError, IntegrityError, Unavailable

_AT_ONCE: Final = 500


class Database:
    """Usable from several threads: the lock is held for a single statement or transaction.

    Every method raises Unavailable (`store_unavailable`) when the file is locked or the disk is full, and
    IntegrityError (`corrupt_store`) when it is damaged.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._lock = threading.RLock()

    @classmethod
    def connect(cls, path: Path) -> "Database":
        """Makes the file where there is none, readable by its owner only. Raises ConfigError (`store_unavailable`)."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            return cls(sqlite3.connect(path, check_same_thread=False, isolation_level=None))
        except (OSError, sqlite3.OperationalError):
            raise ConfigError(f"{path} cannot be opened", code="store_unavailable") from None

    def close(self) -> None:
        with self._lock:
            self.connection.close()

    def read(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self.translated():
            return self.connection.execute(statement, values).fetchall()

    def snapshot(self) -> AbstractContextManager[sqlite3.Connection]:
        """One consistent view, whatever other threads and processes write meanwhile."""
        return self._transaction("DEFERRED")

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """All of what is done inside, or nothing; on disk when it ends."""
        return self._transaction("IMMEDIATE")

    def checkpoint(self) -> bool:
        """As `PassageStore.checkpoint`."""
        with self.translated():
            ((hindered, _, _),) = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return not hindered

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Behind the lock, whatever SQLite reports as an error of ours."""
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            raise Unavailable(
                f"the passage store cannot be used: {error.sqlite_errorname}", code="store_unavailable"
            ) from None
        except sqlite3.ProgrammingError:
            raise Unavailable("the passage store is closed", code="store_unavailable") from None
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"the passage store is damaged: {error.sqlite_errorname}", code="corrupt_store"
            ) from None

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        with self.translated():
            self.connection.execute(f"BEGIN {kind}")
            try:
                yield self.connection
            except BaseException:
                self.connection.rollback()
                raise
            self.connection.commit()


def some(ids: Sequence[int]) -> Iterator[tuple[list[int], str]]:
    """As many at once as a statement takes, and its question marks."""
    for first in range(0, len(ids), _AT_ONCE):
        part = [int(one) for one in ids[first : first + _AT_ONCE]]
        yield part, ",".join("?" * len(part))
