"""What asking a model cost."""

from dataclasses import dataclass
from typing import Self

from reasoner.language_model import Asked


@dataclass(frozen=True, slots=True)
class Usage:
    """What asking a model cost, and what had to be put right."""

    trimmed: int = 0
    retries: int = 0
    dropped: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    thinking_tokens: int = 0
    """Within `completion_tokens`."""

    @classmethod
    def of(cls, asked: Asked[object], dropped: int = 0) -> Self:
        return cls(
            asked.trimmed, asked.retries, dropped, asked.prompt_tokens, asked.completion_tokens, asked.thinking_tokens
        )

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.trimmed + other.trimmed,
            self.retries + other.retries,
            self.dropped + other.dropped,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.thinking_tokens + other.thinking_tokens,
        )
