"""What servers differ in: refusals, limits, fields."""

from dataclasses import replace

import pytest

from fedrag.core.errors import ProtocolError
from reasoner.chat import ChatRequest, Message, Rejection
from reasoner.dialect import Dialect, Overflow, StructuredOutput, body, completion, context_length, narrower, overflow


@pytest.mark.parametrize(
    ("complaint", "expected"),
    [
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens", Overflow(4096)),
        ('{"error":{"type":"exceed_context_size_error","message":"the request exceeds the available context size"}}',
         Overflow(None)),
        ("context_length_exceeded", Overflow(None)),
        ("max_model_len is 2048", Overflow(2048)),
        ("response_format is not supported", None),
        ("", None),
    ],
)  # fmt: skip
def test_an_overflow_is_recognised_with_its_limit(complaint, expected) -> None:
    """As vLLM, llama.cpp and others word it."""
    assert overflow(Rejection(400, complaint)) == expected


def test_giving_up_ends() -> None:
    """Whatever is complained about, at most six steps lead to nothing left, and no step repeats."""
    for complaint in ("", "temperature", "logprobs", "system role", "max_completion_tokens"):
        dialect, seen = Dialect(), [Dialect()]
        while (weaker := narrower(dialect, Rejection(400, complaint))) is not None:
            assert weaker not in seen
            seen.append(weaker)
            dialect = weaker
        assert len(seen) <= 7
        assert dialect.structure is StructuredOutput.PROMPT_ONLY


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ({"id": "x", "max_model_len": 8192}, 8192),
        ({"id": "x", "context_length": 4096}, 4096),
        ({"id": "x", "meta": {"n_ctx_train": 2048}}, 2048),
        ({"id": "x", "max_model_len": "many"}, None),
        ({"id": "x"}, None),
    ],
)
def test_the_context_is_read_from_whichever_field_a_server_uses(listed, expected) -> None:
    """Numbers only."""
    assert context_length(listed) == expected


def test_a_completion_without_optional_parts_is_still_one() -> None:
    """No usage, no log-probabilities, null content."""
    made = completion({"choices": [{"message": {"content": None}}]})
    assert (made.text, made.tokens, made.prompt_tokens) == ("", (), 0)


@pytest.mark.parametrize("reply", [None, [], "text", {"choices": None}, {"choices": []}])
def test_what_holds_no_message_is_a_protocol_error(reply) -> None:
    """Never an attribute error."""
    with pytest.raises(ProtocolError):
        completion(reply)


def test_a_broken_log_probability_spoils_the_list_and_a_rounded_one_does_not() -> None:
    """NaN or text: as if none were given; slightly above 0: 0."""

    def read(*values: object):
        tokens = [{"token": "x", "logprob": value} for value in values]
        return completion(
            {"choices": [{"message": {"content": "x" * len(values)}, "logprobs": {"content": tokens}}]}
        ).tokens

    assert read(-0.5, float("nan")) == ()
    assert read("many") == ()
    assert [one.logprob for one in read(1e-7, float("-inf"))] == [0.0, -1e4]


def test_free_text_is_asked_for_without_a_form() -> None:
    """An empty schema allows any JSON, a number say: a server that enforces it would end after one."""
    said = (Message("user", "Why?"),)
    assert "response_format" not in body("tiny", ChatRequest(said, {}, 10), Dialect())
    assert (
        body("tiny", ChatRequest(said, {"type": "object"}, 10), Dialect())["response_format"]["type"] == "json_schema"
    )


def test_a_budget_of_thinking_is_asked_for_where_there_is_one() -> None:
    """And given up, like anything else, where the server complains of it."""
    said = (Message("user", "Why?"),)
    dialect = Dialect()
    assert "thinking_token_budget" not in body("tiny", ChatRequest(said, {}, 10), dialect)
    assert body("tiny", ChatRequest(said, {}, 10, thinking_tokens=5), dialect)["thinking_token_budget"] == 5
    weaker = narrower(dialect, Rejection(400, "thinking_token_budget is set but reasoning_config is not"))
    assert weaker == replace(dialect, thinking_budget=False)
    assert "thinking_token_budget" not in body("tiny", ChatRequest(said, {}, 10, thinking_tokens=5), weaker)
