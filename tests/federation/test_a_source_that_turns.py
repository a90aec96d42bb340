"""A hospital whose own answers counted begins to lie: through the live API it loses its say, and the answers say so."""

import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest

from fedrag.api.app import create_app
from fedrag.core.answer import Answer
from fedrag.core.deadline import Deadline
from fedrag.core.traces import LocalTask, LocalTrace
from reasoner.source_answer import SourceAnswer
from reasoner.training.fit_votes import Judged, fit_votes, whole
from retriever_node.config import TracesConfig

KEY = "key-of-dr-a"
OPTIONS = {"A": "2 mg", "B": "5 mg"}
TRACES = TracesConfig.model_validate({"reasoner": {"name": "recorded"}})
TRACE_ONLY = 'version = 1\n\n[[rules]]\nname = "thoughts"\nclasses = ["protocol"]\nrelease = "trace"\n'
NODES = ("east", "north", "west")


@dataclass
class Saying:
    """A hospital's model: B, as everybody, until it turns."""

    choice: str = "B"

    def trace(self, task: LocalTask, deadline: Deadline) -> LocalTrace:
        return LocalTrace(self.choice, "so", (), 0.0)

    def close(self) -> None:
        return


@pytest.fixture
def federation(workshop, tmp_path):
    """Three hospitals, judged on 200 questions: west was right in nine of ten, the others in eight; so west alone
    outvotes either of them, not both. `async with federation(saying) as client`."""
    cases = [
        Judged(
            {
                "east": SourceAnswer("A" if number % 5 == 0 else "B", "", 0.0),
                "north": SourceAnswer("A" if number % 5 == 1 else "B", "", 0.0),
                "west": SourceAnswer("A" if number % 10 == 7 else "B", "", 0.0),
            },
            OPTIONS,
            "B",
        )
        for number in range(200)
    ]
    vote = whole(fit_votes(NODES, cases), cases)
    (tmp_path / "vote.json").write_text(vote.model_dump_json())
    settings = {"weights": "calibrated", "vote_model": str(tmp_path / "vote.json")}
    keys = [{"name": "a", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]
    hospitals: dict[str, object] = {}

    @asynccontextmanager
    async def opened(saying: dict[str, Saying]):
        for node, model in saying.items():
            if node not in hospitals:
                made = workshop.hospital(
                    node, {"d.md": "# D\n\nText.\n"}, policy=TRACE_ONLY, traces=TRACES, reasoner=model
                )
                hospitals[node] = made.remote
        coordinator = workshop.coordinator(
            *hospitals.values(),
            reasoner={"name": "traces", "settings": settings},
            api_keys=keys,
            drifting=tmp_path / "drift.sqlite",
        )
        app = create_app(coordinator, tmp_path / "feedback.sqlite")
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app)
            headers = {"authorization": f"Bearer {KEY}"}
            async with httpx2.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
                yield client

    return opened


async def ask(client: httpx2.AsyncClient, number: int) -> Answer:
    question = {"text": f"How much in case {number}?", "options": OPTIONS}
    response = await client.post("/v1/ask", json={"question": question, "deadline_ms": 20_000})
    return Answer.model_validate_json(response.content)


async def test_it_loses_its_say_and_the_answer_says_so(federation) -> None:
    """Found within 20 questions; then the vote is that of the two others, who are shown, as it is, in the answer, and
    still so after a restart. The certificate is of the two that count."""
    saying = {node: Saying() for node in NODES}
    async with federation(saying) as client:
        before = await ask(client, 0)
        assert {one.node: one.counted for one in before.chains} == dict.fromkeys(NODES, True)
        assert before.certificate is not None
        assert before.certificate.withstands == 1
        saying["west"].choice = "A"
        for number in range(1, 25):
            answer = await ask(client, number)
            if answer.notices:
                break
        assert 3 < number < 20
        assert [(one.code, one.message.rsplit(" ", 1)[-1]) for one in answer.notices] == [("not_counted", "west.")]
        metrics = (await client.get("/metrics")).text
        assert 'fedrag_source_counted{node="west"} 0.0' in metrics
        assert 'fedrag_source_counted{node="east"} 1.0' in metrics
    async with federation(saying) as client:
        answer = await ask(client, 100)
    shown = {one.node: (one.choice, one.counted) for one in answer.chains}
    assert shown == {"east": ("B", True), "north": ("B", True), "west": ("A", False)}
    assert answer.choice == "B"
    assert answer.certificate is not None
    assert set(answer.certificate.votes) == {"east", "north"}
    assert answer.confidence > 0.8
