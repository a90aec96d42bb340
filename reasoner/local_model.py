"""A small model that runs in this process on its processor cores, by ONNX Runtime."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime_genai as genai
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError, DeadlineExceeded, ProtocolError
from reasoner.chat import ChatRequest, Completion, Message, PromptTooLong, TokenProbability
from reasoner.dialect import ALTERNATIVES
from reasoner.thinking import CLOSING, OPENING, answer_tokens, closed, opened

READ_AT_ONCE: Final = 256
"""Tokens of a prompt that are read before it is looked whether anybody still waits."""
LEAST_ANSWER: Final = 32
"""Kept for the answer where thinking would take it all."""
SEED_BYTES: Final = 8
Tokens = NDArray[np.int32]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Written:
    """`tokens` without the one that ends a text; `ended`: whether the model came to its end by itself."""

    tokens: tuple[int, ...]
    probabilities: tuple[TokenProbability, ...]
    ended: bool


class LocalModel:
    """`at_once` questions are answered at the same time, the others wait their turn within their deadlines. Generation
    runs in threads of its own and stops at the next token once nobody waits. Tokens are counted exactly; their
    probabilities are those they were drawn with at temperature 1, so what a form leaves no choice about is certain.

    Args:
        entropy: `entropy(n)` gives n random bytes, for temperatures above 0.

    Raises ConfigError(bad_model) when the folder holds no model that ONNX Runtime can load.
    """

    def __init__(
        self, folder: Path, entropy: Callable[[int], bytes], context_tokens: int | None = None, at_once: int = 1
    ) -> None:
        genai.disable_telemetry_events()
        try:
            described = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
            longest = int(described["model"]["context_length"])
            words = (folder / "tokenizer.json").read_text(encoding="utf-8")
            self._model = genai.Model(str(folder))
            self._template = genai.Tokenizer(self._model)
            self._tokenizer = Tokenizer.from_str(words)
            self._ends = frozenset(int(token) for token in self._template.eos_token_ids)
            vocabulary = int(described["model"]["vocab_size"])
            self._forms = LLTokenizer(words, n_vocab=vocabulary, eos_token=min(self._ends))
        except Exception:  # noqa: BLE001  the libraries raise what they like for a broken file
            raise ConfigError(f"{folder} holds no model for onnxruntime-genai", code="bad_model") from None
        self._name = folder.name
        self._context = min(longest, context_tokens or longest)
        self._entropy = entropy
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="local-model")

    @property
    def name(self) -> str:
        return self._name

    async def context_tokens(self, deadline: Deadline) -> int | None:  # noqa: ARG002
        return self._context

    async def tokens(self, messages: tuple[Message, ...], deadline: Deadline) -> int | None:  # noqa: ARG002
        return len(await asyncio.to_thread(self._encoded, messages))

    async def complete(self, request: ChatRequest, deadline: Deadline) -> Completion:
        remaining_s = deadline.remaining_ms() / 1000
        if remaining_s <= 0:
            raise DeadlineExceeded("no time left for the model")
        stopped = threading.Event()

        def wanted() -> bool:
            return not stopped.is_set() and deadline.remaining_ms() > 0

        writing = asyncio.get_running_loop().run_in_executor(self._threads, self._complete, request, wanted)
        try:
            async with asyncio.timeout(remaining_s):
                return await writing
        except TimeoutError:
            raise DeadlineExceeded("the model did not answer in time") from None
        finally:
            stopped.set()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    def _complete(self, request: ChatRequest, wanted: Callable[[], bool]) -> Completion:
        """Thinking first, free in form and within its own budget, then the reply in the form of the schema."""
        prompt = self._encoded(request.messages)
        if len(prompt) + request.maximum_tokens > self._context:
            raise PromptTooLong(self._context)
        budget = max(0, min(request.thinking_tokens, request.maximum_tokens - LEAST_ANSWER))
        thought = self._thought(prompt, request, budget, wanted) if budget else _NOTHING
        closing = self._ids(CLOSING) if thought.tokens else _EMPTY
        given = np.concatenate([prompt, np.asarray(thought.tokens, np.int32), closing])
        room = request.maximum_tokens - budget
        reply = self._written(given, request, room, wanted, formed=True)
        text = self._decoded(reply.tokens)
        return Completion(
            text=text,
            thinking=self._decoded(thought.tokens).replace(OPENING, "").strip(),
            thinking_field="think_tags" if thought.tokens else "",
            finish_reason="stop" if reply.ended else "length",
            tokens=answer_tokens(reply.probabilities, text.strip(), thought=False)[0],
            prompt_tokens=len(prompt),
            completion_tokens=len(thought.tokens) + len(closing) + len(reply.tokens),
            thinking_tokens=len(thought.tokens) + len(closing),
        )

    def _thought(self, prompt: Tokens, request: ChatRequest, budget: int, wanted: Callable[[], bool]) -> _Written:
        """What it thinks before it closes its thinking, or before the budget closes it; nothing where it does not
        think."""
        told = self._decoded(tuple(int(token) for token in prompt[-8:]))
        text = OPENING if opened(told) else ""
        begun = bool(text)
        tokens: list[int] = []
        for token, _ in self._tokens(prompt, request, budget, wanted, formed=False):
            text += self._decoded((token,))
            if closed(text):
                break
            tokens.append(token)
            if not begun and len(text.strip()) >= len(OPENING):
                if not opened(text):
                    return _NOTHING
                begun = True
        return _Written(tuple(tokens), (), ended=True) if begun else _NOTHING

    def _written(
        self, given: Tokens, request: ChatRequest, room: int, wanted: Callable[[], bool], *, formed: bool
    ) -> _Written:
        tokens, probabilities = [], []
        for token, scores in self._tokens(given, request, room, wanted, formed=formed):
            tokens.append(token)
            probabilities.append(self._probability(token, scores))
        return _Written(tuple(tokens), tuple(probabilities), ended=len(tokens) < room)

    def _tokens(
        self, given: Tokens, request: ChatRequest, room: int, wanted: Callable[[], bool], *, formed: bool
    ) -> Iterator[tuple[int, Scores]]:
        """At most `room` tokens, each with the logarithms of the probabilities it was drawn from."""
        form = self._form(request.schema) if formed and request.schema else None
        options = genai.GeneratorParams(self._model)
        options.set_search_options(max_length=len(given) + room)
        generator = genai.Generator(self._model, options)
        draws = np.random.default_rng(int.from_bytes(self._entropy(SEED_BYTES))) if request.temperature > 0 else None
        for at in range(0, len(given), READ_AT_ONCE):
            _require(wanted)
            generator.append_tokens(given[at : at + READ_AT_ONCE])
        for _ in range(room):
            _require(wanted)
            read = np.asarray(generator.get_logits(), np.float64)
            scores = read.reshape(-1, read.shape[-1])[-1]
            if form is not None:
                allowed = np.frombuffer(form.compute_logit_bias(), np.uint8)[: len(scores)] > 0
                scores = np.where(allowed, scores, -np.inf)
            scores = scores - np.logaddexp.reduce(scores)
            token = _drawn(scores, request.temperature, draws)
            if token in self._ends:
                return
            yield token, scores
            if form is not None and not form.consume_token(token):
                raise ProtocolError("the model cannot write in the form asked for")
            generator.append_tokens(np.array([token], np.int32))

    def _form(self, schema: dict[str, object]) -> LLMatcher:
        # Where spaces are free, a small model may write nothing else.
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults={"whitespace_flexible": False})
        form = LLMatcher(self._forms, grammar)
        if form.is_error():
            raise ProtocolError("the model cannot write in the form asked for")
        return form

    def _probability(self, token: int, scores: Scores) -> TokenProbability:
        best = np.argpartition(-scores, min(ALTERNATIVES, len(scores) - 1))[:ALTERNATIVES]
        listed = sorted(((float(scores[one]), int(one)) for one in best if np.isfinite(scores[one])), reverse=True)
        return TokenProbability(
            self._decoded((token,)),
            float(scores[token]),
            tuple((self._decoded((one,)), logprob) for logprob, one in listed),
        )

    def _encoded(self, messages: tuple[Message, ...]) -> Tokens:
        said = json.dumps([{"role": one.role, "content": one.content} for one in messages])
        return self._ids(self._template.apply_chat_template(said, add_generation_prompt=True))

    def _ids(self, text: str) -> Tokens:
        return np.asarray(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int32)

    def _decoded(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(list(tokens))


_EMPTY: Final = np.empty(0, np.int32)
_NOTHING: Final = _Written((), (), ended=True)


def _drawn(scores: Scores, temperature: float, draws: np.random.Generator | None) -> int:
    if draws is None:
        return int(np.argmax(scores))
    chances = np.exp((scores - scores.max()) / temperature)
    return int(draws.choice(len(chances), p=chances / chances.sum()))


def _require(wanted: Callable[[], bool]) -> None:
    if not wanted():
        raise DeadlineExceeded("nobody waits for the model any more")
