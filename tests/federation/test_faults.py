"""Eight hospitals, four of them broken in different ways: the answer comes in time and the rest are not disturbed."""

import asyncio
import contextlib
import time

import pytest

from fedrag.core.answer import AbstentionCode
from fedrag.core.exchange import NodeStatus
from fedrag.http.signing import RESPONSE_HEADER, response_payload
from retriever_node.service import create_app

DEADLINE_MS = 3_000
GOOD = ("good-a", "good-b", "good-c", "good-d")


def document(name: str) -> dict[str, str]:
    return {"d.md": f"# {name}\n\n## Dose\nAt {name} warfarin bleeding is reversed with vitamin K and complex.\n"}


async def hang(scope, receive, send):
    await asyncio.sleep(60)


async def refuse(scope, receive, send):
    raise ConnectionError("killed")


def answering(node, body: bytes, signed_as: str | None = None):
    """An application that answers every offer request with these bytes, properly signed, and describes itself well."""
    honest = create_app(node)

    async def app(scope, receive, send):
        if scope["type"] != "http" or scope["path"] == "/v1/description":
            await honest(scope, receive, send)
            return
        nonce = dict(scope["headers"]).get(b"fedrag-nonce", b"").decode()
        signature = node.signer.sign("response", response_payload(signed_as or node.id, nonce, 200, body))
        headers = [(b"content-type", b"application/json"), (RESPONSE_HEADER.encode(), signature.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def described_then(node, app):
    """Describes itself well and then, for offers and releases, behaves as `app` does."""
    honest = create_app(node)

    async def both(scope, receive, send):
        described = scope["type"] == "http" and scope["path"] == "/v1/description"
        await (honest if described else app)(scope, receive, send)

    return both


def impostor(node, other: str):
    """Signs with its own key, as asked, but gives offers in another hospital's name."""
    honest = create_app(node)

    async def app(scope, receive, send):
        if scope["path"] == "/v1/description":
            await honest(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        import json

        request = json.loads(body)
        told = json.dumps({"node": other, "request_id": request["request_id"], "offers": []}).encode()
        nonce = dict(scope["headers"])[b"fedrag-nonce"].decode()
        signature = node.signer.sign("response", response_payload(node.id, nonce, 200, told))
        headers = [(b"content-type", b"application/json"), (RESPONSE_HEADER.encode(), signature.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": told})

    return app


def evidence_of(answer) -> list[tuple[str, str, int]]:
    return [(one.node, one.passage.text, one.number) for one in answer.evidence.passages]


@pytest.fixture
def eight(workshop):
    good = [workshop.hospital(name, document(name)) for name in GOOD]
    names = ("hung", "killed", "malformed", "impostor")
    broken = {name: workshop.hospital(name, document(name)) for name in names}
    apps = {
        "hung": described_then(broken["hung"].node, hang),
        "killed": described_then(broken["killed"].node, refuse),
        "malformed": answering(broken["malformed"].node, b'{"node": "malformed", "offers": ['),
        "impostor": impostor(broken["impostor"].node, "good-a"),
    }
    remotes = [workshop.remote(name, broken[name].node.signer, app) for name, app in apps.items()]
    return [one.remote for one in good], remotes


def test_four_of_eight_broken_answers_in_time_with_exact_coverage(workshop, eight, put_question) -> None:
    """HTTP would be 200 within the deadline; each hospital's outcome is what happened to it."""
    good, broken = eight
    coordinator = workshop.coordinator(*good, *broken)
    started = time.monotonic()
    answer = put_question(coordinator, "How is warfarin bleeding reversed?", deadline_ms=DEADLINE_MS)
    assert (time.monotonic() - started) * 1000 < 1.1 * DEADLINE_MS + 1_000  # the descriptions are read before it starts
    assert {one.node: (one.status, one.code) for one in answer.coverage} == {
        **dict.fromkeys(GOOD, (NodeStatus.ANSWERED, None)),
        "hung": (NodeStatus.TIMED_OUT, "deadline"),
        "killed": (NodeStatus.FAILED, "internal"),
        "malformed": (NodeStatus.FAILED, "bad_response"),
        "impostor": (NodeStatus.FAILED, "wrong_node"),
    }


def test_the_survivors_evidence_is_what_they_would_give_alone(workshop, eight, put_question) -> None:
    """Not a passage, not an order, not a number differs from a federation of the four good ones."""
    good, broken = eight
    with_all = put_question(
        workshop.coordinator(*good, *broken), "How is warfarin bleeding reversed?", deadline_ms=3000
    )
    alone = put_question(workshop.coordinator(*good), "How is warfarin bleeding reversed?", deadline_ms=3000)
    assert evidence_of(with_all) == evidence_of(alone)
    assert with_all.evidence.source_weights == alone.evidence.source_weights


def test_a_hospital_that_offers_and_then_dies_is_replaced_by_the_runners_up(workshop, put_question) -> None:
    """Its winners are taken by the others' next best, as if it had never answered."""
    documents = {f"d{n}.md": f"# D\n\n## S{n}\nWarfarin bleeding reversal number {n} vitamin K.\n" for n in range(4)}
    steady = workshop.hospital("steady", documents)
    fickle = workshop.hospital("fickle", {"d.md": "# D\n\n## S\nWarfarin bleeding reversal: vitamin K, complex.\n"})
    honest = create_app(fickle.node)

    async def dies_at_release(scope, receive, send):
        if scope["path"] == "/v1/releases":
            raise ConnectionError("killed")
        await honest(scope, receive, send)

    remote = workshop.remote("fickle", fickle.node.signer, dies_at_release)
    question = "Warfarin bleeding reversal"
    both = put_question(workshop.coordinator(steady.remote, remote), question, passages=3)
    alone = put_question(workshop.coordinator(steady.remote), question, passages=3)
    assert evidence_of(both) == evidence_of(alone)
    assert {one.node: one.status for one in both.coverage}["fickle"] is NodeStatus.FAILED


def test_a_dead_hospital_is_suspended_and_the_answer_says_so(workshop, put_question) -> None:
    """After two failures in a row it is not asked again for a while."""
    good = workshop.hospital("good", document("good"))
    dead = workshop.hospital("dead", document("dead"))
    coordinator = workshop.coordinator(
        good.remote, workshop.remote("dead", dead.node.signer, described_then(dead.node, refuse))
    )
    statuses = [
        {one.node: one.status for one in put_question(coordinator, "warfarin bleeding").coverage}["dead"]
        for _ in range(3)
    ]
    assert statuses == [NodeStatus.FAILED, NodeStatus.FAILED, NodeStatus.SUSPENDED]


def test_a_suspended_hospital_does_not_see_the_question(workshop, put_question) -> None:
    """The account lists only hospitals that were sent it."""
    dead = workshop.hospital("dead", document("dead"))
    app = described_then(dead.node, refuse)
    coordinator = workshop.coordinator(workshop.remote("dead", dead.node.signer, app))
    answers = [put_question(coordinator, "warfarin bleeding") for _ in range(3)]
    assert [answer.disclosure.question_shown_to for answer in answers] == [("dead",), ("dead",), ()]
    assert {answer.abstained.code for answer in answers} == {AbstentionCode.NO_NODE_ANSWERED}


async def test_no_task_is_left_after_the_deadline(workshop, eight) -> None:
    """Cancellation reaches every call."""
    from fedrag.circuit import CircuitBreaker
    from fedrag.core.deadline import Deadline
    from fedrag.fanout import ask_all

    _, broken = eight
    before = asyncio.all_tasks()
    deadline = Deadline.after_ms(200)
    with contextlib.suppress(TimeoutError):
        await ask_all(broken, lambda node: node.describe(deadline), deadline, CircuitBreaker())
        await ask_all([broken[0]], _sleeping, deadline, CircuitBreaker())
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before


async def _sleeping(_node):
    await asyncio.sleep(60)
