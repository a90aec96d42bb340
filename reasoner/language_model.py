"""A language model asked until it has answered readably: what does not fit is trimmed, an unreadable reply is asked for
once more."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from fedrag.core.answer import Evidence
from fedrag.core.deadline import Deadline
from fedrag.core.errors import Unavailable
from reasoner.chat import ChatModel, ChatRequest, Completion, Message, PromptTooLong
from reasoner.prompts import REMINDER
from reasoner.spending import complete
from reasoner.thinking import split_thinking
from reasoner.trimming import BYTES_PER_TOKEN, without_worst

RETRIES: Final = 1
_SHRINK: Final = 0.7
"""To this share of its length a prompt is cut that was too long although it seemed to fit."""
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Prompt(Generic[R]):
    """What is asked. `messages`: of the evidence that fits; `read`: what to make of what the model wrote, its thinking
    taken apart; None where that is unreadable."""

    messages: Callable[[Evidence], tuple[Message, ...]]
    schema: dict[str, object]
    read: Callable[[str], R | None]


@dataclass(frozen=True, slots=True)
class Asked(Generic[R_co]):
    """What came of asking. `reply` is None when no reply was readable; `evidence` is what the model saw."""

    evidence: Evidence
    reply: R_co | None = None
    completion: Completion | None = None
    trimmed: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thinking_tokens: int = 0


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """`maximum_tokens` bounds what it writes at once, thinking included; `thinking_tokens` the thinking, 0 where that
    has no budget of its own."""

    model: ChatModel
    maximum_tokens: int
    temperature: float
    thinking_tokens: int = 0

    async def ask(self, prompt: Prompt[R], evidence: Evidence, deadline: Deadline) -> Asked[R]:
        """Raises BudgetSpent; DeadlineExceeded, Unavailable, or ProtocolError from the model."""
        context = await self.model.context_tokens(deadline)
        asked: Asked[R] = await self._fitting(Asked(evidence), prompt, context, None, deadline)
        while True:
            request = self._request(prompt, asked, context)
            try:
                answered = await complete(self.model, request, deadline)
            except PromptTooLong as refused:
                context = refused.context_tokens or context
                asked = await self._fitting(asked, prompt, context, int(_SHRINK * _bytes(request.messages)), deadline)
                continue
            asked = replace(
                asked,
                reply=prompt.read(split_thinking(answered.text)[1]),
                completion=answered,
                prompt_tokens=asked.prompt_tokens + answered.prompt_tokens,
                completion_tokens=asked.completion_tokens + answered.completion_tokens,
                thinking_tokens=asked.thinking_tokens + answered.thinking_tokens,
            )
            if asked.reply is not None or asked.retries == RETRIES:
                return asked
            asked = replace(asked, retries=asked.retries + 1)

    def _request(self, prompt: Prompt[R], asked: Asked[R], context: int | None) -> ChatRequest:
        reminder = (Message("user", REMINDER),) if asked.retries else ()
        said = _joined(prompt.messages(asked.evidence), reminder)
        return ChatRequest(said, prompt.schema, self._reply_tokens(context), self.temperature, self.thinking_tokens)

    async def _fitting(
        self, asked: Asked[R], prompt: Prompt[R], context: int | None, maximum_bytes: int | None, deadline: Deadline
    ) -> Asked[R]:
        """Trimmed until the prompt has at most `maximum_bytes` and leaves the context room to reply.

        Raises Unavailable when a limit was overrun and nothing is left to trim.
        """
        while await self._too_long(self._request(prompt, asked, context).messages, context, maximum_bytes, deadline):
            smaller = without_worst(asked.evidence)
            if smaller is None and maximum_bytes is not None:
                raise Unavailable("the question and one passage do not fit into the model's context")
            if smaller is None:
                break
            asked = replace(asked, evidence=smaller, trimmed=asked.trimmed + 1)
        return asked

    async def _too_long(
        self, messages: tuple[Message, ...], context: int | None, maximum_bytes: int | None, deadline: Deadline
    ) -> bool:
        """By the model's own tokeniser where it can say, else by a cautious estimate."""
        size = _bytes(messages)
        if maximum_bytes is not None and size > maximum_bytes:
            return True
        if context is None:
            return False
        room = context - self._reply_tokens(context)
        if size <= room:
            return False  # no tokeniser makes more tokens of a text than it has bytes
        counted = await self.model.tokens(messages, deadline)
        return (size / BYTES_PER_TOKEN if counted is None else counted) > room

    def _reply_tokens(self, context: int | None) -> int:
        """Never more than half of the context."""
        return self.maximum_tokens if context is None else min(self.maximum_tokens, context // 2)


def _joined(said: tuple[Message, ...], reminder: tuple[Message, ...]) -> tuple[Message, ...]:
    """One system and one user message: chat templates often allow no two in a row."""
    *before, last = said
    return (*before, Message(last.role, "\n\n".join([last.content, *(one.content for one in reminder)])))


def _bytes(messages: tuple[Message, ...]) -> int:
    return sum(len(message.content.encode()) for message in messages)
