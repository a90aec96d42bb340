"""Transactions at the same time share a flush, each is all or nothing, and nobody returns before it is on disk."""

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from fedrag.core.errors import FedragError, IdentityError, IntegrityError, Unavailable
from retriever_node import group_commit
from retriever_node import state as state_module
from retriever_node.state import NodeState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
def state(path: Path):
    opened = NodeState(path)
    yield opened
    opened.close()


def insert(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("INSERT INTO decisions VALUES (?, '', '')", (name,))


def names(path: Path) -> set[str]:
    """As another process sees them: what is committed."""
    with closing(sqlite3.connect(path)) as other:
        return {name for (name,) in other.execute("SELECT what FROM decisions")}


class Commits:
    """Counts what SQLite is told to commit."""

    def __init__(self, state: NodeState) -> None:
        self.count = 0
        state._connection.set_trace_callback(self._saw)

    def _saw(self, statement: str) -> None:
        self.count += statement == "COMMIT"


def at_once(state: NodeState, bodies: list[Callable[[sqlite3.Connection], None]]) -> list[BaseException | None]:
    """All bodies wait in line, in their order, behind one that holds the turn; what became of each."""

    def run(body: Callable[[sqlite3.Connection], None]) -> BaseException | None:
        try:
            with state.transaction() as connection:
                body(connection)
        except BaseException as error:  # noqa: BLE001 - a value here
            return error
        return None

    queue = state._commits._queue
    with ThreadPoolExecutor(len(bodies) + 1) as pool:
        held = threading.Event()

        def hold(_connection: sqlite3.Connection) -> None:
            held.set()
            _until(lambda: len(queue._waiting) == len(bodies))

        first = pool.submit(run, hold)
        held.wait(5)
        results = []
        for position, body in enumerate(bodies, start=1):
            results.append(pool.submit(run, body))
            _until(lambda wanted=position: len(queue._waiting) >= wanted)
        assert first.result(20) is None or isinstance(first.result(), Exception)
        return [one.result(20) for one in results]


def _until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not true() and time.monotonic() < give_up:
        time.sleep(0.001)


def test_who_comes_alone_commits_alone(state: NodeState, path: Path) -> None:
    """Three transactions one after another are three commits, each on disk when it returns."""
    commits = Commits(state)
    for number in range(3):
        with state.transaction() as connection:
            insert(connection, str(number))
        assert str(number) in names(path)
    assert commits.count == 3


def test_those_who_wait_share_one_flush(state: NodeState, path: Path) -> None:
    """Thirty that wait behind one are committed with it, in the order in which they came."""
    commits, order = Commits(state), []

    def body(number: int) -> Callable[[sqlite3.Connection], None]:
        def run(connection: sqlite3.Connection) -> None:
            insert(connection, str(number))
            order.append(number)

        return run

    assert at_once(state, [body(number) for number in range(30)]) == [None] * 30
    assert commits.count == 1
    assert order == list(range(30))
    assert names(path) == {str(number) for number in range(30)}


def test_one_that_fails_takes_nothing_else_along(state: NodeState, path: Path) -> None:
    """Every third raises after it wrote: its own error comes back, what it wrote is not there, all others' is."""

    class Mine(Exception):
        pass

    def body(number: int) -> Callable[[sqlite3.Connection], None]:
        def run(connection: sqlite3.Connection) -> None:
            insert(connection, str(number))
            if number % 3 == 0:
                raise Mine

        return run

    became = at_once(state, [body(number) for number in range(20)])
    assert [isinstance(one, Mine) for one in became] == [number % 3 == 0 for number in range(20)]
    assert names(path) == {str(number) for number in range(20) if number % 3}


def test_nobody_returns_before_it_is_on_disk(state: NodeState, path: Path) -> None:
    """Sixteen threads, twenty each: whenever one returns, another process finds its row."""

    def work(worker: int) -> bool:
        seen = True
        for turn in range(20):
            with state.transaction() as connection:
                insert(connection, f"{worker}-{turn}")
            seen &= f"{worker}-{turn}" in names(path)
        return seen

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(16)))
    assert len(names(path)) == 320


def test_a_commit_that_fails_fails_for_all_of_the_group(state: NodeState, path: Path, monkeypatch) -> None:
    """Nobody of the group is told that it was written, nothing of it is there; the next one is written again."""

    def full(_connection: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(state._commits, "_before", full)
        became = at_once(state, [lambda connection, n=number: insert(connection, str(n)) for number in range(8)])
    assert [(type(one), getattr(one, "code", "")) for one in became] == [(Unavailable, "state_full")] * 8
    assert names(path) == set()
    with state.transaction() as connection:
        insert(connection, "after")
    assert names(path) == {"after"}


def test_on_a_full_disk_whoever_shares_the_transaction_is_told(state: NodeState, path: Path) -> None:
    """SQLite gives up the whole transaction when a page cannot be had: those before the one that asked for it must not
    believe that theirs was written. With room again, all is well."""
    with state.transaction() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    def big(connection: sqlite3.Connection) -> None:
        insert(connection, "x" * 100_000)

    small = [lambda connection, n=number: insert(connection, str(n)) for number in range(3)]
    became = at_once(state, [*small, big])
    assert isinstance(became[3], Unavailable)
    assert became[3].code == "state_full"
    there = names(path)
    assert {str(number) for number in range(3) if became[number] is None} == there
    with state.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    with state.transaction() as connection:
        big(connection)
    assert names(path) == {*there, "x" * 100_000}


def test_a_group_is_bounded(state: NodeState) -> None:
    """Who came first does not wait for all who come later: more than a group's worth are several commits."""
    commits, many = Commits(state), group_commit.MAXIMUM_GROUP + 10
    assert at_once(state, [lambda _: None] * many) == [None] * many
    assert commits.count == 2


def test_two_processes_write_one_file(state: NodeState, path: Path) -> None:
    """A counter that both raise by reading and writing it: no turn is lost."""
    with closing(NodeState(path)) as replica:
        with state.transaction() as connection:
            connection.execute("INSERT INTO decisions VALUES ('counter', '0', '')")

        def work(mine: NodeState) -> None:
            for _ in range(25):
                with mine.transaction() as connection:
                    (found,) = connection.execute("SELECT decided FROM decisions WHERE what = 'counter'").fetchone()
                    connection.execute(
                        "UPDATE decisions SET decided = ? WHERE what = 'counter'", (str(int(found) + 1),)
                    )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, [state, replica] * 4))
        with state.reading() as connection:
            assert connection.execute("SELECT decided FROM decisions").fetchone() == ("200",)


def test_a_file_that_another_process_does_not_let_go_of_is_said(path: Path, monkeypatch) -> None:
    """All who wait are refused together after one wait, not one after another; afterwards it goes on."""
    monkeypatch.setattr(state_module, "_BUSY_S", 0.3)
    with closing(NodeState(path)) as state:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()

            def work(_: int) -> str:
                try:
                    with state.transaction():
                        return "in"
                except FedragError as error:
                    return error.code

            with ThreadPoolExecutor(8) as pool:
                assert set(pool.map(work, range(8))) == {"state_busy"}
            assert time.monotonic() - began < 2
            other.execute("ROLLBACK")
        with state.transaction() as connection:
            insert(connection, "after")
    assert names(path) == {"after"}


def test_a_file_of_rubbish_is_said(path: Path) -> None:
    """A state file that is no database stops the node with a code of its own."""
    path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(IntegrityError) as refused:
        NodeState(path)
    assert refused.value.code == "corrupt_state"


def test_a_nonce_rides_with_the_next_commit(state: NodeState, path: Path) -> None:
    """It costs no flush of its own where the request records anything; settling it then waits for nothing."""
    commits = Commits(state)
    seen = state.see_nonce("n", 1_000, 300)
    with state.transaction() as connection:
        insert(connection, "what the request did")
    seen.settle()
    assert commits.count == 1
    with closing(NodeState(path)) as replica, pytest.raises(IdentityError):
        replica.see_nonce("n", 1_000, 300)


def test_a_request_that_records_nothing_flushes_its_nonce(state: NodeState, path: Path) -> None:
    """Killed after the answer, the node knows it: another process finds it on disk."""
    state.see_nonce("n", 1_000, 300).settle()
    with closing(NodeState(path)) as replica, pytest.raises(IdentityError):
        replica.see_nonce("n", 1_000, 300)


def test_a_nonce_at_two_replicas_at_once_is_good_at_one(state: NodeState, path: Path) -> None:
    """Both let the request in before either wrote; who writes second must not answer."""
    with closing(NodeState(path)) as replica:
        first, second = state.see_nonce("n", 1_000, 300), replica.see_nonce("n", 1_000, 300)
        first.settle()
        with pytest.raises(IdentityError) as refused:
            second.settle()
    assert refused.value.code == "replayed"


def test_a_nonce_that_could_not_be_written_denies(state: NodeState, monkeypatch) -> None:
    """The commit that took it along failed: settling says so, whatever became of the request's own transaction."""
    seen = state.see_nonce("n", 1_000, 300)

    def write_and_fail(connection: sqlite3.Connection, write=state._write_nonces) -> None:
        write(connection)
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(state._commits, "_before", write_and_fail)
        with pytest.raises(Unavailable), state.transaction() as connection:
            insert(connection, "x")
    with pytest.raises(Unavailable) as denied:
        seen.settle()
    assert denied.value.code == "state_unavailable"
