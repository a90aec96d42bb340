"""A running node follows its policy file: at the next request, in every replica; each version is a line of the log."""

import json
import time

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError, Refused
from fedrag.core.exchange import NodeStatus, OfferRequest, Processor, ProcessorPlace, ReleaseRequest
from fedrag.core.wire import ReleaseClass
from retriever_node import audit
from retriever_node.assemble import assemble
from retriever_node.cli import app
from retriever_node.serving import look_around
from retriever_node.statistics import count

DOCUMENT = {"d.md": "# D\n\n## S\nWarfarin bleeding is reversed with vitamin K.\n"}
QUESTION = "How is warfarin bleeding reversed?"
PASSAGE = 'version = 1\n[[rules]]\nname = "one"\nclasses = ["protocol"]\nrelease = "passage"\n'
NOTHING = "version = 1\n"


def offer_request() -> OfferRequest:
    return OfferRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", vector=None, text=QUESTION, k=5,
        comparable_with="", deadline_ms=5_000,
    )  # fmt: skip


def release_request(handle: str) -> ReleaseRequest:
    return ReleaseRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", handles=(handle,), deadline_ms=5_000,
        processor=Processor(model="m", place=ProcessorPlace.TRUST_DOMAIN),
    )  # fmt: skip


def soon() -> Deadline:
    return Deadline(time.monotonic() + 5)


def policies(node) -> list[str]:
    with node.state.transaction() as connection:
        lines = [json.loads(line) for line in audit.lines(connection)]
    return [line["detail"] for line in lines if line["kind"] == "policy"]


@pytest.fixture
def hospital(workshop):
    return workshop.hospital("heart", DOCUMENT, ReleaseClass.PROTOCOL, PASSAGE)


def test_a_change_holds_at_the_next_request_and_in_every_replica(workshop, hospital) -> None:
    """Offered, then denied, then offered again; the collection is described only while it is offered."""
    replica = assemble(hospital.home)
    workshop.opened.append(replica)
    for text, offers in ((PASSAGE, 1), (NOTHING, 0), (PASSAGE, 1)):
        hospital.home.policy.write_text(text)
        for node in (hospital.node, replica):
            assert len(node.offers(offer_request(), soon()).offers) == offers
            assert len(node.describe().collections) == offers


@pytest.mark.parametrize("changed", [NOTHING, PASSAGE + "floor = 12\n", PASSAGE.replace("protocol", "public")])
def test_handles_from_before_a_change_open_nothing(hospital, changed: str) -> None:
    """Whatever the change is about; a comment or other spaces change nothing."""
    (offer,) = hospital.node.offers(offer_request(), soon()).offers
    hospital.home.policy.write_text(changed)
    with pytest.raises(Refused) as refused:
        hospital.node.release(release_request(offer.handle), soon())
    assert refused.value.code == "policy_changed"
    hospital.home.policy.write_text("# A comment\n\n" + PASSAGE.replace(" = ", "  =  "))
    assert len(hospital.node.release(release_request(offer.handle), soon()).passages) == 1


def test_a_change_with_the_size_and_times_of_the_file_before_is_noticed(hospital) -> None:
    """Bytes count, not what the file system says of them."""
    import os

    hospital.node.policy.now()
    before = hospital.home.policy.stat()
    hospital.home.policy.write_text(PASSAGE.replace("passage", "nothing"))
    os.utime(hospital.home.policy, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hospital.home.policy.stat().st_size == before.st_size
    assert hospital.node.offers(offer_request(), soon()).offers == ()


def test_every_version_is_a_line_of_the_log_once(workshop, hospital) -> None:
    """Whichever replica sees it first, and not again at a start; a file with a mistake is a version too."""
    replica = assemble(hospital.home)
    workshop.opened.append(replica)
    seen = []
    for text in (PASSAGE, NOTHING, "version = 9\n", PASSAGE):
        hospital.home.policy.write_text(text)
        for node in (hospital.node, replica):
            for _ in range(2):
                try:
                    seen.append(node.policy.now().version)
                except Refused:
                    seen.append("broken")
    distinct = [seen[0], seen[4], "broken", seen[0]]
    assert policies(hospital.node) == distinct
    again = assemble(hospital.home)
    workshop.opened.append(again)
    again.policy.now()
    assert policies(again) == distinct


def test_a_broken_policy_refuses_and_says_so(workshop, hospital, put_question) -> None:
    """`refused` at the coordinator, the line in the log and in `check`; a node does not start with it."""
    hospital.node.policy.now()
    coordinator = workshop.coordinator(hospital.remote)
    assert len(put_question(coordinator, QUESTION, "en", deadline_ms=30_000).evidence.passages) == 1
    hospital.home.policy.write_text(PASSAGE + "rolls = 1\n")
    with capture_logs() as logs:
        (outcome,) = put_question(coordinator, QUESTION, "en", deadline_ms=30_000).coverage
    assert (outcome.status, outcome.code) == (NodeStatus.REFUSED, "policy_unreadable")
    (said,) = [log for log in logs if log["event"] == "policy_unreadable"]
    assert "line 6: unknown key 'rolls'" in said["problem"]
    checked = CliRunner().invoke(app, ["check", "--home", str(hospital.home.folder)])
    assert isinstance(checked.exception, ConfigError)
    assert "line 6: unknown key 'rolls'" in checked.exception.message
    with pytest.raises(ConfigError) as error:
        assemble(hospital.home)
    assert error.value.code == "bad_policy"


@pytest.mark.parametrize(("text", "counted"), [(PASSAGE, 1), (PASSAGE.replace("passage", "extract"), 0), (NOTHING, 0)])
def test_what_is_counted_with_other_hospitals_follows_the_policy(hospital, text: str, counted: int) -> None:
    """Words of a collection are counted while its passages may leave as they are; decided when it counts."""
    hospital.home.policy.write_text(text)
    rounds = hospital.node.statistics.rounds
    assert rounds is not None
    (served,) = hospital.node.collections.values()
    terms = _terms(served)
    assert int(rounds.count(terms)[0]) == counted * int(count(lambda: [served.collection])(terms)[0])
    assert int(count(lambda: [served.collection])(terms)[0]) == 1


def _terms(served):
    from retriever_node.terms import PublicTerms

    return PublicTerms.of(["warfarin", "bleeding", "vitamin"])


def test_a_start_warns_of_passages_without_a_form(workshop) -> None:
    """An owner who upgraded the redaction and did not ingest sees why nothing is offered."""
    hospital = workshop.hospital("heart", DOCUMENT, ReleaseClass.PATIENT)
    with capture_logs() as logs:
        look_around(hospital.node)
    (said,) = [log for log in logs if log["event"] == "forms_missing"]
    assert (said["collection"], said["passages"], said["log_level"]) == ("documents", 1, "warning")
