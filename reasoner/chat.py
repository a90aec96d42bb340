"""What is said to a chat model, and what comes back."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user"]
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`schema` is the JSON schema of the reply; `maximum_tokens` bounds all the model writes, thinking included."""

    messages: tuple[Message, ...]
    schema: dict[str, object]
    maximum_tokens: int
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenProbability:
    """A written token, its natural log-probability, and the alternatives the server listed with theirs."""

    token: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote. `thinking` is what the server itself kept apart, in the field `thinking_field`;
    `tokens` is empty where it gives no log-probabilities."""

    text: str
    thinking: str = ""
    thinking_field: str = ""
    finish_reason: str = "stop"
    tokens: tuple[TokenProbability, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Rejection:
    """The server read the request and refused it. `complaint` may repeat the prompt: never log it."""

    status: int
    complaint: str
