"""A chat model that follows a script: for tests and demonstrations without a model."""

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from fedrag.core.config import Config
from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError, DeadlineExceeded, Unavailable
from reasoner.chat import ChatRequest, Completion, Message, TokenProbability
from reasoner.thinking import answer_tokens, split_thinking

Script = Callable[[ChatRequest], Completion]


class Line(Config):
    """One reply. It is given to the first prompt that contains `contains`, an empty one to any; `reply` that is no text
    is written as JSON. `tokens` are (token, probability); `delay_ms` passes before it."""

    contains: str = ""
    reply: str | dict[str, object]
    tokens: tuple[tuple[str, Annotated[float, Field(gt=0, le=1)]], ...] = ()
    delay_ms: Annotated[float, Field(ge=0, le=600_000)] = 0.0


@dataclass(frozen=True, slots=True)
class ScriptedModel:
    """`script` makes a completion of a request; it may raise what a model raises."""

    script: Script
    name: str = "scripted"
    context: int | None = None
    delay_ms: Callable[[ChatRequest], float] = lambda _: 0.0

    async def context_tokens(self, deadline: Deadline) -> int | None:  # noqa: ARG002
        return self.context

    async def tokens(self, messages: tuple[Message, ...], deadline: Deadline) -> int | None:  # noqa: ARG002
        return _words("\n".join(one.content for one in messages))

    async def complete(self, request: ChatRequest, deadline: Deadline) -> Completion:
        waits_ms, left_ms = self.delay_ms(request), deadline.remaining_ms()
        await asyncio.sleep(min(waits_ms, left_ms) / 1000)
        if waits_ms >= left_ms:
            raise DeadlineExceeded("the script answers too late")
        return self.script(request)

    async def aclose(self) -> None:
        """There is nothing to give back."""


def read_script(path: Path) -> tuple[Line, ...]:
    """A file of one `Line` of JSON each. Raises ConfigError(bad_script)."""
    try:
        return tuple(Line(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, ValueError, TypeError, ValidationError):
        raise ConfigError(f"{path} holds no script", code="bad_script") from None


def from_lines(lines: Sequence[Line], context: int | None = None) -> ScriptedModel:
    """Follows the lines by what prompts contain; Unavailable for a prompt that no line fits."""

    def line_of(request: ChatRequest) -> Line | None:
        said = "\n".join(one.content for one in request.messages)
        return next((line for line in lines if line.contains in said), None)

    def completed(request: ChatRequest) -> Completion:
        line = line_of(request)
        if line is None:
            raise Unavailable("the script has no reply to this")
        return written(request, line.reply, line.tokens)

    def delay_ms(request: ChatRequest) -> float:
        line = line_of(request)
        return line.delay_ms if line else 0.0

    return ScriptedModel(completed, context=context, delay_ms=delay_ms)


def written(
    request: ChatRequest, reply: str | dict[str, object], tokens: Sequence[tuple[str, float]] = ()
) -> Completion:
    """The completion that consists of this text; a word counts as a token where no `tokens` are given."""
    text = reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)
    thinking, answer = split_thinking(text)
    listed = tuple(TokenProbability(token, math.log(probability)) for token, probability in tokens)
    kept, before = answer_tokens(listed, answer, thought=bool(thinking))
    return Completion(
        text=text,
        thinking=thinking,
        thinking_field="think_tags" if thinking else "",
        tokens=kept,
        prompt_tokens=_words("\n".join(one.content for one in request.messages)),
        completion_tokens=len(tokens) or _words(text),
        thinking_tokens=before or _words(thinking),
    )


def _words(text: str) -> int:
    return len(text.split())
