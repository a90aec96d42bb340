"""A language model that the evaluation itself asks: to answer without retrieval, or to judge."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from fedrag.core.deadline import Deadline
from fedrag.core.errors import Unavailable
from reasoner.chat import ChatRequest, Completion, Rejection
from reasoner.chat_server import ChatServer
from reasoner.dialect import narrower
from reasoner.language_model import Known

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
        server, deadline = ChatServer(self.url, self.key), Deadline.after_ms(DEADLINE_MS)
        try:
            while True:
                answered = await server.complete(self.model, request, self.known.dialect, deadline)
                if not isinstance(answered, Rejection):
                    return answered
                weaker = narrower(self.known.dialect, answered)
                if weaker is None:
                    raise Unavailable(f"the model server refused the request with HTTP {answered.status}")
                self.known.dialect = weaker
        finally:
            await server.aclose()
