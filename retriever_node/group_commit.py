"""Group commit: transactions that come at the same time share one flush to disk.

They run one after another, in the order in which they came, each in a savepoint of its own inside one SQLite
transaction; the last of them commits for all, and nobody returns before. Who comes alone commits at once. When the
commit fails it fails for all of the group.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

MAXIMUM_GROUP: Final = 64
"""Transactions that share a flush, at most: those who came first do not wait for ever."""


@dataclass(slots=True)
class _Group:
    size: int = 0
    done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


@dataclass(slots=True)
class _Place:
    """In the queue. `error`: why its turn never comes."""

    turn: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


class _Queue:
    """A lock that goes to who has waited longest."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._taken = False
        self._waiting: deque[_Place] = deque()

    def take(self, abandon: Callable[[], None]) -> None:
        """`abandon`: what who has the turn does when it is interrupted before it could begin."""
        with self._mutex:
            if not self._taken:
                self._taken = True
                return
            place = _Place()
            self._waiting.append(place)
        try:
            place.turn.wait()
        except BaseException:
            with self._mutex:
                waits = place in self._waiting
                if waits:
                    self._waiting.remove(place)
            if not waits and place.error is None:
                abandon()
            raise
        if place.error is not None:
            raise place.error

    def pass_on(self) -> bool:
        """Whether somebody waited, who has it now."""
        with self._mutex:
            return self._pass_on()

    def release(self) -> None:
        with self._mutex:
            self._taken = self._pass_on()

    def refuse_waiting(self, error: BaseException) -> None:
        """What keeps this one out keeps all out who wait behind it."""
        with self._mutex:
            refused, self._waiting = self._waiting, deque()
        for place in refused:
            place.error = error
            place.turn.set()

    def _pass_on(self) -> bool:
        if not self._waiting:
            return False
        self._waiting.popleft().turn.set()
        return True


class GroupCommit:
    """Args:
    connection: without transactions of its own (`isolation_level=None`), used by nobody else.
    before: what else is written with each commit.
    after: is told what became of it, before anybody returns; None: it is on disk.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        before: Callable[[sqlite3.Connection], None],
        after: Callable[[BaseException | None], None],
    ) -> None:
        self._connection, self._before, self._after = connection, before, after
        self._queue = _Queue()
        self._group: _Group | None = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is done inside, on disk, or nothing. Raises sqlite3.Error."""
        self._queue.take(self._leave)
        try:
            group = self._join()
        except BaseException as error:
            self._queue.refuse_waiting(error)
            self._leave()
            raise
        try:
            yield self._connection
            self._connection.execute("RELEASE own")
        except BaseException as error:
            self._undo(group, error)
            self._leave()
            raise
        self._leave()
        group.done.wait()
        if group.error is not None:
            raise group.error

    def close(self) -> None:
        self._queue.take(self._leave)
        self._connection.close()
        self._queue.release()

    def _join(self) -> _Group:
        if self._group is None:
            self._connection.execute("BEGIN IMMEDIATE")
            self._group = _Group()
        self._connection.execute("SAVEPOINT own")
        self._group.size += 1
        return self._group

    def _undo(self, group: _Group, error: BaseException) -> None:
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK TO own")
            self._connection.execute("RELEASE own")
            return
        self._rollback()  # SQLite has given up the whole transaction already, on a full disk say
        self._end(group, error)

    def _leave(self) -> None:
        """The next one goes on with the group; where there is none, or it is full, it is committed here."""
        group = self._group
        if group is not None:
            if group.size < MAXIMUM_GROUP and self._queue.pass_on():
                return
            self._commit(group)
        self._queue.release()

    def _commit(self, group: _Group) -> None:
        failed: BaseException | None = None
        try:
            self._before(self._connection)
            self._connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - everybody of the group is told
            failed = error
            self._rollback()
        self._end(group, failed)

    def _end(self, group: _Group, error: BaseException | None) -> None:
        self._group, group.error = None, error
        try:
            self._after(error)
        finally:
            group.done.set()

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
