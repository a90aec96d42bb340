"""Feedback through the whole product: hospitals, the API, the client and the command line."""

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager

import httpx2
import pytest
from api_fuzzing import serving
from typer.testing import CliRunner

from fedrag.api.app import create_app
from fedrag.cli import app as command_line
from fedrag.client import Client
from fedrag.core.answer import Answer, Feedback
from fedrag.core.errors import InputError, NotFound
from fedrag.core.question import AskRequest, Question

KEY, OTHER_KEY = "key-of-dr-a", "key-of-dr-b"
REVERSED_WITH = {
    "heart": "vitamin K 10 mg",
    "lung": "vitamin K 10 mg",
    "kidney": "vitamin K 10 mg",
    "skin": "protamine 50 mg",
}
QUESTION = {
    "text": "With what is major bleeding on warfarin reversed?",
    "options": {"A": "protamine 50 mg", "B": "vitamin K 10 mg"},
}
TITLES = {"heart": "Bleeding", "lung": "Major haemorrhage", "kidney": "Anticoagulants", "skin": "Antidotes"}


@pytest.fixture
def app(workshop, tmp_path):
    """Four hospitals, three of one opinion, in words of their own."""
    openings = (
        "Major bleeding on warfarin is reversed with",
        "For major bleeding on warfarin, give at once",
    )
    hospitals = [
        workshop.hospital(
            node,
            {"d.md": f"# {TITLES[node]}\n\n## {node.title()} ward\n{openings[at % 2]} {drug}. Ask {node} first.\n"},
        )
        for at, (node, drug) in enumerate(REVERSED_WITH.items())
    ]
    keys = [
        {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest()}
        for name, key in (("a", KEY), ("b", OTHER_KEY))
    ]
    reasoner = {"name": "extractive", "settings": {"abstain_below": 0.0}}
    limits = {"passages": 5, "deadline_ms": 60_000}
    remotes = [one.remote for one in hospitals]
    coordinator = workshop.coordinator(*remotes, api_keys=keys, reasoner=reasoner, limits=limits)
    asyncio.run(coordinator.descriptions.refresh())
    return create_app(coordinator, tmp_path / "feedback.sqlite")


@pytest.fixture
def api(app):
    @asynccontextmanager
    async def opened(key: str = KEY):
        headers = {"authorization": f"Bearer {key}"}
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
            yield client

    return opened


async def put(client) -> Answer:
    response = await client.post("/v1/ask", json={"question": QUESTION})
    assert response.status_code == 200, response.text
    return Answer.model_validate_json(response.content)


async def judge(client, answer_id: str, **said: object) -> tuple[int, str]:
    given = {"answer_id": answer_id, **said}
    response = await client.post(f"/v1/answers/{answer_id}/feedback", json=given)
    return response.status_code, "" if response.status_code == 204 else response.json()["code"]


async def test_the_next_answer_weighs_by_what_was_said_of_the_last(api) -> None:
    """First as claimed and labelled as unknown; then who differed from the right answer weighs less."""
    async with api() as client:
        before = await put(client)
        assert {one.outcomes for one in before.evidence.reliability.values()} == {0}
        assert before.choice == "B"
        assert await judge(client, before.id, correct=True) == (204, "")
        after = await put(client)
    learned = after.evidence.reliability
    weights = before.evidence.source_weights
    assert learned["skin"].mean == pytest.approx(5 / (10 + weights["skin"]))
    assert learned["heart"].mean == pytest.approx((5 + weights["heart"]) / (10 + weights["heart"]))
    assert {one.outcomes for one in learned.values()} == {1}
    assert after.evidence.source_weights["skin"] < weights["skin"]


async def test_the_certificate_tells_what_the_hospitals_choose(api) -> None:
    """Each by its own passage; the sentence names the choice."""
    async with api() as client:
        answer = await put(client)
    certificate = answer.certificate
    assert certificate is not None
    assert certificate.votes == {"heart": "B", "lung": "B", "kidney": "B", "skin": "A"}
    assert (certificate.choice, certificate.agrees) == ("B", True)
    skin = answer.evidence.source_weights["skin"]
    assert certificate.weights == pytest.approx({"B": 1 - skin, "A": skin})
    assert certificate.explanation.startswith("Read one by one, the hospitals choose B with 0.")


async def test_an_open_question_has_no_certificate(api) -> None:
    """Nothing is chosen."""
    async with api() as client:
        response = await client.post("/v1/ask", json={"question": {"text": QUESTION["text"]}})
    assert response.json()["certificate"] is None


async def test_a_second_verdict_replaces_the_first(api) -> None:
    """The counts are those of the last one alone."""
    async with api() as client:
        answer = await put(client)
        for said in ({"correct": True}, {"helpful_citations": [1]}, {"correct": False}):
            assert await judge(client, answer.id, **said) == (204, "")
        learned = (await put(client)).evidence.reliability
    # Wrong: so were those that chose it; of the one that differed nothing is known.
    assert {node: one.outcomes for node, one in learned.items()} == {"heart": 1, "lung": 1, "kidney": 1, "skin": 0}
    assert all(learned[node].mean < 0.5 for node in ("heart", "lung", "kidney"))


async def test_what_cannot_be_judged_is_told_by_code(api) -> None:
    """Unknown, another's, another id in the body, a citation that is not there."""
    async with api() as client, api(OTHER_KEY) as stranger:
        answer = await put(client)
        assert await judge(client, "0" * 32, correct=True) == (404, "unknown_answer")
        assert await judge(stranger, answer.id, correct=True) == (404, "unknown_answer")
        assert await judge(client, answer.id, helpful_citations=[99]) == (400, "unknown_citation")
        path = f"/v1/answers/{answer.id}/feedback"
        other = await client.post(path, json={"answer_id": "0" * 32, "correct": True})
        assert (other.status_code, other.json()["code"]) == (400, "wrong_answer")
        assert {one.outcomes for one in (await put(client)).evidence.reliability.values()} == {0}


async def test_nothing_of_an_answers_words_lies_in_the_coordinators_folder(api, tmp_path) -> None:
    """Question, passages and documents are looked for in every byte of the feedback files."""
    async with api() as client:
        answer = await put(client)
        await judge(client, answer.id, correct=True, helpful_citations=[1])
    written = b"".join(path.read_bytes() for path in tmp_path.glob("feedback.sqlite*"))
    assert answer.id.encode() in written
    for word in ("warfarin", "vitamin", "bleeding", "d.md", "Antidotes"):
        assert word.encode() not in written


async def test_an_answer_survives_a_feedback_file_that_cannot_be_written(api, app, monkeypatch) -> None:
    """It is given, and cannot be judged."""
    import sqlite3

    from fedrag.feedback import FeedbackStore

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(FeedbackStore, "remember", full)
    monkeypatch.setattr(FeedbackStore, "reliability", full)
    async with api() as client:
        answer = await put(client)
        assert answer.choice == "B"
        assert await judge(client, answer.id, correct=True) == (404, "unknown_answer")


def test_the_client_and_the_command_line_give_feedback(app) -> None:
    """Over a real socket; errors come back as they were raised."""
    with serving(app) as url, Client(url, KEY) as client:
        answer = client.ask(AskRequest(question=Question.model_validate(QUESTION)))
        client.feedback(Feedback(answer_id=answer.id, correct=True))
        with pytest.raises(InputError) as raised:
            client.feedback(Feedback(answer_id=answer.id, helpful_citations=(99,)))
        assert raised.value.code == "unknown_citation"
        with pytest.raises(NotFound):
            client.feedback(Feedback(answer_id="0" * 32, correct=True))
        told = CliRunner().invoke(
            command_line, ["feedback", answer.id, "--wrong", "--helpful", "1, 2", "--url", url, "--key", KEY]
        )
        assert told.exit_code == 0, told.output
        after = client.ask(AskRequest(question=Question.model_validate(QUESTION)))
        shown = CliRunner().invoke(
            command_line,
            [
                "ask",
                QUESTION["text"],
                "--option",
                "A=iron",
                "--option",
                "B=vitamin K 10 mg",
                "--url",
                url,
                "--key",
                KEY,
            ],
        )
    helped = {one.node for one in answer.evidence.passages if one.number in (1, 2)}
    assert {node for node, one in after.evidence.reliability.items() if one.mean > 0.5} <= helped
    assert "proved right" in shown.output
    assert re.search(r"Read one by one, the\s+hospitals", re.sub("[│ \n]+", " ", shown.output))
    assert "fedrag feedback" in shown.output


@pytest.mark.parametrize(
    "said", [[], ["--helpful", "one"], ["--helpful", "0"]], ids=["nothing", "no number", "no such number"]
)
def test_feedback_that_says_nothing_readable_is_not_sent(said) -> None:
    """Exit code 2 before anything is sent: nobody listens there."""
    told = CliRunner().invoke(
        command_line, ["feedback", "0" * 32, *said, "--url", "http://127.0.0.1:9", "--key", KEY], standalone_mode=False
    )
    assert isinstance(told.exception, InputError)
