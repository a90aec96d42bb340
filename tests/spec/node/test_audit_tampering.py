"""Whoever changes, removes, moves, puts in or cuts off a line of the audit log is found by whoever holds a receipt."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fedrag.core.errors import InputError, IntegrityError
from fedrag.core.exchange import Receipt
from fedrag.http.signing import Signer, signed_bytes
from retriever_node import audit
from retriever_node.state import NodeState

LINES = 60
ROUNDS = 40
Row = tuple[str, str]
"""Event, head."""
Tampering = Callable[[list[Row], random.Random], list[Row]]
NODE = Signer.generate()


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> list[Row]:
    """A log as a node writes it: offers, releases, an ingest now and then."""
    state = NodeState(tmp_path_factory.mktemp("audit") / "state.sqlite")
    for number in range(LINES):
        with state.transaction() as connection:
            if number % 7 == 6:
                audit.note(connection, "ingest", number, collection="d", figures={"passages": number})
            else:
                kind = "release" if number % 2 else "offers"
                at = audit.timestamp(number)
                audit.append(
                    connection,
                    audit.AuditEvent(
                        at, kind, f"{number:032x}", f"asker{number % 5}", "treatment", "hub", text_bytes=9
                    ),
                )
    with state.reading() as connection:
        rows = connection.execute("SELECT event, head FROM audit ORDER BY position").fetchall()
    state.close()
    return rows


def receipt_of(row: Row) -> Receipt:
    unsigned = Receipt(
        node="heart",
        request_id=json.loads(row[0])["request_id"],
        head=row[1],
        released_at=datetime(2026, 1, 1, tzinfo=UTC),
        signature="",
    )
    return unsigned.model_copy(update={"signature": NODE.sign("receipt", signed_bytes(unsigned))})


def stored(rows: list[Row]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE audit (position INTEGER PRIMARY KEY, event TEXT NOT NULL, head TEXT NOT NULL)")
    connection.executemany("INSERT INTO audit (event, head) VALUES (?, ?)", rows)
    return connection


def holds(rows: list[Row], anchors: list[Receipt]) -> bool:
    with closing(stored(rows)) as connection:
        try:
            audit.check(connection, anchors)
        except IntegrityError:
            return False
    return True


def chained(rows: list[Row]) -> list[Row]:
    """The chain made anew over whatever the lines say now."""
    head, made = audit.GENESIS, []
    for event, _ in rows:
        head = audit._next_head(head, event)
        made.append((event, head))
    return made


def edited(rows: list[Row], chance: random.Random) -> list[Row]:
    at = chance.randrange(len(rows))
    event = json.loads(rows[at][0])
    field = chance.choice(["asker", "text_bytes", "at", "kind", "coordinator"])
    event[field] = 1_000_000 if field == "text_bytes" else f"{event[field]}x"
    line = json.dumps(event, separators=(",", ":"), sort_keys=True)
    return [*rows[:at], (line, rows[at][1]), *rows[at + 1 :]]


def respelled(rows: list[Row], chance: random.Random) -> list[Row]:
    """Says the same in other bytes."""
    at = chance.randrange(len(rows))
    return [*rows[:at], (rows[at][0].replace(":", ": ", 1), rows[at][1]), *rows[at + 1 :]]


def removed(rows: list[Row], chance: random.Random) -> list[Row]:
    at = chance.randrange(len(rows) - 1)
    return [*rows[:at], *rows[at + 1 :]]


def moved(rows: list[Row], chance: random.Random) -> list[Row]:
    first, second = sorted(chance.sample(range(len(rows)), 2))
    return [*rows[:first], rows[second], *rows[first + 1 : second], rows[first], *rows[second + 1 :]]


def put_in(rows: list[Row], chance: random.Random) -> list[Row]:
    at = chance.randrange(len(rows))
    return [*rows[:at], rows[chance.randrange(len(rows))], *rows[at:]]


def cut_off(rows: list[Row], chance: random.Random) -> list[Row]:
    return rows[: chance.randrange(len(rows))]


def grown_again(rows: list[Row], chance: random.Random) -> list[Row]:
    kept = cut_off(rows, chance)
    return [*kept, *((rows[0][0].replace("asker0", "nobody"), "") for _ in range(len(rows) - len(kept)))]


CLUMSY: list[Tampering] = [edited, respelled, removed, moved, put_in]
CAREFUL = [*CLUMSY, grown_again]


def tampered(written: list[Row], how: Tampering, *, rechained: bool) -> Iterator[list[Row]]:
    chance = random.Random(f"{how.__name__} {rechained}")  # noqa: S311 - not for secrets
    for _ in range(ROUNDS):
        rows = how(written, chance)
        yield chained(rows) if rechained else rows


def test_an_untouched_log_holds_against_every_receipt(written: list[Row]) -> None:
    """The control: all heads that were given out are in it, and what came after the newest is counted."""
    anchors = [receipt_of(row) for row in written[:50] if '"ingest"' not in row[0]]
    with closing(stored(written)) as connection:
        found = audit.check(connection, anchors)
    assert (found.lines, found.head, found.anchors, found.unanchored) == (LINES, written[-1][1], 43, LINES - 50)


@pytest.mark.parametrize("rechained", [False, True], ids=["in the file", "and the chain made anew"])
@pytest.mark.parametrize("how", [*CAREFUL, cut_off], ids=lambda how: how.__name__)
def test_with_the_last_receipt_everything_is_found(written: list[Row], how: Tampering, rechained: bool) -> None:
    """Forty of each kind: not one holds against the receipt of the last line."""
    anchors = [receipt_of(written[-1])]
    assert not any(holds(rows, anchors) for rows in tampered(written, how, rechained=rechained))


@pytest.mark.parametrize("how", CLUMSY, ids=lambda how: how.__name__)
def test_without_a_receipt_a_clumsy_change_is_found(written: list[Row], how: Tampering) -> None:
    """Whoever changes lines and leaves the chain is found by the chain alone."""
    assert not any(holds(rows, []) for rows in tampered(written, how, rechained=False))


@pytest.mark.parametrize("how", [*CAREFUL, cut_off], ids=lambda how: how.__name__)
def test_without_a_receipt_a_careful_change_is_not_found(written: list[Row], how: Tampering) -> None:
    """What docs/audit.md says of it: a chain made anew is a chain."""
    assert all(holds(rows, []) for rows in tampered(written, how, rechained=True))


def test_lines_under_other_numbers_are_found(written: list[Row]) -> None:
    """A gap says that something was there, though the chain goes on."""
    with closing(stored(written)) as connection:
        connection.execute("UPDATE audit SET position = position + 1000 WHERE position > 30")
        with pytest.raises(IntegrityError) as broken:
            audit.check(connection)
    assert broken.value.code == "audit_broken"


def test_what_is_newer_than_every_receipt_can_be_cut_off(written: list[Row]) -> None:
    """A receipt vouches for the lines before it: of those after, nothing is known outside."""
    anchors = [receipt_of(written[40])]
    assert holds(written[:41], anchors)
    assert not holds(written[:40], anchors)


def test_a_head_of_another_line_is_no_receipt_for_a_request(written: list[Row]) -> None:
    """A node that gives an old head for a new request, so that the request need not be in the log, is found."""
    stale = receipt_of(written[10]).model_copy(update={"request_id": "f" * 32})
    assert not holds(written, [stale])


def test_a_log_that_is_gone_does_not_hold(written: list[Row]) -> None:
    """Emptied it lacks the heads; dropped it cannot be read."""
    assert not holds([], [receipt_of(written[3])])
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(IntegrityError) as broken:
        audit.check(connection)
    assert broken.value.code == "audit_broken"


def test_an_anchor_file_is_of_receipts_that_this_node_signed(written: list[Row], tmp_path: Path) -> None:
    """Read back as they were written; one of another node, one signed by another key and a line of rubbish are not."""
    receipts = [receipt_of(row) for row in written[:3]]
    path = tmp_path / "anchors.jsonl"
    path.write_text("\n".join(one.model_dump_json() for one in receipts) + "\n", encoding="utf-8")
    assert audit.read_anchors(path, "heart", NODE.public_key) == tuple(receipts)
    for node, key in (("lung", NODE.public_key), ("heart", Signer.generate().public_key)):
        with pytest.raises(InputError) as refused:
            audit.read_anchors(path, node, key)
        assert refused.value.code == "bad_anchor"
    path.write_text("rubbish\n", encoding="utf-8")
    with pytest.raises(InputError):
        audit.read_anchors(path, "heart", NODE.public_key)


def test_equal_questions_have_equal_digests_for_the_owner_only() -> None:
    """Case and spaces do not matter; another node's key gives another digest; no question is part of it."""
    one = audit.question_digest(b"k" * 32, "How is  Warfarin reversed?")
    assert one == audit.question_digest(b"k" * 32, "how is warfarin reversed?")
    assert one != audit.question_digest(b"k" * 32, "how is heparin reversed?")
    assert one != audit.question_digest(b"x" * 32, "how is warfarin reversed?")
    assert audit.question_digest(b"k" * 32, None) == ""
    assert audit.question_digest(b"k" * 32, None, "AAAA") != ""
