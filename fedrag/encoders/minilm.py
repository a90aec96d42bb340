"""all-MiniLM-L6-v2 on ONNX Runtime: 384 dimensions, fp32, English, no torch.

Mean of the token vectors, scaled to length 1; no prefixes; 256 tokens with [CLS] and [SEP]. `fedrag setup` puts the
model in place (`minilm_setup`). Model: sentence-transformers/all-MiniLM-L6-v2, Apache-2.0.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import onnxruntime
from pydantic import Field
from tokenizers import Tokenizer

from fedrag.core.collection import EncoderIdentity
from fedrag.core.config import Config, home
from fedrag.core.wire import FloatMatrix
from fedrag.encoders.minilm_files import GRAPH, TOKENIZER, WEIGHTS_SHA256, check_set_up

DIMENSION: Final = 384
_CLS: Final = 101
_SEP: Final = 102
_MAXIMUM_TOKENS: Final = 256
_SHORT: Final = 32
"""Tokens. Up to here several texts in one pass are faster than one by one, up to twice; longer ones gain nothing."""
_BATCH: Final = 16
_WARNINGS_OFF: Final = 3


def _cores() -> int:
    """Those that this process may use."""
    return min(256, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


class Settings(Config):
    """`folder`: where `fedrag setup` put the model; `threads`: how many texts are encoded side by side, each by one
    processor thread. By default as many as there are cores."""

    folder: Path = Field(default_factory=lambda: home() / "minilm")
    threads: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=_cores)


class MiniLM:
    """Safe to share between threads: neither the session nor the tokeniser keeps state between calls.

    A vector depends on its text alone, to the bit: not on the texts beside it, their order, or the number of threads.
    Nothing is padded, each pass has one thread, and its sums do not depend on how many texts it holds, from two on.
    """

    identity: Final = EncoderIdentity(
        name="all-MiniLM-L6-v2",
        weights_sha256=WEIGHTS_SHA256,
        precision="fp32",
        dimension=DIMENSION,
        maximum_tokens=_MAXIMUM_TOKENS,
        languages=("en",),
    )

    def __init__(self, folder: Path, threads: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # threads that share one text wait for each other at every layer
        options.inter_op_num_threads = 1
        options.log_severity_level = _WARNINGS_OFF
        self._session = onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="minilm")

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """One by one: a question that is asked alone gets the vector that it has among others."""
        return self._encode([self._token_ids(text) for text in texts], [[row] for row in range(len(texts))])

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        sequences = [self._token_ids(text) for text in texts]
        return self._encode(sequences, _passes([len(sequence) for sequence in sequences]))

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def vocabulary(self) -> tuple[str, ...]:
        return tuple(sorted(word for word in self._tokenizer.get_vocab() if not word.startswith(("##", "["))))

    def _token_ids(self, text: str) -> list[int]:
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [_CLS, *ids[: _MAXIMUM_TOKENS - 2], _SEP]

    def _encode(self, sequences: Sequence[Sequence[int]], passes: Sequence[list[int]]) -> FloatMatrix:
        """Row i of the result is the vector of sequence i."""
        vectors = np.empty((len(sequences), DIMENSION), dtype=np.float32)

        def run(rows: list[int]) -> None:
            ids = np.array([sequences[row] for row in rows], dtype=np.int64)
            output: list[Any] = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
            vectors[rows] = output[0]

        if len(passes) <= 1:
            for rows in passes:
                run(rows)
        else:
            for _ in self._threads.map(run, passes):
                pass
        return vectors


def _passes(lengths: Sequence[int]) -> list[list[int]]:
    """Rows that are encoded together: short texts of equal length, every longer text alone; the longest first.

    A pass of one text adds up its tokens in another order than a pass of several. So a short text that has no company
    is its own, or its last bits would tell whether it had any.
    """
    alike: dict[int, list[int]] = defaultdict(list)
    for row, length in enumerate(lengths):
        alike[length].append(row)
    passes: list[list[int]] = []
    for length, rows in sorted(alike.items(), reverse=True):
        size = _BATCH if length <= _SHORT else 1
        passes.extend(rows[first : first + size] for first in range(0, len(rows), size))
        if size > 1 and len(passes[-1]) == 1:
            passes[-1] *= 2
    return passes


def build(settings: Settings) -> MiniLM:
    """Raises ConfigError `encoder_not_set_up` when the model is not there, IntegrityError when it has changed."""
    check_set_up(settings.folder)
    return MiniLM(settings.folder, settings.threads)
