"""`fedrag model check`: what a scripted server can do is what the report says."""

import itertools
import json

import pytest

from fedrag.core.errors import NotFound, Unavailable
from reasoner.dialect import StructuredOutput
from reasoner.model_check import check, suggested_deadline_ms


@pytest.fixture
def capable(model_completion, model_refusal):
    """A server's whole behaviour: forms it enforces, forms it refuses, log-probabilities, thinking."""

    def make(*, enforces=(), refuses=(), logprobs=False, thinking=""):
        def respond(body):
            form = body.get("response_format", {}).get("type")
            if form in refuses:
                return model_refusal(f"response_format {form} is not supported")
            text = "A meadow in bloom."
            if form in enforces:
                text = json.dumps({"colour": "green"} if form == "json_schema" else {"anything": 1})
            if thinking == "think_tags":
                text = f"<think>hm</think>{text}"
            fields = {thinking: "hm"} if thinking and thinking != "think_tags" else {}
            tokens = {"content": [{"token": text, "logprob": -0.1, "top_logprobs": []}]} if logprobs else None
            return model_completion(text, logprobs=tokens if body.get("logprobs") else None, **fields)

        return respond

    return make


@pytest.mark.parametrize(
    ("enforces", "refuses", "expected"),
    [
        (("json_schema", "json_object"), (), StructuredOutput.JSON_SCHEMA),
        (("json_object",), ("json_schema",), StructuredOutput.JSON_OBJECT),
        (("json_object",), (), StructuredOutput.JSON_OBJECT),
        ((), ("json_schema", "json_object"), StructuredOutput.PROMPT_ONLY),
        ((), (), StructuredOutput.PROMPT_ONLY),
    ],
)
async def test_a_form_counts_when_it_is_obeyed(model_server, capable, enforces, refuses, expected) -> None:
    """Accepting and ignoring is not support."""
    model_server.script = [capable(enforces=enforces, refuses=refuses)]
    assert (await check(model_server.url)).structure is expected


@pytest.mark.parametrize("thinking", ["", "reasoning_content", "reasoning", "think_tags"])
@pytest.mark.parametrize("logprobs", [True, False])
async def test_log_probabilities_and_thinking_are_reported(model_server, capable, logprobs, thinking) -> None:
    """Each as the server does it."""
    model_server.script = [capable(enforces=("json_schema",), logprobs=logprobs, thinking=thinking)]
    made = await check(model_server.url, "tiny")
    assert (made.logprobs, made.thinking) == (logprobs, thinking)
    assert (made.model, made.models, made.context_tokens) == ("tiny", ("tiny",), 8192)


async def test_speed_is_tokens_over_the_time_of_writing(model_server, capable) -> None:
    """A clock that moves 0.5 s at every look, looked at five times in a request: 20 tokens in 2 s."""
    model_server.script = [capable(enforces=("json_schema",))]
    ticks = itertools.count(step=0.5)
    made = await check(model_server.url, clock=lambda: next(ticks))
    looks = made.reading_ms / 500
    assert made.tokens_per_second == pytest.approx(20 / (looks * 0.5))
    assert made.suggested_deadline_ms == suggested_deadline_ms(made.reading_ms, made.tokens_per_second, thinks=False)


def test_the_suggested_deadline_by_hand() -> None:
    """1500 + 1.5 · (1000 + 1000 · 500 / 50) = 18,000; with 1,500 tokens of thinking 1500 + 1.5 · 41,000 = 63,000."""
    assert suggested_deadline_ms(1000, 50, thinks=False) == 18_000
    assert suggested_deadline_ms(1000, 50, thinks=True) == 63_000
    assert suggested_deadline_ms(1000, 0, thinks=True) == 0


async def test_an_unknown_model_and_an_absent_server_are_told_apart(model_server, closed_port) -> None:
    """Each with its own error."""
    with pytest.raises(NotFound):
        await check(model_server.url, "huge")
    with pytest.raises(Unavailable):
        await check(closed_port)
