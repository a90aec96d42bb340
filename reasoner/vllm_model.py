"""vLLM inside this process: guided decoding, log-probabilities, and what prompts have in common computed once."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from vllm import AsyncEngineArgs, SamplingParams
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM

from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError, DeadlineExceeded, ProtocolError, Unavailable
from reasoner.chat import ChatRequest, Completion, Message, PromptTooLong, TokenProbability
from reasoner.dialect import ALTERNATIVES
from reasoner.thinking import CLOSING, answer_tokens, closed, opened, split_thinking

LEAST_ANSWER: Final = 32
"""Kept for the answer where thinking would take it all."""


@dataclass(frozen=True, slots=True)
class _Written:
    text: str
    tokens: tuple[TokenProbability, ...]
    count: int
    ended: str
    cached: int


class VllmModel:
    """An engine of its own. Questions share its batches; one that is given up is taken out of them.

    Args:
        model: a folder or name that vLLM loads.
        prefix_caching: whether what prompts begin with alike is read once. Prompts are made for it: rules, question and
            options come first, what only one source is shown comes last.
        options: further engine arguments by vLLM's names.

    Raises ConfigError(bad_model) when the engine does not start.
    """

    def __init__(
        self, model: str, context_tokens: int | None, *, prefix_caching: bool, options: Mapping[str, Any]
    ) -> None:
        arguments = {
            "enable_prefix_caching": prefix_caching,
            "max_model_len": context_tokens,
            "disable_log_stats": True,
            "max_logprobs": ALTERNATIVES,
            # Small models otherwise fill a reply with the spaces that JSON allows between its parts.
            "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
            **options,
        }
        try:
            self.engine = AsyncLLM.from_engine_args(AsyncEngineArgs(model=model, **arguments))
        except Exception as error:  # noqa: BLE001  whatever keeps another process from starting
            raise ConfigError(f"vLLM does not start ({type(error).__name__})", code="bad_model") from None
        self._name = model.rstrip("/").rpartition("/")[2]
        self._tokenizer = self.engine.get_tokenizer()
        self._context = int(self.engine.model_config.max_model_len)

    @property
    def name(self) -> str:
        return self._name

    async def context_tokens(self, deadline: Deadline) -> int | None:  # noqa: ARG002
        return self._context

    async def tokens(self, messages: tuple[Message, ...], deadline: Deadline) -> int | None:  # noqa: ARG002
        return len(await asyncio.to_thread(self._encoded, messages))

    async def complete(self, request: ChatRequest, deadline: Deadline) -> Completion:
        """Thinking first, free in form and within its own budget, then the reply in the form of the schema."""
        prompt = await asyncio.to_thread(self._encoded, request.messages)
        if len(prompt) + request.maximum_tokens > self._context:
            raise PromptTooLong(self._context)
        left_s = deadline.remaining_ms() / 1000
        if left_s <= 0:
            raise DeadlineExceeded("no time left for the model")
        try:
            async with asyncio.timeout(left_s):
                return await self._complete(prompt, request, deadline)
        except TimeoutError:
            raise DeadlineExceeded("the model did not answer in time") from None
        except (DeadlineExceeded, ProtocolError):
            raise
        except ValueError:
            raise ProtocolError("the model cannot write in the form asked for") from None
        except RuntimeError as error:
            raise Unavailable(f"vLLM failed ({type(error).__name__})") from None

    async def aclose(self) -> None:
        await asyncio.to_thread(self.engine.shutdown)

    async def _complete(self, prompt: list[int], request: ChatRequest, deadline: Deadline) -> Completion:
        budget = max(0, min(request.thinking_tokens, request.maximum_tokens - LEAST_ANSWER))
        thinking, spent, cached = "", 0, 0
        given = prompt
        if budget:
            thought = await self._written(prompt, request, budget, deadline, formed=False, stop=[CLOSING])
            cached = thought.cached
            begun = opened(self._tokenizer.decode(prompt[-8:]))
            if begun or opened(thought.text):
                thinking = split_thinking(f"{thought.text}{CLOSING}")[0]
                given = prompt + self._tokenizer.encode(f"{thought.text}{CLOSING}", add_special_tokens=False)
                spent = len(given) - len(prompt)
        reply = await self._written(given, request, request.maximum_tokens - budget, deadline, formed=True)
        _, answer = split_thinking(reply.text)
        tokens, before = answer_tokens(reply.tokens, answer, thought=closed(reply.text))
        return Completion(
            text=reply.text,
            thinking=thinking,
            thinking_field="think_tags" if thinking else "",
            finish_reason=reply.ended,
            tokens=tokens,
            prompt_tokens=len(prompt),
            completion_tokens=spent + reply.count,
            cached_tokens=cached if budget else reply.cached,
            thinking_tokens=spent + (before if closed(reply.text) else 0),
        )

    async def _written(
        self,
        given: list[int],
        request: ChatRequest,
        room: int,
        deadline: Deadline,
        *,
        formed: bool,
        stop: list[str] | None = None,
    ) -> _Written:
        guided = StructuredOutputsParams(json=json.dumps(request.schema)) if formed and request.schema else None
        asked = SamplingParams(
            max_tokens=room,
            temperature=request.temperature,
            logprobs=ALTERNATIVES if formed else None,
            structured_outputs=guided,
            stop=stop,
            output_kind=RequestOutputKind.DELTA,
        )
        text, ended, count, cached = "", "", 0, 0
        tokens: list[TokenProbability] = []
        async with aclosing(self._pieces(given, asked)) as pieces:
            async for output in pieces:
                deadline.require()
                piece, cached = output.outputs[0], output.num_cached_tokens or cached
                text += piece.text
                count += len(piece.token_ids)
                tokens += _probabilities(piece)
                ended = piece.finish_reason or ended
        return _Written(text, tuple(tokens), count, ended, cached)

    async def _pieces(self, given: list[int], asked: SamplingParams) -> AsyncGenerator[Any]:
        """Closing it takes the request out of the engine."""
        async with aclosing(self.engine.generate({"prompt_token_ids": given}, asked, uuid.uuid4().hex)) as outputs:
            async for output in outputs:
                yield output

    def _encoded(self, messages: tuple[Message, ...]) -> list[int]:
        said = [{"role": one.role, "content": one.content} for one in messages]
        text = self._tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        return [int(token) for token in self._tokenizer.encode(text, add_special_tokens=False)]


def _probabilities(piece: Any) -> list[TokenProbability]:
    made = []
    for token, listed in zip(piece.token_ids, piece.logprobs or (), strict=False):
        chosen = listed[token]
        others = tuple((one.decoded_token or "", min(0.0, one.logprob)) for one in listed.values())
        made.append(TokenProbability(chosen.decoded_token or "", min(0.0, chosen.logprob), others))
    return made
