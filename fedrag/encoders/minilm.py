"""all-MiniLM-L6-v2 on ONNX Runtime: 384 dimensions, fp32, English, no torch.

Mean of the token vectors, scaled to length 1; no prefixes; 256 tokens with [CLS] and [SEP]. `fedrag setup` puts the
model in place (`minilm_setup`). Model: sentence-transformers/all-MiniLM-L6-v2, Apache-2.0.
"""

from collections.abc import Iterator, Sequence
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
_PAD: Final = 0
_MAXIMUM_TOKENS: Final = 256
_BATCH: Final = 32
_WARNINGS_OFF: Final = 3


class Settings(Config):
    """`folder`: where `fedrag setup` put the model; `threads`: processor threads of one call."""

    folder: Path = Field(default_factory=lambda: home() / "minilm")
    threads: Annotated[int, Field(ge=1, le=256)] = 1


class MiniLM:
    """Safe to share between threads: neither the session nor the tokeniser keeps state between calls."""

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
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _WARNINGS_OFF
        self._session = onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return self._encode(texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        return self._encode(texts)

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def _encode(self, texts: Sequence[str]) -> FloatMatrix:
        """Texts of like length share a batch, so that little of it is padding; row i stays the vector of texts[i]."""
        sequences = [self._token_ids(text) for text in texts]
        vectors = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for rows in _batches_of_like_length([len(sequence) for sequence in sequences]):
            vectors[rows] = self._run([sequences[row] for row in rows])
        return vectors

    def _token_ids(self, text: str) -> list[int]:
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [_CLS, *ids[: _MAXIMUM_TOKENS - 2], _SEP]

    def _run(self, batch: Sequence[Sequence[int]]) -> FloatMatrix:
        ids = np.full((len(batch), max(map(len, batch))), _PAD, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(batch):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        output: list[Any] = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
        vectors: FloatMatrix = output[0]
        return vectors


def _batches_of_like_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    for start in range(0, len(order), _BATCH):
        yield order[start : start + _BATCH]


def build(settings: Settings) -> MiniLM:
    """Raises ConfigError `encoder_not_set_up` when the model is not there, IntegrityError when it has changed."""
    check_set_up(settings.folder)
    return MiniLM(settings.folder, settings.threads)
