"""What is said to a chat model, and what comes back."""

from dataclasses import dataclass
from typing import Literal, Protocol

from fedrag.core.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user"]
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`schema` is the JSON schema of the reply, empty for free text; `maximum_tokens` bounds all the model writes,
    thinking included, and `thinking_tokens` what of it may be thinking; 0 where that has no budget of its own."""

    messages: tuple[Message, ...]
    schema: dict[str, object]
    maximum_tokens: int
    temperature: float = 0.0
    thinking_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TokenProbability:
    """A written token, its natural log-probability, and the alternatives the server listed with theirs."""

    token: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote. `thinking` is what the server itself kept apart, in the field `thinking_field`; `tokens` are
    those of the answer, without the thinking before it, empty where there are no log-probabilities; `thinking_tokens`
    are counted within `completion_tokens`, `cached_tokens` within `prompt_tokens`: of those, which had been computed
    for an earlier prompt that began alike."""

    text: str
    thinking: str = ""
    thinking_field: str = ""
    finish_reason: str = "stop"
    tokens: tuple[TokenProbability, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thinking_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Rejection:
    """The server read the request and refused it. `complaint` may repeat the prompt: never log it."""

    status: int
    complaint: str


class PromptTooLong(Exception):
    """The prompt does not fit into the model's context. `context_tokens` is the model's limit, None where it did not
    say."""

    def __init__(self, context_tokens: int | None) -> None:
        super().__init__("the prompt is longer than the model's context")
        self.context_tokens = context_tokens


class ChatModel(Protocol):
    """A model that can be talked to, wherever it runs. Used by several questions at once."""

    @property
    def name(self) -> str: ...

    async def context_tokens(self, deadline: Deadline) -> int | None:
        """How much it can read and write together, None where nobody knows."""
        ...

    async def tokens(self, messages: tuple[Message, ...], deadline: Deadline) -> int | None:
        """How long these messages are to it, by its own tokeniser and with its own template; None where it cannot say,
        and then it is estimated."""
        ...

    async def complete(self, request: ChatRequest, deadline: Deadline) -> Completion:
        """Raises PromptTooLong, DeadlineExceeded, Unavailable, or ProtocolError; a cancelled task stops the model."""
        ...

    async def aclose(self) -> None: ...
