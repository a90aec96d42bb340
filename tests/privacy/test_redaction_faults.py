"""Whatever breaks in redaction, at ingest or while a question waits, no byte of text leaves and the node says why.

Oracle: words planted in a letter, searched for in every byte the node answers and in everything it logs; the ledger,
which counts what left; and the code in the node's own log.
"""

import io
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded, Refused
from fedrag.core.exchange import NodeStatus, OfferRequest, Offers, Processor, ProcessorPlace, Release, ReleaseRequest
from fedrag.redaction import pattern_detector
from retriever_node.assemble import assemble
from retriever_node.ingest import ingest
from retriever_node.node import RetrieverNode
from retriever_node.patients import KnownIdentifiers
from retriever_node.redacted import redact_collection
from retriever_node.redaction import Redaction
from retriever_node.service import create_app
from retriever_node.store import PassageStore
from retriever_node.surrogates import Surrogates

LETTER = (
    "# Letter about Mr. Vennerholm\n\n## Seen by Dr. Quistgaard\n\nMr. Vennerholm takes warfarin since 11 Mar 2023.\n"
)
REDACTED = "[NAME] takes warfarin since [DATE]."
PLANTED = ("Vennerholm", "Quistgaard", "11 Mar 2023", "takes warfarin")
QUESTION = "Does the patient need an anticoagulant, is it warfarin?"


class Broken(Exception):
    """Holds text that must not get out."""


def raising(error: Exception) -> Callable[..., object]:
    def broken(*_arguments: object, **_named: object) -> object:
        raise error

    return broken


FAULTS = {
    "exception": Broken("Mr. Vennerholm takes warfarin"),
    "disk full": sqlite3.OperationalError("database or disk is full: Vennerholm"),
    "damaged": sqlite3.DatabaseError("database disk image is malformed: Vennerholm"),
    "time-out": TimeoutError("Vennerholm"),
    "out of memory": MemoryError("Vennerholm"),
}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged, at every level."""
    stream = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    yield stream
    structlog.reset_defaults()


@pytest.fixture
def bare(workshop) -> RetrieverNode:
    """One letter in a `protocol` collection whose owner wants it redacted, not ingested yet."""
    made = workshop.hospital("heart", {"brimstone.md": LETTER})
    made.node.store.close()
    made.node.state.close()
    workshop.opened.clear()
    text = made.home.config.read_text(encoding="utf-8")
    made.home.config.write_text(text.replace('release_class = "protocol"', 'release_class = "protocol"\nredact = true'))
    again = assemble(made.home)
    workshop.opened.append(again)
    return again


@pytest.fixture
def node(workshop, bare: RetrieverNode) -> RetrieverNode:
    """The same with its forms."""
    fill(workshop.folder, bare)
    return bare


def fill(folder: Path, node: RetrieverNode) -> None:
    (served,) = node.collections.values()
    ingest(folder / "heart" / "documents", "documents", node.store, node.encoder, redaction=served.redaction)


def offered(node: RetrieverNode, seconds: float = 20) -> Offers:
    request = OfferRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", vector=None, text=QUESTION, k=5,
        comparable_with=node.encoder.identity.comparable_with, deadline_ms=5_000,
    )  # fmt: skip
    return node.offers(request, Deadline(time.monotonic() + seconds))


def released(node: RetrieverNode, offers: Offers, seconds: float = 20) -> Release:
    request = ReleaseRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", deadline_ms=5_000,
        handles=tuple(offer.handle for offer in offers.offers),
        processor=Processor(model="m", place=ProcessorPlace.TRUST_DOMAIN),
    )  # fmt: skip
    return node.release(request, Deadline(time.monotonic() + seconds))


def planted(*told: object) -> list[str]:
    text = "\n".join(map(str, told))
    return [one for one in PLANTED if re.search(re.escape(one), text, re.IGNORECASE)]


def codes(logged: io.StringIO) -> set[str]:
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    return {line["code"] for line in lines if line["event"] == "denied"}


def charged(node: RetrieverNode) -> int:
    with node.state.transaction() as connection:
        return int(connection.execute("SELECT count(*) FROM charges").fetchone()[0])


SERVING: dict[str, tuple[type, str, str, bool]] = {
    "the forms are read": (PassageStore, "redacted", "forms_unreadable", True),
    "what is known is read": (PassageStore, "known", "forms_unreadable", False),
    "a form is looked through": (Redaction, "leaves", "not_looked_through", False),
    "what is known is looked for": (KnownIdentifiers, "removed", "not_looked_through", False),
}
"""Step → what it calls, the code in the log, and whether offers need it too."""


@pytest.mark.parametrize("step", SERVING)
def test_a_fault_while_a_question_waits_is_a_denial(
    workshop, node: RetrieverNode, put_question, monkeypatch, logged, step: str
) -> None:
    """Each kind of fault: no text over the wire, neither in the answer nor in the log; nothing is charged; the code is
    in the log. Without it the passage leaves, so what passes does not pass for want of a passage."""
    owner, name, code, _ = SERVING[step]
    remote = workshop.remote("heart", node.signer, create_app(node))
    (number,) = node.store.vectors("documents")[0].tolist()
    known = PassageStore.known
    monkeypatch.setattr(
        PassageStore, "known", lambda store, ids: {**known(store, ids), number: ("Ada Lund", "Lund, Ada")}
    )
    for fault in FAULTS.values():
        logged.truncate(0)
        logged.seek(0)
        with monkeypatch.context() as broken:
            broken.setattr(owner, name, raising(fault))
            answer = put_question(workshop.coordinator(remote), QUESTION)
        assert answer.evidence.passages == ()
        assert planted(answer.model_dump_json(), logged.getvalue()) == []
        assert charged(node) == 0
        assert code in codes(logged)
    whole = put_question(workshop.coordinator(remote), QUESTION)
    assert [one.passage.text for one in whole.evidence.passages] == [REDACTED]
    assert charged(node) == 1


def test_a_fault_of_the_store_is_told_as_a_failure_and_one_of_a_passage_as_nothing_found(
    workshop, node: RetrieverNode, put_question, monkeypatch
) -> None:
    """That the forms cannot be read says nothing about a passage; that one cannot be released would."""
    coordinator = workshop.coordinator(workshop.remote("heart", node.signer, create_app(node)))
    with monkeypatch.context() as broken:
        broken.setattr(PassageStore, "redacted", raising(Broken("x")))
        assert put_question(coordinator, QUESTION).coverage[0].status is NodeStatus.FAILED
    with monkeypatch.context() as broken:
        broken.setattr(PassageStore, "redacted", lambda *_: {})
        empty = put_question(coordinator, QUESTION).coverage[0]
    assert empty.status is NodeStatus.ANSWERED


@pytest.mark.parametrize("step", [step for step, about in SERVING.items() if about[1] in ("redacted", "known")])
def test_a_step_that_takes_too_long_gives_nothing(node: RetrieverNode, monkeypatch, step: str) -> None:
    """The store answers after the deadline: neither offers nor text, nothing charged."""
    owner, name, _, in_offers = SERVING[step]
    before, whole = offered(node), getattr(owner, name)

    def slow(*arguments: object) -> object:
        time.sleep(0.3)
        return whole(*arguments)

    monkeypatch.setattr(owner, name, slow)
    with pytest.raises(DeadlineExceeded):
        released(node, before, seconds=0.2)
    if in_offers:
        with pytest.raises(DeadlineExceeded):
            offered(node, seconds=0.2)
    assert charged(node) == 0


def _file(node: RetrieverNode) -> str:
    (path,) = (row[2] for row in node.store._database.connection.execute("PRAGMA database_list") if row[1] == "main")
    return str(path)


def _set_form(path: str, column: str, value: object) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE redacted SET {column} = ?", (value,))  # noqa: S608 - a column named in this file


def test_no_corruption_of_a_form_gets_out(node: RetrieverNode, logged) -> None:
    """Every byte of the stored form changed, the form cut at every eighth place, its version and its digest changed:
    not offered and not released each time, with the code in the log. Put back, it is."""
    before, path = offered(node), _file(node)
    with closing(sqlite3.connect(path)) as database:
        form, digest, version = database.execute("SELECT form, sha256, redaction FROM redacted").fetchone()
    damaged = [("form", form[:at] + chr((ord(form[at]) + 1) % 128) + form[at + 1 :], form) for at in range(len(form))]
    damaged += [("form", form[:at], form) for at in range(0, len(form), 8)]
    damaged += [("form", "[]", form), ("form", "null", form), ("form", "\x00", form), ("form", LETTER, form)]
    damaged += [("sha256", "", digest), ("sha256", digest[::-1], digest), ("redaction", version + "x", version)]
    for number, (column, value, right) in enumerate(damaged):
        _set_form(path, column, value)
        if number % 16 == 0:
            assert offered(node).offers == ()
        assert released(node, before).passages == ()
        _set_form(path, column, right)
    assert "no_form" in codes(logged)
    assert planted(logged.getvalue()) == []
    assert charged(node) == 0
    assert [one.text for one in released(node, before).passages] == [REDACTED]


def test_a_clock_that_jumps_gives_nothing(node: RetrieverNode) -> None:
    """Between offer and release, by an hour, a day or a year in either direction: the handle is refused. A form does
    not depend on the clock."""
    before = offered(node)
    for jump_s in (-86_400 * 366, -86_400, -3_600, 3_600, 86_400, 86_400 * 366):
        jumped = replace(node, clock=lambda jump_s=jump_s: time.time() + jump_s)
        with pytest.raises(Refused) as refused:
            released(jumped, before)
        assert refused.value.code == "handle_expired"
    assert charged(node) == 0
    (served,) = node.collections.values()
    assert served.redaction is not None
    assert node.store.count_unredacted("documents", served.redaction.version) == 0


INGEST: dict[str, tuple[object, str]] = {
    "a date or tag is put in place": (Surrogates, "of"),
    "what is known is looked for": (Redaction, "_removed"),
    "the form is looked through": (Redaction, "leaves"),
    "a form is made": (Redaction, "form"),
}


@pytest.mark.parametrize("step", INGEST)
def test_a_fault_while_forms_are_made_withholds_the_passage(
    workshop, bare: RetrieverNode, monkeypatch, logged, step: str
) -> None:
    """Each kind of fault: the run goes on, counts what it withheld and logs the code; nothing is offered until a later
    run has made the form."""
    owner, name = INGEST[step]
    (served,) = bare.collections.values()
    assert served.redaction is not None
    for fault in FAULTS.values():
        logged.truncate(0)
        logged.seek(0)
        with monkeypatch.context() as broken:
            broken.setattr(owner, name, raising(fault))
            report = redact_collection(bare.store, "documents", served.redaction)
        assert (report.redacted, report.withheld) == (0, 1)
        assert "withheld" in codes(logged)
        assert planted(logged.getvalue()) == []
    bare.refresh()
    assert offered(bare).offers == ()
    fill(workshop.folder, bare)
    assert [one.text for one in released(bare, offered(bare)).passages] == [REDACTED]


def test_a_detector_that_fails_withholds(workshop, bare: RetrieverNode) -> None:
    """Whatever it raises, and whatever nonsense it finds: spans outside the text, or in the wrong order, hide too much
    rather than too little, or nothing leaves."""
    (served,) = bare.collections.values()
    right = pattern_detector()
    for find in (raising(Broken("Vennerholm")), raising(RecursionError()), lambda _: None, lambda _: [((0, 4), 7, 7)]):
        redaction = Redaction(replace(right, find=find, version="0" * 16))
        assert redact_collection(bare.store, "documents", redaction).withheld == 1
        changed = replace(bare, collections={served.id: replace(served, redaction=redaction)})
        assert offered(changed).offers == ()


@pytest.mark.parametrize("name", ["put_redacted", "known", "unredacted", "passages", "provenance"])
def test_a_store_that_fails_at_ingest_leaves_no_form_behind(
    workshop, bare: RetrieverNode, monkeypatch, name: str
) -> None:
    """The run ends in the error; the passage has no form, so nothing is offered; the next run makes it."""
    (served,) = bare.collections.values()
    assert served.redaction is not None
    for fault in FAULTS.values():
        with monkeypatch.context() as broken:
            broken.setattr(PassageStore, name, raising(fault))
            with pytest.raises(type(fault)):
                redact_collection(bare.store, "documents", served.redaction)
    assert bare.store.count_unredacted("documents", served.redaction.version) == 1
    assert offered(bare).offers == ()
    fill(workshop.folder, bare)
    assert len(offered(bare).offers) == 1
