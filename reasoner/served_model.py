"""A model behind an OpenAI-compatible server: what the server refuses is given up, and remembered."""

from dataclasses import dataclass, field
from typing import Final

from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError, Unavailable
from reasoner.chat import ChatRequest, Completion, Message, PromptTooLong, Rejection
from reasoner.chat_server import ChatServer
from reasoner.dialect import Dialect, narrower, overflow

LISTING_SHARE: Final = 0.2
"""Of the deadline, for asking the server how long its context is."""
COUNTING_SHARE: Final = 0.1
"""Of what is left, for having a prompt counted."""


@dataclass(slots=True)
class Known:
    """What has been found out about a server so far; shared by all questions to it. `counts`: whether it counts tokens
    for us, as is hoped at first."""

    dialect: Dialect = field(default_factory=Dialect)
    context_tokens: int | None = None
    listed: bool = False
    counts: bool = True


@dataclass(frozen=True, slots=True)
class ServedModel:
    """`known.context_tokens`, where it is given, is believed before what the server lists."""

    server: ChatServer
    name: str
    known: Known = field(default_factory=Known)

    async def context_tokens(self, deadline: Deadline) -> int | None:
        if self.known.listed or self.known.context_tokens is not None:
            return self.known.context_tokens
        try:
            listed = await self.server.models(deadline.share(LISTING_SHARE))
        except FedragError:
            # The question itself will show whether the server is there.
            return None
        self.known.listed = True
        self.known.context_tokens = listed.get(self.name)
        return self.known.context_tokens

    async def tokens(self, messages: tuple[Message, ...], deadline: Deadline) -> int | None:
        if not self.known.counts:
            return None
        try:
            counted = await self.server.count(self.name, messages, deadline.share(COUNTING_SHARE))
        except FedragError:
            # Unreachable now; the question itself will show it.
            return None
        self.known.counts = counted is not None
        return counted

    async def complete(self, request: ChatRequest, deadline: Deadline) -> Completion:
        dialect = self.known.dialect
        while True:
            answered = await self.server.complete(self.name, request, dialect, deadline)
            if not isinstance(answered, Rejection):
                self.known.dialect = dialect
                return answered
            too_long = overflow(answered)
            if too_long is not None:
                self.known.context_tokens = too_long.context_tokens or self.known.context_tokens
                raise PromptTooLong(too_long.context_tokens)
            weaker = narrower(dialect, answered)
            if weaker is None:
                raise Unavailable(f"the model server refused the request with HTTP {answered.status}")
            dialect = weaker

    async def aclose(self) -> None:
        await self.server.aclose()
