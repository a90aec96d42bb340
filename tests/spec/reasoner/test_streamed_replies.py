"""Replies that arrive piece by piece: put together, cut off when too much is thought, given up when nobody waits."""

import asyncio
import itertools
import json
import math
import time

import httpx2
import pytest
from fastapi.responses import JSONResponse, StreamingResponse
from hypothesis import given
from hypothesis import strategies as st

from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded, ProtocolError, Unavailable
from reasoner.chat import ChatRequest, Message, TokenProbability
from reasoner.chat_server import ChatServer
from reasoner.dialect import completion
from reasoner.served_model import ServedModel
from reasoner.streaming import Arriving, events
from reasoner.thinking import answer_tokens

ASKED = ChatRequest((Message("user", "Why?"),), {}, 100)


def piece(finish: str | None = None, probability: float | None = None, **delta: str) -> dict[str, object]:
    listed = []
    if probability is not None:
        token = next(iter(delta.values()))
        listed = [{"token": token, "logprob": math.log(probability), "top_logprobs": []}]
    return {"choices": [{"delta": delta, "logprobs": {"content": listed}, "finish_reason": finish}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}
THOUGHTFUL = [
    piece(reasoning_content="Hm", probability=0.5),
    piece(reasoning_content=" so", probability=0.5),
    piece(content="Five", probability=0.9),
    piece(content=" mg", probability=0.8),
    piece("stop", content=".", probability=0.7),
    USAGE,
]


def sent(told: list[dict[str, object]], *, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(one)}\n\n" for one in told]
    return "".join([": hello\n\n", *lines, "data: [DONE]\n\n" if done else ""]).encode()


def streamed(told: list[dict[str, object]], *, done: bool = True) -> StreamingResponse:
    async def body():
        yield sent(told, done=done)

    return StreamingResponse(body(), media_type="text/event-stream")


async def arrived(chunks: list[bytes]) -> list[object]:
    async def given_chunks():
        for chunk in chunks:
            yield chunk

    return [dict(one) async for one in events(given_chunks(), 1_000_000)]


@given(st.lists(st.integers(min_value=0, max_value=len(sent(THOUGHTFUL))), max_size=12))
def test_where_the_network_cuts_a_stream_changes_nothing(cuts) -> None:
    """Whatever the pieces, the events are those that were sent; the text has characters of several bytes."""
    told = [piece(content="5 µg → 大"), *THOUGHTFUL]
    raw = sent(told)
    places = [0, *sorted(cuts), len(raw)]
    chunks = [raw[begin:end] for begin, end in itertools.pairwise(places)]
    assert asyncio.run(arrived(chunks)) == told


async def test_a_stream_that_breaks_off_is_no_reply() -> None:
    """Neither in the middle of an event nor between two; and no JSON is no event."""
    for raw in (sent(THOUGHTFUL[:3], done=False), sent(THOUGHTFUL)[:200]):
        with pytest.raises(ProtocolError):
            await arrived([raw])
    with pytest.raises(ProtocolError):
        await arrived([b"data: {\n\n"])


async def test_the_parts_make_what_a_whole_reply_would_have_made(model_server) -> None:
    """The same completion, whether the server streams it or sends it at once."""
    whole = {
        "choices": [
            {
                "message": {"content": "Five mg.", "reasoning_content": "Hm so"},
                "finish_reason": "stop",
                "logprobs": {"content": [one["choices"][0]["logprobs"]["content"][0] for one in THOUGHTFUL[:5]]},
            }
        ],
        "usage": USAGE["usage"],
    }
    model_server.script = [streamed(THOUGHTFUL), JSONResponse(whole)]
    model = ServedModel(ChatServer(model_server.url), "tiny")
    first = await model.complete(ASKED, Deadline.after_ms(5000))
    second = await model.complete(ASKED, Deadline.after_ms(5000))
    await model.aclose()
    assert first == second
    assert (first.text, first.thinking, first.finish_reason) == ("Five mg.", "Hm so", "stop")


async def test_uncertainty_is_that_of_the_answer_and_thinking_is_counted_apart(model_server) -> None:
    """Two tokens of thought, three of answer: the probabilities kept are .9, .8 and .7."""
    model_server.script = [streamed(THOUGHTFUL)]
    model = ServedModel(ChatServer(model_server.url), "tiny")
    made = await model.complete(ASKED, Deadline.after_ms(5000))
    await model.aclose()
    assert [round(math.exp(one.logprob), 6) for one in made.tokens] == [0.9, 0.8, 0.7]
    assert (made.thinking_tokens, made.completion_tokens, made.prompt_tokens) == (2, 5, 7)
    assert (model_server.asked[0]["stream"], model_server.asked[0]["stream_options"]) == (True, {"include_usage": True})


@pytest.mark.parametrize("way", ["field", "tags"])
async def test_who_thinks_beyond_the_budget_is_not_listened_to(model_server, way) -> None:
    """A server that thinks for ever, budget 5: at most a few more tokens are sent before it is stopped."""
    written = 0

    async def for_ever():
        nonlocal written
        try:
            while True:
                opening = "<think>" if written == 0 and way == "tags" else ""
                delta = {"content": f"{opening}hm "} if way == "tags" else {"reasoning": "hm "}
                yield sent([piece(**delta)], done=False)
                written += 1
                await asyncio.sleep(0.01)
        finally:
            stopped.set()

    stopped = asyncio.Event()
    model_server.script = [StreamingResponse(for_ever(), media_type="text/event-stream")]
    model = ServedModel(ChatServer(model_server.url), "tiny")
    asked = ChatRequest(ASKED.messages, {}, 100, thinking_tokens=5)
    made = await model.complete(asked, Deadline.after_ms(5000))
    await asyncio.wait_for(stopped.wait(), 2)
    await model.aclose()
    assert made.finish_reason == "thinking"
    assert 5 < made.thinking_tokens < 10
    assert written < 60
    assert model_server.asked[0]["thinking_token_budget"] == 5


async def test_an_answer_that_has_begun_is_read_to_its_end(model_server) -> None:
    """Budget 5. A busy server sends its fourth and fifth thought together with its first word: nothing is cut off."""
    listed = [{"token": one, "logprob": math.log(0.5), "top_logprobs": []} for one in ("hm", " so", "Five")]
    together = {"reasoning": "hm so", "content": "Five"}
    told = [piece(reasoning="hm ", probability=0.5) for _ in range(3)]
    told += [{"choices": [{"delta": together, "logprobs": {"content": listed}}]}, *THOUGHTFUL[3:]]
    model_server.script = [streamed(told)]
    model = ServedModel(ChatServer(model_server.url), "tiny")
    made = await model.complete(ChatRequest(ASKED.messages, {}, 100, thinking_tokens=5), Deadline.after_ms(5000))
    await model.aclose()
    assert (made.text, made.finish_reason, made.thinking_tokens) == ("Five mg.", "stop", 5)
    assert [one.token for one in made.tokens] == ["Five", " mg", "."]


@pytest.mark.parametrize("end", ["hang-up", "deadline"])
async def test_a_server_stops_when_nobody_waits(model_server, end) -> None:
    """It writes for ever; the caller goes, or its time is up: within a second its stream is closed."""
    stopped, began = asyncio.Event(), asyncio.Event()

    async def for_ever():
        try:
            while True:
                yield sent([piece(content="word ")], done=False)
                began.set()
                await asyncio.sleep(0.01)
        finally:
            stopped.set()

    model_server.script = [StreamingResponse(for_ever(), media_type="text/event-stream")]
    model = ServedModel(ChatServer(model_server.url), "tiny")
    waiting = asyncio.create_task(model.complete(ASKED, Deadline.after_ms(300 if end == "deadline" else 60_000)))
    await began.wait()
    if end == "hang-up":
        waiting.cancel()
    with pytest.raises((DeadlineExceeded, asyncio.CancelledError)):
        await waiting
    await asyncio.wait_for(stopped.wait(), 1)
    await model.aclose()


async def test_an_error_in_the_middle_is_no_reply(model_server) -> None:
    """What came before it is not an answer."""
    model_server.script = [streamed([THOUGHTFUL[2], {"error": {"message": "out of memory", "code": 500}}])]
    server = ChatServer(model_server.url)
    with pytest.raises(Unavailable):
        await ServedModel(server, "tiny").complete(ASKED, Deadline.after_ms(5000))
    await server.aclose()


async def test_streaming_is_given_up_where_it_is_refused(model_server, model_refusal, model_completion) -> None:
    """One refusal; from then on replies come whole."""

    def whole_only(body):
        return model_refusal("stream is not supported") if body.get("stream") else model_completion("Five.")

    model_server.script = [whole_only]
    model = ServedModel(ChatServer(model_server.url), "tiny")
    texts = [(await model.complete(ASKED, Deadline.after_ms(5000))).text for _ in range(2)]
    await model.aclose()
    assert texts == ["Five.", "Five."]
    assert [bool(one.get("stream")) for one in model_server.asked] == [True, False, False]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_is_asked_again_after_the_pause_it_names(model_server, status) -> None:
    """Retry-After: 1 second, then the reply; not before the second is over."""
    busy = JSONResponse({}, status, headers={"retry-after": "1"})
    model_server.script = [busy, streamed(THOUGHTFUL)]
    model = ServedModel(ChatServer(model_server.url), "tiny")
    started = time.monotonic()
    made = await model.complete(ASKED, Deadline.after_ms(10_000))
    await model.aclose()
    assert made.text == "Five mg."
    assert 1.0 <= time.monotonic() - started < 2.0


async def test_a_pause_beyond_the_deadline_is_not_waited_for(model_server) -> None:
    """An hour is asked for, five seconds are left: told at once, after one request."""
    model_server.script = [JSONResponse({}, 429, headers={"retry-after": "3600"})]
    model = ServedModel(ChatServer(model_server.url), "tiny")
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await model.complete(ASKED, Deadline.after_ms(5000))
    await model.aclose()
    assert time.monotonic() - started < 1
    assert len(model_server.asked) == 1


async def test_no_more_than_so_many_are_asked_at_once(model_server) -> None:
    """Twelve questions, three at once: the server never sees four; one whose time is up while it waits is told."""
    at_once = most = 0

    async def slowly():
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.1)
        at_once -= 1
        yield sent(THOUGHTFUL)

    model_server.script = [lambda _: StreamingResponse(slowly(), media_type="text/event-stream")]
    server = ChatServer(model_server.url, at_once=3)
    model = ServedModel(server, "tiny")
    made = await asyncio.gather(*(model.complete(ASKED, Deadline.after_ms(10_000)) for _ in range(12)))
    assert {one.text for one in made} == {"Five mg."}
    assert most == 3
    waiting = [asyncio.create_task(model.complete(ASKED, Deadline.after_ms(10_000))) for _ in range(3)]
    await asyncio.sleep(0.02)
    with pytest.raises(DeadlineExceeded):
        await model.complete(ASKED, Deadline.after_ms(30))
    await asyncio.gather(*waiting)
    await server.aclose()


def vllm_way(request: httpx2.Request) -> httpx2.Response:
    if request.url.path == "/tokenize" and "messages" in json.loads(request.content):
        return httpx2.Response(200, json={"count": 41, "max_model_len": 8192, "tokens": list(range(41))})
    return httpx2.Response(404)


def llama_way(request: httpx2.Request) -> httpx2.Response:
    told = json.loads(request.content)
    if request.url.path == "/apply-template":
        return httpx2.Response(200, json={"prompt": "|".join(one["content"] for one in told["messages"])})
    if request.url.path == "/tokenize":
        return httpx2.Response(200, json={"tokens": list(range(len(told.get("content", ""))))})
    return httpx2.Response(404)


@pytest.mark.parametrize(
    ("server", "expected", "requests"),
    [(vllm_way, 41, 2), (llama_way, len("Rules.|Why?"), 6), (lambda _: httpx2.Response(404), None, 2)],
    ids=["vLLM", "llama.cpp", "neither"],
)
async def test_tokens_are_counted_by_the_server_where_it_can(server, expected, requests) -> None:
    """Twice the same prompt; a server without such a route is not asked a second time."""
    seen = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.path)
        return server(request)

    model = ServedModel(ChatServer("http://server/v1", transport=httpx2.MockTransport(respond)), "tiny")
    said = (Message("system", "Rules."), Message("user", "Why?"))
    assert [await model.tokens(said, Deadline.after_ms(5000)) for _ in range(2)] == [expected, expected]
    await model.aclose()
    assert len(seen) == requests
    assert not any(path.startswith("/v1") for path in seen)


async def test_a_server_that_is_busy_now_may_count_later() -> None:
    """503 once, then its count: one failure is not remembered as a server that cannot count."""
    answers = iter([httpx2.Response(503), vllm_way])

    def respond(request: httpx2.Request) -> httpx2.Response:
        answer = next(answers)
        return answer if isinstance(answer, httpx2.Response) else answer(request)

    model = ServedModel(ChatServer("http://server/v1", transport=httpx2.MockTransport(respond)), "tiny")
    said = (Message("user", "Why?"),)
    assert [await model.tokens(said, Deadline.after_ms(5000)) for _ in range(2)] == [None, 41]
    await model.aclose()


def made_of(*written: str) -> tuple[TokenProbability, ...]:
    return tuple(TokenProbability(one, -0.1) for one in written)


@pytest.mark.parametrize(
    ("tokens", "answer", "thought", "kept", "before"),
    [
        (("<think>", "Five", "</think>", "\n", "Five", " mg", "<end>"), "Five mg", True, ("Five", " mg"), 4),
        (("Five", " mg", "<end>"), "Five mg", False, ("Five", " mg"), 0),
        (("hm", "</think>", "\ufffd", "\ufffd", "g"), "µg", True, ("\ufffd", "\ufffd", "g"), 2),
        (("hm", "hm"), "Five", True, (), 2),
        (("hm", "hm"), "", True, (), 2),
        (("\ufffd", "\ufffd", "g"), "µg", False, ("\ufffd", "\ufffd", "g"), 0),
    ],
)
def test_the_tokens_of_the_answer_are_found(tokens, answer, thought, kept, before) -> None:
    """Behind the thinking, by their text; where that is spoilt, behind the closing tag; else none."""
    found, count = answer_tokens(made_of(*tokens), answer, thought=thought)
    assert (tuple(one.token for one in found), count) == (kept, before)


def test_thinking_without_log_probabilities_is_counted_by_its_share() -> None:
    """100 tokens written, 300 of 400 characters thought: 75; where the server says it, its number."""
    message = {"content": "a" * 100, "reasoning_content": "t" * 300}
    reply = {"choices": [{"message": message}], "usage": {"completion_tokens": 100}}
    assert completion(reply).thinking_tokens == 75
    reply["usage"]["completion_tokens_details"] = {"reasoning_tokens": 80}
    assert completion(reply).thinking_tokens == 80


def test_what_was_cut_off_tells_what_came() -> None:
    """Without the server's count, the pieces are counted."""
    arriving = Arriving()
    for one in THOUGHTFUL[:3]:
        arriving.add(one)
    with pytest.raises(ProtocolError):
        arriving.reply()
    assert completion(arriving.reply(stopped="thinking")).completion_tokens == 3
