"""The owner's switch: from the moment it is off nothing leaves, whoever asks, in every replica and after a restart."""

import json
import time
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from fedrag.core.deadline import Deadline
from fedrag.core.errors import Refused
from fedrag.core.exchange import NodeStatus, OfferRequest, Processor, ProcessorPlace, ReleaseRequest
from fedrag.core.wire import ReleaseClass
from retriever_node import audit, switch
from retriever_node.assemble import assemble
from retriever_node.cli import app
from retriever_node.node import RetrieverNode
from retriever_node.service import create_app
from retriever_node.serving import look_around
from retriever_node.state import NodeState

DOCUMENT = {"d.md": "# D\n\n## S\nWarfarin bleeding is reversed with vitamin K.\n"}
QUESTION = "How is warfarin bleeding reversed?"


@pytest.fixture
def hospital(workshop):
    return workshop.hospital("heart", DOCUMENT, ReleaseClass.PUBLIC)


def stop(hospital, reason: str = "audit") -> None:
    """As an owner does, in a process of its own."""
    said = CliRunner().invoke(app, ["stop-releasing", "--home", str(hospital.home.folder), "--reason", reason])
    assert said.exit_code == 0, said.output


def offer_request(**changes: object) -> OfferRequest:
    asked = OfferRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", vector=None, text=QUESTION, k=5,
        comparable_with="", deadline_ms=5_000,
    )  # fmt: skip
    return asked.model_copy(update=changes)


def release_request(handle: str) -> ReleaseRequest:
    return ReleaseRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", handles=(handle,), deadline_ms=5_000,
        processor=Processor(model="m", place=ProcessorPlace.TRUST_DOMAIN),
    )  # fmt: skip


def soon() -> Deadline:
    return Deadline(time.monotonic() + 5)


def kinds(node: RetrieverNode) -> list[str]:
    with node.state.transaction() as connection:
        return [json.loads(line)["kind"] for line in audit.lines(connection)]


def charges(node: RetrieverNode) -> int:
    with node.state.transaction() as connection:
        return int(connection.execute("SELECT count(*) FROM charges").fetchone()[0])


def test_a_stopped_hospital_refuses_whatever_is_asked(workshop, hospital, put_question) -> None:
    """The coordinator sees `refused` with one code, for a question that would find something and one that would not;
    resumed, the hospital answers as before."""
    coordinator = workshop.coordinator(hospital.remote)
    assert len(put_question(coordinator, QUESTION, "en", deadline_ms=30_000).evidence.passages) == 1
    stop(hospital)
    for question in (QUESTION, "What is the capital of France?"):
        answer = put_question(coordinator, question, "en", deadline_ms=30_000)
        assert answer.evidence.passages == ()
        (outcome,) = answer.coverage
        assert (outcome.status, outcome.code) == (NodeStatus.REFUSED, switch.CODE)
    assert CliRunner().invoke(app, ["resume-releasing", "--home", str(hospital.home.folder)]).exit_code == 0
    assert len(put_question(coordinator, QUESTION, "en", deadline_ms=30_000).evidence.passages) == 1


@pytest.mark.parametrize("ask", [lambda node: node.describe(), lambda node: node.offers(offer_request(), soon())])
def test_descriptions_and_offers_are_refused(hospital, ask) -> None:
    """With the same code, and without a line that says something was offered."""
    ask(hospital.node)
    before = kinds(hospital.node)
    stop(hospital)
    with pytest.raises(Refused) as refused:
        ask(hospital.node)
    assert refused.value.code == switch.CODE
    assert kinds(hospital.node) == [*before, "releasing_stopped"]


async def test_common_statistics_are_refused(workshop, hospital) -> None:
    """A hospital that releases nothing is in no sum."""
    from fedrag.core import statistics
    from fedrag.http.client import RemoteNode

    assert isinstance(hospital.remote, RemoteNode)
    stop(hospital)
    body = b"{}"
    for step in (statistics.KEY, statistics.MASK, statistics.SURVIVORS, statistics.SEEDS, statistics.EPOCH):
        headers = _signed(workshop, step.path, body)
        response = await hospital.remote.client.post(f"http://heart{step.path}", content=body, headers=headers)
        assert (response.status_code, response.json()["code"]) == (403, switch.CODE), step.name


def _signed(workshop, path: str, body: bytes) -> dict[str, str]:
    from fedrag.core.wire import new_request_id
    from fedrag.http.signing import SignedRequest

    signed = SignedRequest("test-coordinator", "heart", "POST", path, body, int(time.time()), new_request_id())
    return signed.headers(workshop.signer)


def test_a_handle_from_before_releases_nothing(hospital) -> None:
    """Offers made, then stopped: nothing is charged. Resumed, the same handle opens."""
    (offer,) = hospital.node.offers(offer_request(), soon()).offers
    stop(hospital)
    with pytest.raises(Refused) as refused:
        hospital.node.release(release_request(offer.handle), soon())
    assert refused.value.code == switch.CODE
    assert charges(hospital.node) == 0
    with hospital.node.state.transaction() as connection:
        assert switch.resume(connection, time.time())
    assert len(hospital.node.release(release_request(offer.handle), soon()).passages) == 1


def test_what_is_in_flight_and_not_charged_is_denied(hospital, monkeypatch) -> None:
    """Stopped at the last moment before the charge, from another process: the release that runs is refused whole."""
    (offer,) = hospital.node.offers(offer_request(), soon()).offers
    read, reads = hospital.node.store.passages, []

    def stopped_meanwhile(_store, ids):
        reads.append(ids)
        stop(hospital)
        return read(ids)

    monkeypatch.setattr(type(hospital.node.store), "passages", stopped_meanwhile)
    with pytest.raises(Refused) as refused:
        hospital.node.release(release_request(offer.handle), soon())
    assert reads
    assert refused.value.code == switch.CODE
    assert charges(hospital.node) == 0
    assert "release" not in kinds(hospital.node)


def test_the_switch_holds_in_another_replica_and_after_a_restart(workshop, hospital, put_question) -> None:
    """Kept in the memory that all processes of a home share, not in any of them."""
    replica = assemble(hospital.home)
    workshop.opened.append(replica)
    replica.describe()
    stop(hospital)
    restarted = assemble(hospital.home)
    workshop.opened.append(restarted)
    for node in (replica, restarted):
        with pytest.raises(Refused) as refused:
            node.offers(offer_request(), soon())
        assert refused.value.code == switch.CODE
    look_around(restarted)
    answer = put_question(workshop.coordinator(workshop.remote("heart", replica.signer, create_app(replica))), QUESTION)
    assert answer.evidence.passages == ()


def test_text_does_not_come_along_with_offers_either(workshop, hospital, monkeypatch) -> None:
    """Stopped between the offers and what would go along with them: the answer has no text."""
    from fedrag.core.exchange import DirectRelease

    along = DirectRelease(processor=Processor(model="m", place=ProcessorPlace.TRUST_DOMAIN), passages=5)
    assert hospital.node.offers(offer_request(direct=along), soon()).release is not None
    release = RetrieverNode.release

    def stopped(self, request, deadline):
        stop(hospital)
        return release(self, request, deadline)

    monkeypatch.setattr(RetrieverNode, "release", stopped)
    answered = hospital.node.offers(offer_request(direct=along, request_id="b" * 32), soon())
    assert len(answered.offers) == 1
    assert answered.release is None


def test_a_switch_that_cannot_be_read_denies(hospital) -> None:
    """The table is gone, or damaged: nothing leaves."""
    with hospital.node.state.transaction() as connection:
        connection.execute("ALTER TABLE decisions RENAME TO decided")
    for ask in (lambda: hospital.node.describe(), lambda: hospital.node.offers(offer_request(), soon())):
        with pytest.raises(Exception, match=r".") as error:
            ask()
        assert getattr(error.value, "code", "") != "ok"


def test_both_commands_are_lines_of_the_log_and_check_tells(hospital) -> None:
    """Why, and when; told twice, the first moment stands; resumed twice, the second does nothing."""
    state = NodeState(hospital.home.state)
    for at, reason in ((1_000, "first"), (2_000, "second")):
        with state.transaction() as connection:
            switch.stop(connection, reason, at)
    with state.transaction() as connection:
        assert switch.stopped(connection) == ("1970-01-01T00:16:40+00:00", "second")
    said = CliRunner().invoke(app, ["check", "--home", str(hospital.home.folder)])
    assert "nothing leaves since 1970-01-01T00:16:40+00:00: second" in " ".join(said.output.split())
    with state.transaction() as connection:
        assert [switch.resume(connection, 3_000), switch.resume(connection, 4_000)] == [True, False]
        lines = [json.loads(line) for line in audit.lines(connection)]
    state.close()
    told = [(line["kind"], line.get("detail", "")) for line in lines if line["kind"].startswith("releasing")]
    assert told == [("releasing_stopped", "first"), ("releasing_stopped", "second"), ("releasing_resumed", "")]


def test_a_node_with_another_clock_is_stopped_too(hospital) -> None:
    """The switch has no time in it."""
    stop(hospital)
    for offset_s in (-(10**7), 10**7):
        moved = replace(hospital.node, clock=lambda offset_s=offset_s: time.time() + offset_s)
        with pytest.raises(Refused) as refused:
            moved.offers(offer_request(), soon())
        assert refused.value.code == switch.CODE
