"""A language model asked until it has answered readably: what its server refuses is given up, what does not fit is
trimmed, an unreadable reply is asked for once more."""

from dataclasses import dataclass, field, replace
from typing import Final

from fedrag.core.answer import Evidence
from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError, Unavailable
from fedrag.core.question import Question
from reasoner.chat import ChatRequest, Completion, Message, Rejection
from reasoner.chat_server import ChatServer
from reasoner.dialect import Dialect, narrower, overflow
from reasoner.parsing import Reply, parse, split_thinking
from reasoner.prompts import REMINDER, answer_schema, messages
from reasoner.trimming import BYTES_PER_TOKEN, without_worst
from reasoner.verdict import asked_for

RETRIES: Final = 1
LISTING_SHARE: Final = 0.2
"""Of the deadline, for asking the server how long its context is."""
_SHRINK: Final = 0.7
"""To this share of its bytes a prompt is cut that was too long although it seemed to fit."""


@dataclass(slots=True)
class Known:
    """What has been found out about a server so far; shared by all questions to it."""

    dialect: Dialect = field(default_factory=Dialect)
    context_tokens: int | None = None
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking. `reply` is None when no reply was readable; `evidence` is what the model saw."""

    evidence: Evidence
    reply: Reply | None = None
    completion: Completion | None = None
    trimmed: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """`maximum_tokens` bounds what it writes, thinking included."""

    server: ChatServer
    name: str
    maximum_tokens: int
    temperature: float
    known: Known

    async def ask(self, question: Question, evidence: Evidence, fence: str, deadline: Deadline) -> Asked:
        """Raises DeadlineExceeded, Unavailable, or ProtocolError from the server."""
        await self._learn_context(deadline)
        asked, dialect = self._fitting(Asked(evidence), question, fence, None), self.known.dialect
        while True:
            request = self._request(question, asked, fence)
            answered = await self.server.complete(self.name, request, dialect, deadline)
            if isinstance(answered, Rejection):
                too_long = overflow(answered)
                if too_long is not None:
                    self.known.context_tokens = too_long.context_tokens or self.known.context_tokens
                    asked = self._fitting(asked, question, fence, int(_SHRINK * _bytes(request)))
                    continue
                weaker = narrower(dialect, answered)
                if weaker is None:
                    raise Unavailable(f"the model server refused the request with HTTP {answered.status}")
                dialect = weaker
                continue
            self.known.dialect = dialect
            _, text = split_thinking(answered.text)
            asked = replace(
                asked,
                reply=parse(text, answers(question)),
                completion=answered,
                prompt_tokens=asked.prompt_tokens + answered.prompt_tokens,
                completion_tokens=asked.completion_tokens + answered.completion_tokens,
            )
            if asked.reply is not None or asked.retries == RETRIES:
                return asked
            asked = replace(asked, retries=asked.retries + 1)

    def _request(self, question: Question, asked: Asked, fence: str) -> ChatRequest:
        said = messages(question, asked.evidence, fence)
        reminder = (Message("user", REMINDER),) if asked.retries else ()
        schema = answer_schema(sorted(answers(question)))
        return ChatRequest(_joined(said, reminder), schema, self._reply_tokens(), self.temperature)

    def _fitting(self, asked: Asked, question: Question, fence: str, maximum_bytes: int | None) -> Asked:
        """Trimmed until the prompt has at most `maximum_bytes` and, by estimate, leaves the context room to reply.

        Raises Unavailable when a limit was overrun and nothing is left to trim.
        """
        context = self.known.context_tokens
        room = None if context is None else int((context - self._reply_tokens()) * BYTES_PER_TOKEN)
        limits = [limit for limit in (room, maximum_bytes) if limit is not None]
        while limits and _bytes(self._request(question, asked, fence)) > min(limits):
            smaller = without_worst(asked.evidence)
            if smaller is None and maximum_bytes is not None:
                raise Unavailable("the question and one passage do not fit into the model's context")
            if smaller is None:
                break
            asked = replace(asked, evidence=smaller, trimmed=asked.trimmed + 1)
        return asked

    def _reply_tokens(self) -> int:
        """Never more than half of the context."""
        context = self.known.context_tokens
        return self.maximum_tokens if context is None else min(self.maximum_tokens, context // 2)

    async def _learn_context(self, deadline: Deadline) -> None:
        if self.known.listed or self.known.context_tokens is not None:
            return
        try:
            listed = await self.server.models(deadline.share(LISTING_SHARE))
        except FedragError:
            # The question itself will show whether the server is there.
            return
        self.known.listed = True
        self.known.context_tokens = listed.get(self.name)


def answers(question: Question) -> dict[str, str]:
    """What "choice" may be: the options by letter, yes / no / maybe for a closed question, nothing for an open one."""
    if question.options:
        return dict(question.options)
    closed = asked_for(question)
    return {word: word for word in closed} if closed else {}


def _joined(said: tuple[Message, ...], reminder: tuple[Message, ...]) -> tuple[Message, ...]:
    """One system and one user message: chat templates often allow no two in a row."""
    *before, last = said
    return (*before, Message(last.role, "\n\n".join([last.content, *(one.content for one in reminder)])))


def _bytes(request: ChatRequest) -> int:
    return sum(len(message.content.encode()) for message in request.messages)
