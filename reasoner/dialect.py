"""How OpenAI-compatible servers differ, and what to give up when one of them refuses.

They disagree about structured output, log-probabilities, temperature, token limits, streaming, budgets of thinking and
the system role, and say so with a 400 or 422. A `Dialect` is what a server has been found to understand; it is
remembered per back end.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from fedrag.core.errors import ProtocolError
from reasoner.chat import ChatRequest, Completion, Message, Rejection, TokenProbability
from reasoner.thinking import answer_tokens, split_thinking

ALTERNATIVES: Final = 10
"""Alternatives asked for per token: enough for the letters of ordinary option lists."""

_OVERFLOW = re.compile(
    r"context[_ ](?:length|size|window)|maximum context|too many tokens|prompt is too long|longer than the maximum"
    r"|max_model_len",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"(?:context (?:length|size|window)|max_model_len|maximum (?:context|number of tokens))\D{0,40}?(\d{3,8})",
    re.IGNORECASE,
)


class StructuredOutput(StrEnum):
    """How the form of a reply can be enforced, strongest first."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    PROMPT_ONLY = "prompt_only"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server understands; at first, what is hoped."""

    structure: StructuredOutput = StructuredOutput.JSON_SCHEMA
    logprobs: bool = True
    temperature: bool = True
    completion_limit: bool = False
    """The limit is called max_completion_tokens, not max_tokens."""
    system_role: bool = True
    streaming: bool = True
    thinking_budget: bool = True
    """Ends a model's thinking itself when the budget is spent (vLLM); otherwise we stop reading."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """The prompt did not fit. `context_tokens` is the server's limit, None where it did not say."""

    context_tokens: int | None


def body(model: str, request: ChatRequest, dialect: Dialect) -> dict[str, object]:
    """The JSON body of `POST /v1/chat/completions`."""
    spoken = request.messages if dialect.system_role else _without_system(request.messages)
    content: dict[str, object] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in spoken],
        "max_completion_tokens" if dialect.completion_limit else "max_tokens": request.maximum_tokens,
    }
    if dialect.temperature:
        content["temperature"] = request.temperature
    if dialect.logprobs:
        content["logprobs"] = True
        content["top_logprobs"] = ALTERNATIVES
    if dialect.streaming:
        content["stream"] = True
        content["stream_options"] = {"include_usage": True}
    if dialect.thinking_budget and request.thinking_tokens:
        content["thinking_token_budget"] = request.thinking_tokens
    if not request.schema:
        return content
    if dialect.structure is StructuredOutput.JSON_SCHEMA:
        named = {"name": "answer", "strict": True, "schema": request.schema}
        content["response_format"] = {"type": "json_schema", "json_schema": named}
    elif dialect.structure is StructuredOutput.JSON_OBJECT:
        content["response_format"] = {"type": "json_object", "schema": request.schema}
    return content


def overflow(rejection: Rejection) -> Overflow | None:
    """Whether the server refused because the prompt is too long, and the limit it names."""
    if not _OVERFLOW.search(rejection.complaint):
        return None
    limit = _LIMIT.search(rejection.complaint)
    return Overflow(int(limit.group(1)) if limit else None)


def narrower(dialect: Dialect, rejection: Rejection) -> Dialect | None:
    """What to try after a refusal: without what the complaint names, else with a weaker output form, else without
    log-probabilities. None when nothing is left to give up."""
    complaint = rejection.complaint.lower()
    if "thinking_token_budget" in complaint and dialect.thinking_budget:
        return replace(dialect, thinking_budget=False)
    if re.search(r"\bstream(?:_options|ing)?\b", complaint) and dialect.streaming:
        return replace(dialect, streaming=False)
    if "max_completion_tokens" in complaint and not dialect.completion_limit:
        return replace(dialect, completion_limit=True)
    if "temperature" in complaint and dialect.temperature:
        return replace(dialect, temperature=False)
    if re.search(r"system.{0,20}role|role.{0,20}system", complaint) and dialect.system_role:
        return replace(dialect, system_role=False)
    if "logprobs" in complaint and dialect.logprobs:
        return replace(dialect, logprobs=False)
    if dialect.structure is StructuredOutput.JSON_SCHEMA:
        return replace(dialect, structure=StructuredOutput.JSON_OBJECT)
    if dialect.structure is StructuredOutput.JSON_OBJECT:
        return replace(dialect, structure=StructuredOutput.PROMPT_ONLY)
    return replace(dialect, logprobs=False) if dialect.logprobs else None


def completion(reply: object) -> Completion:
    """A chat completion as sent by the server. Raises ProtocolError when there is no message in it.

    Thinking is counted as the server says, else by the tokens before the answer, else by its share of the characters.
    """
    choices = mapping(reply).get("choices")
    if not isinstance(choices, list) or not choices:
        raise ProtocolError("the model server's reply holds no choice")
    choice, usage = mapping(choices[0]), mapping(mapping(reply).get("usage"))
    message = mapping(choice.get("message"))
    name = next((n for n in ("reasoning_content", "reasoning") if text_of(message.get(n))), "")
    text, thinking = text_of(message.get("content")), text_of(message.get(name))
    thought, answer = split_thinking(text)
    listed = _token_probabilities(mapping(choice.get("logprobs")).get("content"))
    tokens, before = answer_tokens(listed, answer, thought=bool(thinking or thought))
    written = _count(usage.get("completion_tokens"))
    told = _count(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    share = len(thinking or thought) / max(1, len(thinking or thought) + len(answer))
    return Completion(
        text=text,
        thinking=thinking,
        thinking_field=name,
        finish_reason=text_of(choice.get("finish_reason")),
        tokens=tokens,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=written,
        cached_tokens=_count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
        thinking_tokens=told or (before if listed else round(written * share)) if thinking or thought else 0,
    )


def context_length(listed: Mapping[str, object]) -> int | None:
    """The context of a model as `/v1/models` tells it: vLLM, llama.cpp and routers use different names."""
    meta = mapping(listed.get("meta"))
    for value in (
        listed.get("max_model_len"),
        listed.get("context_length"),
        meta.get("n_ctx"),
        meta.get("n_ctx_train"),
    ):
        if count := _count(value):
            return count
    return None


def mapping(value: object) -> Mapping[str, object]:
    """`value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str:
    """`value` where it is text, else an empty one."""
    return value if isinstance(value, str) else ""


def _token_probabilities(listed: object) -> tuple[TokenProbability, ...]:
    if not isinstance(listed, list):
        return ()
    tokens: list[TokenProbability] = []
    for entry in listed:
        logprob = _logprob(mapping(entry).get("logprob"))
        if logprob is None:
            return ()
        others = mapping(entry).get("top_logprobs")
        alternatives = tuple(
            (text_of(mapping(other).get("token")), value)
            for other in (others if isinstance(others, list) else [])
            if (value := _logprob(mapping(other).get("logprob"))) is not None
        )
        tokens.append(TokenProbability(text_of(mapping(entry).get("token")), logprob, alternatives))
    return tuple(tokens)


def _without_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """For chat templates that know no system role: the rules open the first user message. Evidence still follows them,
    fenced, and never the other way round."""
    rules = "\n\n".join(message.content for message in messages if message.role == "system")
    first, *rest = (message for message in messages if message.role == "user")
    return (Message("user", f"{rules}\n\n{first.content}"), *rest)


def _logprob(value: object) -> float | None:
    """Rounding leaves some servers slightly above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return min(0.0, max(-1e4, float(value)))


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
