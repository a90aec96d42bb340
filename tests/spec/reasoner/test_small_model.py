"""A real model, small and drawn at random, in this process and behind a server: forms, tokens, time and thinking."""

import asyncio
import itertools
import json
import math
import os
import time
from collections.abc import Iterator

import pytest
import tiny_language_model
from tiny_model_server import TinyServer, serving

from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError, DeadlineExceeded
from fedrag.core.question import Question
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Surroundings
from reasoner.chat import ChatModel, ChatRequest, Completion, Message, PromptTooLong
from reasoner.chat_server import ChatServer
from reasoner.confidence import choice_probability
from reasoner.local_model import LocalModel
from reasoner.served_model import ServedModel
from reasoner.uncertainty import mean_token_entropy

SAID = (Message("system", "You help."), Message("user", "Which dose?"))
CHOICE: dict[str, object] = {
    "type": "object",
    "properties": {"choice": {"enum": ["A", "B", "C"]}},
    "required": ["choice"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_language_model.write(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def thinking_folder(tmp_path_factory):
    return tiny_language_model.write(tmp_path_factory.mktemp("models") / "thoughtful", thinks=True)


@pytest.fixture(scope="module")
def server(folder) -> Iterator[TinyServer]:
    with serving(LocalModel(folder, os.urandom)) as tiny:
        yield tiny


@pytest.fixture(scope="module")
def thinking_server(thinking_folder) -> Iterator[TinyServer]:
    with serving(LocalModel(thinking_folder, os.urandom)) as tiny:
        yield tiny


@pytest.fixture
def local(folder) -> LocalModel:
    return LocalModel(folder, os.urandom)


async def completed(model: ChatModel, request: ChatRequest, deadline_ms: float = 20_000) -> Completion:
    try:
        return await model.complete(request, Deadline.after_ms(deadline_ms))
    finally:
        await model.aclose()


def at(server: TinyServer) -> ServedModel:
    return ServedModel(ChatServer(server.url), server.model.name)


async def test_the_reply_has_the_form_of_the_schema(local) -> None:
    """The weights are random, so only the form can have made it."""
    made = await completed(local, ChatRequest(SAID, CHOICE, 64))
    assert set(json.loads(made.text)) == {"choice"}
    assert json.loads(made.text)["choice"] in ("A", "B", "C")
    assert made.finish_reason == "stop"


async def test_probabilities_are_the_model_s_own_before_the_form(local) -> None:
    """They sum to 1 over what is listed and the rest, the chosen is among them or less likely than all, and the joined
    tokens are the text."""
    made = await completed(local, ChatRequest(SAID, CHOICE, 64))
    assert "".join(one.token for one in made.tokens) == made.text
    for one in made.tokens:
        listed = [logprob for _, logprob in one.alternatives]
        assert listed == sorted(listed, reverse=True)
        assert math.fsum(math.exp(logprob) for logprob in listed) <= 1 + 1e-9
        assert one.logprob <= listed[0]
        assert any(logprob == one.logprob for logprob in listed) or one.logprob < listed[-1]


async def test_greedy_means_the_likeliest_token(local) -> None:
    """Without a form, every token is the first of its list; the same request gives the same text."""
    request = ChatRequest(SAID, {}, 40)
    first = await local.complete(request, Deadline.after_ms(20_000))
    second = await completed(local, request)
    assert all(one.logprob == one.alternatives[0][1] for one in first.tokens)
    assert first == second


async def test_tokens_are_counted_as_they_are_read(local) -> None:
    """What the tokeniser counts beforehand is what the model reports to have read."""
    counted = await local.tokens(SAID, Deadline.after_ms(1000))
    made = await completed(local, ChatRequest(SAID, {}, 8))
    assert made.prompt_tokens == counted
    assert (made.completion_tokens, made.finish_reason) == (8, "length")


async def test_what_does_not_fit_is_told_with_the_limit(folder) -> None:
    """300 tokens of context, 250 for the reply: the prompt is longer than what is left."""
    model = LocalModel(folder, os.urandom, context_tokens=300)
    long = (Message("user", "dose " * 100),)
    with pytest.raises(PromptTooLong) as raised:
        await completed(model, ChatRequest(long, {}, 250))
    assert raised.value.context_tokens == 300


@pytest.mark.parametrize("way", ["deadline", "cancelled"])
async def test_the_model_stops_when_nobody_waits(local, way) -> None:
    """8,000 tokens would take seconds; given up after 0.1 s, it is free for the next question at once."""
    waiting = asyncio.create_task(
        local.complete(ChatRequest(SAID, {}, 8000), Deadline.after_ms(100 if way == "deadline" else 60_000))
    )
    if way == "cancelled":
        await asyncio.sleep(0.1)
        waiting.cancel()
    with pytest.raises((DeadlineExceeded, asyncio.CancelledError)):
        await waiting
    started = time.monotonic()
    await completed(local, ChatRequest(SAID, {}, 1))
    assert time.monotonic() - started < 1


async def test_the_event_loop_runs_while_the_model_writes(local) -> None:
    """A clock that ticks every 5 ms beside 400 tokens of writing never waits for 100 ms."""
    ticks = []

    async def clock() -> None:
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.005)

    ticking = asyncio.create_task(clock())
    await completed(local, ChatRequest(SAID, {}, 400))
    ticking.cancel()
    assert len(ticks) > 10
    assert sorted(later - earlier for earlier, later in itertools.pairwise(ticks))[len(ticks) // 2] < 0.1


async def test_thinking_ends_with_its_budget_and_is_no_part_of_the_answer(thinking_folder) -> None:
    """20 tokens of thought and the closing tag; the answer after it has the form, and its tokens join to its text."""
    model = LocalModel(thinking_folder, os.urandom)
    made = await completed(model, ChatRequest(SAID, CHOICE, 100, thinking_tokens=20))
    assert made.thinking
    assert 20 < made.thinking_tokens <= 25
    assert json.loads(made.text)["choice"] in ("A", "B", "C")
    assert "".join(one.token for one in made.tokens) == made.text
    assert made.completion_tokens == made.thinking_tokens + len(made.tokens)


async def test_a_model_that_does_not_think_has_no_thinking(local) -> None:
    """A budget for it changes nothing."""
    made = await local.complete(ChatRequest(SAID, CHOICE, 100, thinking_tokens=20), Deadline.after_ms(20_000))
    plain = await completed(local, ChatRequest(SAID, CHOICE, 100))
    assert (made.thinking, made.thinking_tokens) == ("", 0)
    assert made.text == plain.text


def test_a_folder_without_a_model_is_a_configuration_error(tmp_path) -> None:
    """An empty one, and one whose description is broken."""
    for told in (None, "{", '{"model": {}}'):
        if told is not None:
            (tmp_path / "genai_config.json").write_text(told, encoding="utf-8")
        with pytest.raises(ConfigError) as raised:
            LocalModel(tmp_path, os.urandom)
        assert raised.value.code == "bad_model"


async def test_a_served_model_says_what_it_says_in_this_process(server, local) -> None:
    """Over HTTP, streamed: text and counts are the same, and so are the uncertainties made of the tokens."""
    request = ChatRequest(SAID, CHOICE, 64)
    here = await local.complete(request, Deadline.after_ms(20_000))
    there = await completed(at(server), request)
    assert there.text == here.text
    assert (there.prompt_tokens, there.completion_tokens) == (here.prompt_tokens, here.completion_tokens)
    assert mean_token_entropy(there.tokens) == pytest.approx(mean_token_entropy(here.tokens), abs=1e-9)
    letter = json.loads(here.text)["choice"]
    assert choice_probability(there.tokens, "ABC", letter) == pytest.approx(
        choice_probability(here.tokens, "ABC", letter), abs=1e-9
    )
    assert server.asked[-1]["stream"] is True
    await local.aclose()


async def test_a_server_s_tokeniser_decides_what_fits(server) -> None:
    """Counted there as here."""
    model = at(server)
    counted = await model.tokens(SAID, Deadline.after_ms(5000))
    made = await completed(model, ChatRequest(SAID, CHOICE, 64))
    assert counted == made.prompt_tokens


async def test_served_thinking_is_counted_apart(thinking_server, thinking_folder) -> None:
    """As much as in this process, and none of its tokens among the answer's."""
    request = ChatRequest(SAID, CHOICE, 100, thinking_tokens=20)
    here = await completed(LocalModel(thinking_folder, os.urandom), request)
    there = await completed(at(thinking_server), request)
    assert there.thinking_tokens == here.thinking_tokens
    assert "".join(one.token for one in there.tokens) == there.text == here.text


async def test_a_served_model_stops_for_a_caller_that_has_gone(server) -> None:
    """It was writing 8,000 tokens; within a second it has given up, and answers the next."""
    model, before = at(server), server.given_up
    with pytest.raises(DeadlineExceeded):
        await model.complete(ChatRequest(SAID, {}, 8000), Deadline.after_ms(300))
    for _ in range(100):
        if server.given_up > before:
            break
        await asyncio.sleep(0.01)
    assert server.given_up == before + 1
    started = time.monotonic()
    await completed(model, ChatRequest(SAID, CHOICE, 16))
    assert time.monotonic() - started < 1


async def test_evidence_is_trimmed_to_what_the_server_can_read(server, evidence) -> None:
    """Ten passages of some 1,500 tokens each for a context of 8,192: the answer says how many were left out, and the
    server never refused."""
    filler = "Adults take five milligrams daily. " * 120
    many = evidence(*((f"h{at}", filler) for at in range(10)))
    settings = {"base_url": server.url, "model": server.model.name, "maximum_tokens": 128}
    reasoner = BACKENDS.build("openai", settings)(Surroundings(ENCODERS.build("hashing"), {}, bytes))
    before = len(server.asked)
    made = await reasoner.reason(Question(text="What is the adult dose?"), many, Deadline.after_ms(60_000))
    await reasoner.aclose()
    sent = server.asked[before:]
    assert sent
    assert made.report.fallback in ("", "model_unparsable")
    prompt = sent[0]["messages"][-1]["content"]
    counted = await server.model.tokens(
        tuple(Message(one["role"], one["content"]) for one in sent[0]["messages"]), Deadline.after_ms(5000)
    )
    assert counted + 128 <= 8192
    assert 1 <= prompt.count("<<PASSAGE") < 10
