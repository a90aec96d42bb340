"""Whatever breaks in the node's own memory, in its ledger or its audit log: a denial, no byte of text, and the reason
as a code in the node's own log.

Oracle: a word planted in every passage, looked for in every byte that the node answers; without a fault it is there.
"""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

import httpx2
import pytest
from structlog.testing import capture_logs

from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError, IntegrityError
from fedrag.core.exchange import DirectRelease, OfferRequest, Processor, ProcessorPlace, ReleaseRequest
from fedrag.core.wire import ReleaseClass, new_request_id
from retriever_node import audit, ledger
from retriever_node.assemble import assemble
from retriever_node.state import NodeState

PLANTED = "brimstone"
DOCUMENTS = {
    f"d{n}.md": f"# D\n\n## S{n}\nWarfarin bleeding number {n} is reversed with {PLANTED}.\n" for n in range(4)
}
PROCESSOR = Processor(model="m", place=ProcessorPlace.COORDINATOR)
STEPS = ("offers", "release", "direct")


class Wire(httpx2.AsyncBaseTransport):
    """Keeps what came back from the hospital."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self.inner, self.heard = inner, b""

    async def handle_async_request(self, request):
        response = await self.inner.handle_async_request(request)
        self.heard += await response.aread()
        return response


@dataclass
class Ward:
    """A hospital whose every answer is heard. Its collection is public, so that text goes along with offers too."""

    hospital: object
    wire: Wire
    logged: list[dict] = field(default_factory=list)

    @property
    def state(self) -> NodeState:
        return self.hospital.node.state

    def ask(
        self, step: str, fault: Callable[["Ward"], Iterator[None]] | None = None, deadline_ms: float = 5_000
    ) -> str:
        """The code of what came of one step during a fault; "text" where text came."""
        self.wire.heard, request_id, became = b"", new_request_id(), ""
        try:
            if step == "release":
                offers = asyncio.run(self._offers(request_id, None, 5_000))
                with self._during(fault):
                    asyncio.run(self._release(request_id, [one.handle for one in offers.offers], deadline_ms))
            else:
                direct = DirectRelease(processor=PROCESSOR, passages=3) if step == "direct" else None
                with self._during(fault):
                    offers = asyncio.run(self._offers(request_id, direct, deadline_ms))
                    became = "" if offers.release else "offers"
        except FedragError as error:
            became = error.code
        return "text" if PLANTED.encode() in self.wire.heard else became

    @contextmanager
    def _during(self, fault):
        if fault is None:
            yield
            return
        denied: FedragError | None = None
        with fault(self), capture_logs() as self.logged:
            try:
                yield
            except FedragError as error:
                denied = error
        if denied is not None:
            raise denied

    def codes(self) -> list[str]:
        """Of the requests that the node's log tells of."""
        return [one["code"] for one in self.logged if one["event"] == "request"]

    async def _offers(self, request_id, direct, deadline_ms):
        asked = OfferRequest(
            request_id=request_id, coordinator="test-coordinator", node="heart", vector=None, comparable_with="",
            text="How is bleeding reversed?", k=3, deadline_ms=deadline_ms, direct=direct,
        )  # fmt: skip
        return (await self.hospital.remote.offers(asked, Deadline.after_ms(20_000))).value

    async def _release(self, request_id, handles, deadline_ms):
        asked = ReleaseRequest(
            request_id=request_id, coordinator="test-coordinator", node="heart", handles=tuple(handles),
            processor=PROCESSOR, deadline_ms=deadline_ms,
        )  # fmt: skip
        return (await self.hospital.remote.release(asked, Deadline.after_ms(20_000))).value


@pytest.fixture
def ward(workshop) -> Ward:
    hospital = workshop.hospital("heart", DOCUMENTS, ReleaseClass.PUBLIC)
    wire = Wire(hospital.remote.client._transport)
    object.__setattr__(hospital.remote, "client", httpx2.AsyncClient(transport=wire))
    made = Ward(hospital, wire)
    assert made.ask("offers") == "offers"
    assert made.ask("release") == made.ask("direct") == "text"
    return made


class Broken(Exception):
    """Holds text that must not get out."""


def broken(*_args, **_kwargs):
    raise Broken(f"Warfarin is reversed with {PLANTED}.")


def sqlite_error(code: int):
    def raising(*_args, **_kwargs):
        error = sqlite3.OperationalError(f"while it was written: {PLANTED}")
        error.sqlite_errorcode = code
        raise error

    return raising


class Unreadable:
    execute = staticmethod(sqlite_error(sqlite3.SQLITE_IOERR))

    def close(self) -> None:
        """Nothing is open."""


def replaced(owner: object, name: str, by: object):
    @contextmanager
    def fault(_ward: Ward) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(owner, name, by)
            yield

    return fault


def at_commit(error):
    @contextmanager
    def fault(ward: Ward) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ward.state._commits, "_before", error)
            yield

    return fault


@contextmanager
def disk_full(ward: Ward) -> Iterator[None]:
    """Really: SQLite may not have one page more, and the last one is filled up first."""
    connection = ward.state._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with suppress(FedragError):
        for number in range(10_000):
            with ward.state.transaction() as filling:
                filling.execute("INSERT INTO audit (event, head) VALUES (?, 'x')", (f"filler {number}",))
    yield
    connection.execute("PRAGMA max_page_count = 1000000")
    with ward.state.transaction() as freed:
        freed.execute("DELETE FROM audit WHERE event LIKE 'filler%'")


@contextmanager
def read_only(ward: Ward) -> Iterator[None]:
    ward.state._connection.execute("PRAGMA query_only = ON")
    yield
    ward.state._connection.execute("PRAGMA query_only = OFF")


@contextmanager
def locked(ward: Ward) -> Iterator[None]:
    """By another process, for longer than the node waits."""
    ward.state._connection.execute("PRAGMA busy_timeout = 100")
    with closing(sqlite3.connect(ward.hospital.home.state, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def statement(change: str, back: str = ""):
    @contextmanager
    def fault(ward: Ward) -> Iterator[None]:
        with closing(sqlite3.connect(ward.hospital.home.state)) as other, other:
            other.execute(change)
        yield
        if back:
            with closing(sqlite3.connect(ward.hospital.home.state)) as other, other:
                other.execute(back)

    return fault


def clock(ahead_s: float):
    @contextmanager
    def fault(ward: Ward) -> Iterator[None]:
        node, kept = ward.hospital.node, ward.hospital.node.clock
        object.__setattr__(node, "clock", lambda: kept() + ahead_s)
        yield
        object.__setattr__(node, "clock", kept)

    return fault


def ledger_clock(ahead_s: float):
    @contextmanager
    def fault(ward: Ward) -> Iterator[None]:
        node = ward.hospital.node
        object.__setattr__(node, "ledger_clock", lambda: node.clock() + ahead_s)
        yield
        object.__setattr__(node, "ledger_clock", None)

    return fault


@contextmanager
def torn_pages(ward: Ward) -> Iterator[None]:
    """Every page of the file but the first is overwritten, and put back after."""
    path, connection = ward.hospital.home.state, ward.state._connection
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    for each in (connection, ward.state._reader):
        each.execute("PRAGMA cache_size = 0")
        each.execute("PRAGMA shrink_memory")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (len(whole) - 4096))
    yield
    path.write_bytes(whole)
    for each in (connection, ward.state._reader):
        each.execute("PRAGMA shrink_memory")


def instead(part: Callable[[Ward], object], name: str, by: object):
    """Of this hospital alone."""

    @contextmanager
    def fault(ward: Ward) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(part(ward), name, by)
            yield

    return fault


def no_receipts(ward: Ward):
    """The key fails when a receipt is to be signed: what was charged by then does not leave all the same."""
    signer = ward.hospital.node.signer
    kept = signer.sign
    return instead(lambda _: signer, "sign", lambda what, said: broken() if what == "receipt" else kept(what, said))(
        ward
    )


@contextmanager
def kept_waiting(ward: Ward) -> Iterator[None]:
    """Another transaction takes longer than anybody waits for."""
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with ward.state.transaction():
            inside.set()
            done.wait(1.0)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(5)
    yield
    done.set()
    thread.join()


def everywhere(code: str) -> dict[str, str]:
    return dict.fromkeys(STEPS, code)


def where_charged(code: str) -> dict[str, str]:
    """Offers alone are not charged, and hold no text."""
    return {"offers": "offers", "release": code, "direct": code}


FULL, FAILING = sqlite_error(sqlite3.SQLITE_FULL), sqlite_error(sqlite3.SQLITE_IOERR)
FAULTS = {
    "audit raises": (replaced(audit, "append", broken), everywhere("internal")),
    "ledger raises": (replaced(ledger, "charge", broken), where_charged("internal")),
    "receipt not signed": (no_receipts, everywhere("internal")),
    "disk full while charged": (replaced(ledger, "charge", FULL), where_charged("state_full")),
    "disk full while logged": (replaced(audit, "append", FULL), everywhere("state_full")),
    "disk full at the commit": (at_commit(FULL), everywhere("state_full")),
    "disk fails at the commit": (at_commit(FAILING), everywhere("state_unavailable")),
    "commit raises": (at_commit(broken), everywhere("internal")),
    "disk full": (disk_full, everywhere("state_full")),
    "read-only": (read_only, everywhere("state_unavailable")),
    "locked by another process": (locked, everywhere("state_busy")),
    "kept waiting": (kept_waiting, where_charged("deadline")),
    "nonces not readable": (instead(lambda ward: ward.state, "_reader", Unreadable()), everywhere("state_unavailable")),
    "no audit table": (
        statement("ALTER TABLE audit RENAME TO hidden", "ALTER TABLE hidden RENAME TO audit"),
        everywhere("internal"),
    ),
    "no ledger table": (
        statement("ALTER TABLE charges RENAME TO hidden", "ALTER TABLE hidden RENAME TO charges"),
        where_charged("internal"),
    ),
    "torn pages": (torn_pages, everywhere("corrupt_state")),
    "clock an hour ahead": (clock(3_600), everywhere("clock_skew")),
    "clock an hour behind": (clock(-3_600), everywhere("clock_skew")),
    "clock of another year": (clock(-400 * 86_400), everywhere("clock_skew")),
    # A release that is refused does not go along with the offers; they say nothing of it.
    "ledger's clock days behind": (
        ledger_clock(-3 * 86_400),
        {"offers": "offers", "release": "clock_jumped", "direct": "offers"},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_breaks_there_nothing_leaves(ward: Ward, name: str, capsys) -> None:
    """At every step: no text, the code in the node's log, and once it is mended text leaves again; the ledger and the
    log then say the same."""
    fault, codes = FAULTS[name]
    for step in STEPS:
        became = ward.ask(step, fault, deadline_ms=400)
        assert (step, became) == (step, codes[step])
        assert ward.codes() == ["ok" if became == "offers" else became]
        printed = capsys.readouterr()
        assert PLANTED not in printed.out + printed.err + str(ward.logged)
    assert ward.ask("release") == ward.ask("direct") == "text"
    require_whole_books(ward)


def require_whole_books(ward: Ward) -> None:
    """Every charge has its line in the log and every line its charges, and the chain holds."""
    with ward.state.reading() as connection:
        charged = set(connection.execute("SELECT request_id, passage FROM charges"))
        events = [json.loads(line) for line in audit.lines(connection)]
    released = [(one["request_id"], one["passages"]) for one in events if one["kind"] == "release"]
    assert charged == {(request, str(passage)) for request, passages in released for passage in passages} != set()


def nonces_on_disk(ward: Ward) -> int:
    """As a process finds them that starts after this one was killed."""
    with closing(sqlite3.connect(ward.hospital.home.state)) as other:
        return other.execute("SELECT count(*) FROM nonces").fetchone()[0]


def test_no_answer_leaves_before_its_nonce_is_on_disk(ward: Ward) -> None:
    """Offers, a release, a description and a denial: each answer's request is known to whoever starts after a kill, so
    none can be played again; what was recorded took the nonce along in its own flush."""
    commits: list[str] = []
    ward.state._connection.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else None)
    before = nonces_on_disk(ward)
    assert ward.ask("offers") == "offers"
    assert (nonces_on_disk(ward) - before, len(commits)) == (1, 1)
    assert ward.ask("release") == "text"
    assert (nonces_on_disk(ward) - before, len(commits)) == (3, 3)
    asyncio.run(ward.hospital.remote.describe(Deadline.after_ms(5_000)))
    assert nonces_on_disk(ward) - before == 4
    assert ward.ask("release", ledger_clock(-3 * 86_400)) == "clock_jumped"
    assert nonces_on_disk(ward) - before == 6


def test_a_damaged_memory_keeps_a_node_from_starting(ward: Ward) -> None:
    """It does not serve without its ledger."""
    ward.state._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ward.hospital.home.state.write_bytes(b"rubbish" * 2_000)
    with pytest.raises(IntegrityError) as refused:
        assemble(ward.hospital.home)
    assert refused.value.code == "corrupt_state"
