"""A language model that the evaluation itself asks: to answer without retrieval, or to judge."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from fedrag.core.deadline import Deadline
from fedrag.core.errors import Unavailable
from reasoner.chat import ChatRequest, Completion, PromptTooLong
from reasoner.chat_server import ChatServer
from reasoner.served_model import Known, ServedModel

DEADLINE_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class ModelServer:
    """An OpenAI-compatible server. `url` up to and including `/v1`; `key` is never written down."""

    url: str
    model: str
    key: str = field(default="", repr=False)
    known: Known = field(default_factory=Known, compare=False, repr=False)

    def complete(self, request: ChatRequest) -> Completion:
        """Raises Unavailable, DeadlineExceeded, or ProtocolError for a reply that is not a chat completion."""
        return asyncio.run(self._complete(request))

    async def _complete(self, request: ChatRequest) -> Completion:
        model = ServedModel(ChatServer(self.url, self.key), self.model, self.known)
        try:
            return await model.complete(request, Deadline.after_ms(DEADLINE_MS))
        except PromptTooLong:
            raise Unavailable("the prompt does not fit into the model's context") from None
        finally:
            await model.aclose()
