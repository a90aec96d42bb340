"""The release queue through a whole federation: asked with a reason, looked at, approved, completed, cited."""

import asyncio
import hashlib
import json
import sqlite3
import time
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx2
import pytest
from made_answers import made

from fedrag.api.answers import AnswerShelf
from fedrag.api.app import create_app
from fedrag.awaiting import AwaitingDesk, completed, standing
from fedrag.config import AwaitingConfig
from fedrag.conversation import put
from fedrag.core.answer import Answer, Awaiting
from fedrag.core.deadline import Deadline
from fedrag.core.errors import NotFound
from fedrag.core.exchange import NodeStatus
from fedrag.core.identity import Asker, Purpose
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import ReleaseClass, new_request_id
from fedrag.fanout import Gathered
from fedrag.pipeline import Answered, Asked
from retriever_node import audit, review
from retriever_node.config import ReviewConfig
from retriever_node.node import RetrieverNode
from retriever_node.service import create_app as create_node_app

KEY, OTHER_KEY = "key-of-dr-a", "key-of-dr-b"
QUESTION = "How is major bleeding on warfarin reversed?"
OPEN = {"d.md": "# Warfarin\n\n## Reversal\nMajor bleeding on warfarin is reversed with vitamin K 10 mg by vein.\n"}
HELD = {
    "case.md": "# Case\n\n## Course\nMajor bleeding on warfarin reversed with vitamin K 5 mg, prothrombin complex.\n",
    "diet.md": "# Diet\n\n## Meals\nA low-salt diet was advised before discharge from the ward.\n",
}
REVIEWED = """
version = 1
[[rules]]
name = "by-hand"
classes = ["protocol"]
release = "passage"
review = true
"""


@pytest.fixture
def federation(workshop, tmp_path):
    """One hospital that releases at once, one where somebody has to look first; the API in front of them."""

    class Made:
        open = workshop.hospital("open", OPEN)
        held = workshop.hospital("held", HELD, ReleaseClass.PROTOCOL, policy=REVIEWED)
        keys = tuple(
            {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest(), "purpose": "treatment"}
            for name, key in (("a", KEY), ("b", OTHER_KEY))
        )

        def __init__(self) -> None:
            self.ahead_s, self.down, self.feedback = 0.0, False, tmp_path / "feedback.sqlite"
            self.node = replace(
                self.held.node,
                review=ReviewConfig(probability=0.02, per_asker_per_day=3),
                clock=lambda: time.time() + self.ahead_s,
            )
            inner = create_node_app(replace(self.node, gate=replace(self.node.gate, coordinators={})))

            async def door(scope, receive, send) -> None:
                if self.down:
                    raise httpx2.ConnectError("down")
                await inner(scope, receive, send)

            self.coordinator = workshop.coordinator(
                self.open.remote,
                workshop.remote("held", self.node.signer, door),
                api_keys=self.keys,
                limits={"passages": 5, "deadline_ms": 60_000},
                reasoner={"name": "extractive", "settings": {"abstain_below": 0.0}},
                awaiting={"every_s": 0},
            )
            asyncio.run(self.coordinator.descriptions.refresh())
            self.app = create_app(self.coordinator, self.feedback)

        def later(self, hours: float) -> None:
            """On the hospital's clock; its gate looks at no coordinator's time here."""
            self.ahead_s += hours * 3600

        @asynccontextmanager
        async def client(self, key: str = KEY):
            transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
            headers = {"authorization": f"Bearer {key}"}
            async with httpx2.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
                yield client

        async def ask(self, key: str = KEY, **request: object) -> Answer:
            async with self.client(key) as client:
                response = await client.post("/v1/ask", json={"question": {"text": QUESTION}} | request)
                assert response.status_code == 200, response.text
                return Answer.model_validate_json(response.content)

        async def get(self, answer_id: str, key: str = KEY) -> Answer | int:
            async with self.client(key) as client:
                response = await client.get(f"/v1/answers/{answer_id}")
                return Answer.model_validate_json(response.content) if response.is_success else response.status_code

        def queue(self, *states: review.State) -> tuple[review.Entry, ...]:
            with self.held.node.state.transaction() as connection:
                return review.entries(connection, self.held.node.clock(), states or tuple(review.State))

        def approve(self, number: int, *passages: int) -> None:
            with self.held.node.state.transaction() as connection:
                review.approve(connection, number, passages, "Dr. Amsel", self.held.node.clock())

        def audit_kinds(self) -> list[str]:
            with self.held.node.state.transaction() as connection:
                return [json.loads(line)["kind"] for line in audit.lines(connection)]

    return Made()


def outcome(answer: Answer, node: str):
    return next(one for one in answer.coverage if one.node == node)


async def test_an_answer_is_completed_once_somebody_approved(federation) -> None:
    """Before: no text of the hospital anywhere, coverage and notice say why. After: the passage is evidence and cited,
    the account and the outcome say so, and the other hospital was asked for nothing."""
    first = await federation.ask(reason="A patient bleeds in our ward")
    assert outcome(first, "held").status is NodeStatus.AWAITING_RELEASE
    assert [one.node for one in first.awaiting] == ["held"]
    assert "awaiting_release" in {one.code for one in first.notices}
    assert "prothrombin" not in first.model_dump_json()
    assert (await federation.get(first.id)) == first
    (entry,) = federation.queue()
    assert (entry.asked.question, entry.asked.reason) == (QUESTION, "A patient bleeds in our ward")
    federation.approve(entry.id, 1)
    before = federation.open.node.state
    with before.transaction() as connection:
        asked_of_open = sum(1 for _ in audit.lines(connection))
    second = await federation.get(first.id)
    assert second.id == first.id
    assert second.awaiting == ()
    assert {one.node for one in second.evidence.passages} == {"open", "held"}
    (new,) = [one for one in second.evidence.passages if one.node == "held"]
    assert "prothrombin complex" in new.passage.text
    assert any(new.number in step.citations for step in second.steps)
    assert outcome(second, "held").status is NodeStatus.ANSWERED
    assert second.completed.first_answered_at == first.answered_at
    assert second.completed.released == ("held",)
    assert [(one.node, one.status) for one in second.completed.before] == [("held", NodeStatus.AWAITING_RELEASE)]
    gave = {one.node: (one.passages, one.text_bytes) for one in second.disclosure.hospitals}
    assert gave["held"] == (1, len(new.passage.text.encode()))
    assert gave["open"] == {one.node: (one.passages, one.text_bytes) for one in first.disclosure.hospitals}["open"]
    assert "awaiting_release" not in {one.code for one in second.notices}
    with before.transaction() as connection:
        assert sum(1 for _ in audit.lines(connection)) == asked_of_open
    assert (await federation.get(first.id)) == second
    kinds = federation.audit_kinds()
    assert [one for one in kinds if one not in ("policy", "offers")] == ["review_queued", "review_approved", "release"]


async def test_without_a_reason_nothing_waits_and_the_notice_says_how(federation) -> None:
    """The same announcement, no entry, nothing to wait for; the hospital is not asked again."""
    answer = await federation.ask()
    assert outcome(answer, "held").status is NodeStatus.AWAITING_RELEASE
    assert answer.awaiting == ()
    assert [one.code for one in answer.notices] == ["reason_not_stated"]
    assert federation.queue() == ()
    assert await federation.get(answer.id) == answer


@pytest.mark.parametrize("why", ["denied", "expired", "nothing found"])
async def test_when_nothing_came_of_it_the_answer_says_no_more_than_that(federation, why) -> None:
    """A denial shows at the announced time, not before, and as what it would be had nothing been found."""
    question = {"text": "Which harbour has the deepest water?"} if why == "nothing found" else {"text": QUESTION}
    first = await federation.ask(reason="A patient bleeds in our ward", question=question)
    assert len(federation.queue()) == (why != "nothing found")
    if why == "denied":
        with federation.held.node.state.transaction() as connection:
            review.deny(connection, 1, "Dr. Amsel", "no", federation.node.clock())
    assert await federation.get(first.id) == first
    federation.later(73)
    after = await federation.get(first.id)
    assert (after.awaiting, after.completed) == ((), None)
    told = outcome(after, "held")
    assert (told.status, told.code) == (NodeStatus.ANSWERED, "nothing_released")
    assert after.evidence == first.evidence
    assert (after.text, after.steps) == (first.text, first.steps)
    assert "awaiting_release" not in {one.code for one in after.notices}
    assert await federation.get(first.id) == after


async def test_an_answer_is_its_askers_alone(federation) -> None:
    """Another key finds no such answer, approved or not, and completes nothing."""
    first = await federation.ask(reason="A patient bleeds in our ward")
    federation.approve(1, 1)
    assert await federation.get(first.id, OTHER_KEY) == 404
    assert "release" not in federation.audit_kinds()
    assert (await federation.get(first.id)).completed is not None


async def test_another_asker_gets_nothing_of_what_was_approved(federation) -> None:
    """The same words from another key wait for a decision of their own."""
    first, other = [await federation.ask(key, reason="A patient bleeds in our ward") for key in (KEY, OTHER_KEY)]
    assert len(federation.queue()) == 2
    federation.approve(1, 1)
    assert (await federation.get(other.id, OTHER_KEY)).completed is None
    assert (await federation.get(first.id)).completed is not None


async def test_many_who_look_at_once_complete_it_once(federation) -> None:
    """Twenty requests for one answer: one release, and whoever comes after sees the completed one."""
    first = await federation.ask(reason="A patient bleeds in our ward")
    federation.approve(1, 1)
    await asyncio.gather(*(federation.get(first.id) for _ in range(20)))
    assert federation.audit_kinds().count("release") == 1
    assert (await federation.get(first.id)).completed.released == ("held",)


async def test_a_verdict_on_the_first_answer_is_not_one_on_the_completed(federation) -> None:
    """Numbers of citations mean something else now: what was said before is taken back, and can be said anew."""
    first = await federation.ask(reason="A patient bleeds in our ward")

    async def judge(**said: object) -> int:
        async with federation.client() as client:
            given = {"answer_id": first.id, **said}
            return (await client.post(f"/v1/answers/{first.id}/feedback", json=given)).status_code

    def outcomes() -> dict[str, int]:
        with closing(sqlite3.connect(federation.feedback)) as database:
            return dict(database.execute("SELECT node, sum(outcomes) FROM tallies GROUP BY node"))

    assert await judge(helpful_citations=[1]) == 204
    assert outcomes() == {"open": 1}
    federation.approve(1, 1)
    second = await federation.get(first.id)
    assert sum(outcomes().values()) == 0
    (new,) = [one.number for one in second.evidence.passages if one.node == "held"]
    assert await judge(helpful_citations=[new]) == 204
    assert outcomes()["held"] == 1


async def test_a_hospital_that_cannot_be_reached_is_asked_again_later(federation) -> None:
    """Looking while it is down changes nothing; the approval is there when it is back."""
    first = await federation.ask(reason="A patient bleeds in our ward")
    federation.approve(1, 1)
    federation.down = True
    assert await federation.get(first.id) == first
    federation.down = False
    assert (await federation.get(first.id)).completed.released == ("held",)


async def test_completed_twice_by_two_hospitals_keeps_what_the_first_added(workshop, tmp_path) -> None:
    """Two hospitals under review decide one after the other; the completion tells of both, the account counts both."""
    held = {name: workshop.hospital(name, HELD, ReleaseClass.PROTOCOL, policy=REVIEWED) for name in ("east", "west")}
    nodes = {name: replace(one.node, review=ReviewConfig(probability=0.02)) for name, one in held.items()}
    remotes = [workshop.remote(name, node.signer, create_node_app(node)) for name, node in nodes.items()]
    remotes += [workshop.hospital(name, OPEN).remote for name in ("open", "twin")]
    coordinator = workshop.coordinator(*remotes, limits={"passages": 5, "deadline_ms": 60_000})
    await coordinator.descriptions.refresh()
    parts = coordinator.federation()
    request = AskRequest(question=Question(text=QUESTION), reason="A patient bleeds")
    asker = Asker(name="dr", purpose=Purpose.TREATMENT)
    answered = await put(request, new_request_id(), asker, coordinator.config.limits, "broadcast", parts)
    answer, asked = answered.answer, standing(answered)
    for number, name in enumerate(("west", "east"), 1):
        with nodes[name].state.transaction() as connection:
            review.approve(connection, 1, [1], "Dr. Amsel", nodes[name].clock())
        answer, asked = await completed(answer, asked, parts, Deadline.after_ms(60_000))
        assert [one.node for one in answer.awaiting] == ["east"][: 2 - number]
    assert answer.completed.released == ("east", "west")
    assert answer.completed.first_answered_at == answered.answer.answered_at
    assert {one.node: one.status for one in answer.completed.before} == dict.fromkeys(
        nodes, NodeStatus.AWAITING_RELEASE
    )
    gave = {one.node: one.passages for one in answer.disclosure.hospitals}
    assert gave["east"] == gave["west"] == gave.get("open", 0) + gave.get("twin", 0) == 1
    assert {one.status for one in answer.coverage} == {NodeStatus.ANSWERED}
    shown = {one.node for one in answer.evidence.passages}
    folded = {node for one in answer.evidence.passages for node in one.also_held_by}
    assert shown | folded == {"east", "west", "open", "twin"}, "what two hold is one passage of both, text given or not"
    assert answer.budget.messages == answered.answer.budget.messages + 3


def test_memory_is_bounded_in_number_and_time() -> None:
    """The oldest go first; nothing is kept longer than the operator says, whatever a hospital announces."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    at = {"s": 0.0}
    desk = AwaitingDesk(AwaitingConfig(maximum=2, keep_h=2, every_s=0), clock=lambda: at["s"], now=lambda: now)
    request = AskRequest(question=Question(text=QUESTION))

    def answered(number: int, hours: float) -> Answered:
        until = now + timedelta(hours=hours)
        answer = made(request, text="x").model_copy(
            update={"id": f"{number:032x}", "awaiting": (Awaiting(node="held", until=until),)}
        )
        hop = SimpleNamespace(id=answer.id)
        return Answered(answer, Asked(hop, (), (), None, None, Gathered({}, {}, 0, 0)))

    assert desk.keep(answered(1, 1), "a") == 3600
    assert desk.keep(answered(2, 10_000), "a") == 2 * 3600
    assert desk.keep(answered(3, -1), "a") == 0
    assert (desk.left_s(f"{1:032x}"), desk.left_s(f"{2:032x}")) == (0, 2 * 3600)
    assert asyncio.run(desk.look(f"{2:032x}", "b", None, 1000)) is None, "another's answer is not even looked at"
    at["s"] = 2 * 3600
    assert desk.left_s(f"{2:032x}") == 0
    assert asyncio.run(desk.look(f"{2:032x}", "a", None, 1000)) is None
    assert desk._kept == {}


def test_an_answer_that_is_waited_for_is_not_pushed_out_by_those_of_an_hour() -> None:
    """Each kind has its own bound; what is waited for no longer is an answer like any other."""
    at = {"s": 0.0}
    shelf = AnswerShelf(maximum=2, maximum_awaiting=1, lifetime_s=10, clock=lambda: at["s"])
    answers = [
        made(AskRequest(question=Question(text=QUESTION)), text="x").model_copy(update={"id": f"{number:032x}"})
        for number in range(5)
    ]

    def there() -> list[int]:
        found = []
        for number, answer in enumerate(answers):
            with suppress(NotFound):
                found.append(number if shelf.get(answer.id, "a") == answer else -1)
        return found

    shelf.put(answers[0], "a", 100)
    for one in answers[1:4]:
        shelf.put(one, "a")
    assert there() == [0, 2, 3]
    shelf.put(answers[4], "a", 100)
    assert there() == [2, 3, 4]
    at["s"] = 11
    assert there() == [4]
    shelf.put(answers[4], "a")
    at["s"] = 22
    assert there() == []


@pytest.mark.parametrize(
    "lie", ["another request", "text without an offer", "an offer without text", "another's receipt"]
)
async def test_what_a_hospital_says_was_approved_must_hold_together(workshop, lie) -> None:
    """Of this request, offer for text, with its own receipt: anything else is not believed, and the answer stays."""
    honest = workshop.hospital("held", HELD, ReleaseClass.PROTOCOL, policy=REVIEWED)
    node = replace(honest.node, review=ReviewConfig(probability=0.02))

    class Lying(RetrieverNode):
        def awaited(self, request, deadline):
            told = RetrieverNode.awaited(self, request, deadline)
            match lie:
                case "another request":
                    return told.model_copy(update={"request_id": "f" * 32})
                case "text without an offer":
                    return told.model_copy(update={"offers": ()})
                case "an offer without text":
                    return told.model_copy(update={"release": None})
                case _:
                    receipt = told.release.receipt.model_copy(update={"request_id": "f" * 32})
                    return told.model_copy(update={"release": told.release.model_copy(update={"receipt": receipt})})

    lying = Lying(**{one.name: getattr(node, one.name) for one in fields(node)})
    remote = workshop.remote("held", node.signer, create_node_app(lying))
    coordinator = workshop.coordinator(remote, limits={"passages": 5, "deadline_ms": 60_000})
    await coordinator.descriptions.refresh()
    request = AskRequest(question=Question(text=QUESTION), reason="A patient bleeds")
    asker, parts = Asker(name="dr", purpose=Purpose.TREATMENT), coordinator.federation()
    answered = await put(request, new_request_id(), asker, coordinator.config.limits, "broadcast", parts)
    with node.state.transaction() as connection:
        review.approve(connection, 1, [1], "Dr. Amsel", node.clock())
    after, _ = await completed(answered.answer, standing(answered), parts, Deadline.after_ms(60_000))
    assert after == answered.answer
    assert "prothrombin" not in after.model_dump_json()
