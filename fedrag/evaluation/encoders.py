"""Encoders for measuring with: one whose vectors are made once, and one cut short."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedrag.core.collection import EncoderIdentity
from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix
from fedrag.evaluation.vectors import CachedVectors


@dataclass(frozen=True, slots=True)
class Cached:
    """An encoder whose vectors are made once."""

    encoder: Encoder
    vectors: CachedVectors

    @property
    def identity(self) -> EncoderIdentity:
        return self.encoder.identity

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return self.vectors.queries(texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        return self.vectors.passages(texts)

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        return self.encoder.token_spans(text)


@dataclass(frozen=True, slots=True)
class Shortened:
    """An encoder of which only the first `dimension` components are kept, scaled to length 1 again."""

    encoder: Encoder
    dimension: int

    @property
    def identity(self) -> EncoderIdentity:
        return self.encoder.identity.model_copy(update={"dimension": self.dimension})

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return self._shortened(self.encoder.encode_queries(texts))

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        return self._shortened(self.encoder.encode_passages(texts))

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        return self.encoder.token_spans(text)

    def _shortened(self, vectors: FloatMatrix) -> FloatMatrix:
        kept = vectors[:, : self.dimension].copy()
        kept[~kept.any(axis=1), 0] = 1.0  # nothing is left: a fixed direction, so that every row has length 1
        kept /= np.linalg.norm(kept, axis=1, keepdims=True)
        return kept
