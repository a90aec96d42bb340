"""What a model server can do, found out by asking it: `fedrag model check URL`."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Final

import httpx2
from pydantic import Field

from fedrag.core.deadline import Deadline
from fedrag.core.errors import NotFound, Unavailable
from fedrag.core.wire import Finite, Milliseconds, Name, Wire
from reasoner.chat import ChatRequest, Completion, Message, Rejection
from reasoner.chat_server import ChatServer
from reasoner.dialect import Dialect, StructuredOutput, narrower
from reasoner.generative import RESERVED_MS
from reasoner.thinking import split_thinking

CHECK_DEADLINE_MS: Final = 120_000.0
PROMPT_TOKENS: Final = 1500
"""Length of the prompt that reading speed is measured with: a question with eight passages."""
ANSWER_TOKENS: Final = 500
THINKING_TOKENS: Final = 1500
"""What an answer, and thinking before it, is taken to need when a deadline is suggested."""
SAFETY: Final = 1.5
_STEP_MS: Final = 500
_COLOURS: Final = ("red", "green", "blue")
_SPEED_TOKENS: Final = 200


class ModelReport(Wire):
    """`structure` is the strongest output form that the server obeys, not only accepts. `thinking` is where thinking
    comes in: `reasoning_content`, `reasoning`, `think_tags`, or empty. `suggested_deadline_ms` is for one question."""

    model: Name
    models: tuple[str, ...]
    context_tokens: Annotated[int, Field(ge=1)] | None
    structure: StructuredOutput
    logprobs: bool
    thinking: str
    reading_ms: Milliseconds
    tokens_per_second: Annotated[Finite, Field(ge=0)]
    suggested_deadline_ms: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class _Timed:
    completion: Completion
    dialect: Dialect
    elapsed_ms: float


async def check(
    base_url: str,
    model: str | None = None,
    api_key: str = "",
    *,
    transport: httpx2.AsyncBaseTransport | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ModelReport:
    """Four short requests and the model list. Without `model`, the first one listed.

    Raises NotFound when the server does not list the model, Unavailable, DeadlineExceeded, or ProtocolError.
    """
    server = ChatServer(base_url, api_key, transport=transport)
    try:
        deadline = Deadline.after_ms(CHECK_DEADLINE_MS, clock)
        listed = await server.models(deadline)
        name = model or next(iter(sorted(listed)), "")
        if name not in listed:
            raise NotFound(f"the server lists no model of that name, but {', '.join(sorted(listed)) or 'none'}")
        return await _checked(server, name, listed, deadline)
    finally:
        await server.aclose()


async def _checked(server: ChatServer, name: str, listed: dict[str, int | None], deadline: Deadline) -> ModelReport:
    structured, structure = await _strongest_structure(server, name, deadline)
    plain = replace(structured.dialect, structure=StructuredOutput.PROMPT_ONLY)
    reading = await _timed(server, name, _reading_request(), plain, deadline)
    writing = await _timed(server, name, _writing_request(), plain, deadline)
    thinking = next((way for way in (_thinking(structured), _thinking(writing)) if way), "")
    writing_s = max(writing.elapsed_ms, 1.0) / 1000
    speed = writing.completion.completion_tokens / writing_s
    return ModelReport(
        model=name,
        models=tuple(sorted(listed)),
        context_tokens=listed[name],
        structure=structure,
        logprobs=bool(structured.completion.tokens),
        thinking=thinking,
        reading_ms=reading.elapsed_ms,
        tokens_per_second=speed,
        suggested_deadline_ms=suggested_deadline_ms(reading.elapsed_ms, speed, thinks=bool(thinking)),
    )


def suggested_deadline_ms(reading_ms: float, tokens_per_second: float, *, thinks: bool) -> int:
    """RESERVED_MS + SAFETY · (reading + tokens / speed), rounded up to half a second; 0 when the speed is unknown."""
    if tokens_per_second <= 0:
        return 0
    tokens = ANSWER_TOKENS + (THINKING_TOKENS if thinks else 0)
    needed_ms = RESERVED_MS + SAFETY * (reading_ms + 1000 * tokens / tokens_per_second)
    return math.ceil(needed_ms / _STEP_MS) * _STEP_MS


async def _strongest_structure(server: ChatServer, name: str, deadline: Deadline) -> tuple[_Timed, StructuredOutput]:
    """Asks for prose under a schema: only a server that enforces it answers in JSON. Servers that accept and ignore a
    form count as not having it."""
    dialect = Dialect()
    for form in StructuredOutput:
        timed = await _timed(server, name, _structure_request(), replace(dialect, structure=form), deadline)
        dialect = timed.dialect
        if form is timed.dialect.structure and form is not StructuredOutput.PROMPT_ONLY and _obeyed(timed, form):
            return timed, form
    return timed, StructuredOutput.PROMPT_ONLY


def _obeyed(timed: _Timed, form: StructuredOutput) -> bool:
    try:
        value = json.loads(split_thinking(timed.completion.text)[1])
    except ValueError:
        return False
    if form is StructuredOutput.JSON_OBJECT:
        return isinstance(value, dict)
    return isinstance(value, dict) and set(value) == {"colour"} and value["colour"] in _COLOURS


async def _timed(server: ChatServer, name: str, request: ChatRequest, dialect: Dialect, deadline: Deadline) -> _Timed:
    while True:
        started = deadline.clock()
        answered = await server.complete(name, request, dialect, deadline)
        if not isinstance(answered, Rejection):
            return _Timed(answered, dialect, (deadline.clock() - started) * 1000)
        weaker = narrower(dialect, answered)
        if weaker is None:
            raise Unavailable(f"the model server refused the request with HTTP {answered.status}")
        dialect = weaker


def _thinking(timed: _Timed) -> str:
    if timed.completion.thinking_field:
        return timed.completion.thinking_field
    return "think_tags" if split_thinking(timed.completion.text)[0] else ""


def _structure_request() -> ChatRequest:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"colour": {"enum": list(_COLOURS)}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    return ChatRequest((Message("user", "Describe a summer meadow in two short sentences."),), schema, 256)


def _reading_request() -> ChatRequest:
    filler = "The ward round begins at eight and ends at ten. " * (PROMPT_TOKENS // 11)
    return ChatRequest((Message("user", f"{filler}\nWhen does it begin? Answer with one number."),), {}, 1)


def _writing_request() -> ChatRequest:
    return ChatRequest((Message("user", "Count from 1 to 300, separated by spaces."),), {}, _SPEED_TOKENS)
