"""The same model without retrieval: what it knows by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fedrag.evaluation.model_server import ModelServer
from reasoner.chat import ChatRequest, Message
from reasoner.confidence import choice_probability
from reasoner.parsing import parse
from reasoner.thinking import split_thinking

MAXIMUM_TOKENS: Final = 2048
_SYSTEM: Final = """\
You answer medical examination questions from your own knowledge. Think in short steps, then choose. Reply with one \
JSON object and nothing else:
{"steps": [{"text": "..."}], "choice": "A", "confidence": 0.8}
"confidence" is the probability, between 0 and 1, that the choice is right."""
_UNSTATED: Final = 0.5


@dataclass(frozen=True, slots=True)
class ClosedBook:
    """`choice` is None where the model's reply names none. `tokens`: of prompt and reply."""

    choice: str | None
    confidence: float
    tokens: int


def closed_book(text: str, options: Mapping[str, str], server: ModelServer) -> ClosedBook:
    """Raises Unavailable, DeadlineExceeded, ProtocolError."""
    listed = "\n".join(f"{letter}. {option}" for letter, option in sorted(options.items()))
    asked = (Message("system", _SYSTEM), Message("user", f"{text}\n\nOptions:\n{listed}"))
    made = server.complete(ChatRequest(asked, _schema(options), MAXIMUM_TOKENS))
    reply = parse(split_thinking(made.text)[1], options)
    choice = reply.choice if reply else None
    tokens = made.prompt_tokens + made.completion_tokens
    if reply is None or choice is None:
        return ClosedBook(None, 0.0, tokens)
    by_token = choice_probability(made.tokens, options, choice)
    stated = _UNSTATED if reply.confidence is None else reply.confidence
    return ClosedBook(choice, stated if by_token is None else by_token, tokens)


def _schema(options: Mapping[str, str]) -> dict[str, object]:
    step = {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "steps": {"type": "array", "items": step},
            "choice": {"enum": sorted(options)},
            "confidence": {"type": "number"},
        },
        "required": ["steps", "choice", "confidence"],
        "additionalProperties": False,
    }
