"""Signed feature hashing of words and character n-grams: no model, no download. For tests and large simulations.

Each feature adds +1 or -1 to one component, both chosen by a hash of its text; counts are damped by a square root and
the vector is scaled to length 1. Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning".
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from fedrag.core.collection import EncoderIdentity
from fedrag.core.config import Config
from fedrag.core.wire import FloatMatrix, FloatVector

_WORD: Final = re.compile(r"\w+")
_GRAM: Final = 4
_GRAM_WEIGHT: Final = 0.3
"""Of a character n-gram; a whole word weighs 1."""


class Settings(Config):
    """`dimension`: components of a vector; `maximum_tokens`: words of a text that count."""

    dimension: Annotated[int, Field(ge=2, le=4096)] = 256
    maximum_tokens: Annotated[int, Field(ge=8, le=100_000)] = 256


class Hashing:
    def __init__(self, dimension: int, maximum_tokens: int) -> None:
        self._maximum_tokens = maximum_tokens
        self.identity: Final = EncoderIdentity(
            name="hashing",
            weights_sha256=hashlib.sha256(f"{__name__} {_GRAM} {_GRAM_WEIGHT}".encode()).hexdigest(),
            precision="fp32",
            dimension=dimension,
            maximum_tokens=maximum_tokens,
            languages=("*",),
        )

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return self.encode_passages(texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        vectors = np.zeros((len(texts), self.identity.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._vector(text)
        return vectors

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        return tuple(match.span() for match in _WORD.finditer(text))

    def _vector(self, text: str) -> FloatVector:
        words = [match.group().lower() for match in _WORD.finditer(text)][: self._maximum_tokens]
        vector = np.zeros(self.identity.dimension, dtype=np.float32)
        for (feature, weight), count in Counter(_features(words)).items():
            number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "little")
            sign = 1 if number & 1 else -1
            vector[(number >> 1) % self.identity.dimension] += sign * weight * count**0.5
        norm = float(np.linalg.norm(vector))
        if norm == 0:  # no words, or features that cancel: a fixed direction, so that every row has length 1
            vector[0] = norm = 1.0
        return vector / np.float32(norm)


def _features(words: Sequence[str]) -> Iterator[tuple[str, float]]:
    for word in words:
        yield word, 1.0
        padded = f"<{word}>"
        for start in range(len(padded) - _GRAM + 1):
            yield padded[start : start + _GRAM], _GRAM_WEIGHT


def build(settings: Settings) -> Hashing:
    return Hashing(settings.dimension, settings.maximum_tokens)
