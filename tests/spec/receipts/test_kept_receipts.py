"""The coordinator keeps what hospitals signed: durably, in order, for a time, the newest for ever."""

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fedrag.core.errors import IntegrityError, ProtocolError
from fedrag.core.exchange import Receipt
from fedrag.receipts import ReceiptStore, kept, receipts_of

DAY = 86_400.0


def receipt(number: int, node: str = "heart") -> Receipt:
    return Receipt(
        node=node,
        request_id=f"{number:032x}",
        head=f"{number:064x}",
        released_at=datetime(2026, 1, 1, 12, 0, 0, number, tzinfo=UTC),
        signature="AAAA",
    )


class Clock:
    now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receipts.sqlite"


def test_what_was_kept_is_there_after_a_flush_and_comes_back_as_it_was(path: Path) -> None:
    """To the byte, in the order in which they came, each hospital's by itself: their signatures still verify. Read by
    another connection while the store is open."""
    store = ReceiptStore(path, 30)
    for number in range(20):
        store.keep(receipt(number))
        store.keep(receipt(100 + number, "lung"))
    store.flush()
    assert list(receipts_of(path, "heart")) == [receipt(number).model_dump_json() for number in range(20)]
    assert dict(kept(path)) == {"heart": 20, "lung": 20}
    assert path.stat().st_mode & 0o077 == 0
    store.close()


def test_many_at_once_are_all_kept(path: Path) -> None:
    """Eight threads, fifty each."""
    store = ReceiptStore(path, 30)
    threads = [
        threading.Thread(target=lambda first=first: [store.keep(receipt(first + n)) for n in range(50)])
        for first in range(0, 400, 50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert len(set(receipts_of(path, "heart"))) == 400


def test_old_ones_go_and_the_newest_of_each_hospital_stays(path: Path) -> None:
    """A hospital that was silent for a year can still be held to its last word."""
    clock = Clock()
    store = ReceiptStore(path, 30, clock=clock)
    for number in range(3):
        store.keep(receipt(number, "silent"))
    store.keep(receipt(10))
    store.flush()
    clock.now_s += 31 * DAY
    store.keep(receipt(11))
    store.flush()
    assert list(receipts_of(path, "silent")) == [receipt(2, "silent").model_dump_json()]
    assert list(receipts_of(path, "heart")) == [receipt(11).model_dump_json()]
    store.close()


def test_what_cannot_be_written_now_is_written_later(path: Path) -> None:
    """While another process holds the file nothing is lost, and nobody waits for it who only asks a question."""
    store = ReceiptStore(path, 30)
    store._connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.keep(receipt(1))
    store.flush()
    assert list(receipts_of(path, "heart")) == []
    other.execute("ROLLBACK")
    other.close()
    store.keep(receipt(2))
    store.close()
    assert list(receipts_of(path, "heart")) == [receipt(1).model_dump_json(), receipt(2).model_dump_json()]


def test_a_store_of_a_later_format_is_refused(path: Path) -> None:
    """It is left as it is."""
    ReceiptStore(path, 30).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(IntegrityError) as refused:
        ReceiptStore(path, 30)
    assert refused.value.code == "state_format"


def test_every_answer_of_a_hospital_leaves_a_receipt_that_its_log_holds(workshop, put_question, path: Path) -> None:
    """Offers and releases, in both ways: each head stands in the node's chain at a line of that request."""
    from retriever_node import audit

    hospital = workshop.hospital("heart", {"d.md": "# D\n\n## S\nWarfarin is reversed with vitamin K.\n"})
    receipts: list[Receipt] = []
    object.__setattr__(hospital.remote, "keep", receipts.append)
    answers = [
        put_question(workshop.coordinator(hospital.remote, release_mode=mode), "How is warfarin reversed?")
        for mode in ("offers", "direct")
    ]
    assert {one.request_id for one in receipts} == {answer.id for answer in answers}
    assert len(receipts) == 4
    with hospital.node.state.reading() as connection:
        found = audit.check(connection, receipts)
    assert (found.anchors, found.unanchored) == (4, 0)


async def test_a_receipt_for_another_request_is_not_believed(workshop) -> None:
    """Nor kept: the whole answer is refused."""
    from dataclasses import fields

    from fedrag.core.deadline import Deadline
    from fedrag.core.exchange import OfferRequest
    from retriever_node.node import RetrieverNode
    from retriever_node.service import create_app

    honest = workshop.hospital("heart", {"d.md": "# D\n\n## S\nWarfarin is reversed with vitamin K.\n"})

    class Stale(RetrieverNode):
        def offers(self, request, deadline):
            made = RetrieverNode.offers(self, request, deadline)
            return made.model_copy(update={"receipt": made.receipt.model_copy(update={"request_id": "f" * 32})})

    node = Stale(**{one.name: getattr(honest.node, one.name) for one in fields(honest.node)})
    remote = workshop.remote("heart", node.signer, create_app(node))
    receipts: list[Receipt] = []
    object.__setattr__(remote, "keep", receipts.append)
    request = OfferRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", vector=None, comparable_with="",
        text="warfarin", k=3, deadline_ms=5_000,
    )  # fmt: skip
    with pytest.raises(ProtocolError):
        await remote.offers(request, Deadline.after_ms(5_000))
    assert receipts == []
