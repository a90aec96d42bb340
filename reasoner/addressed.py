"""Whether a sentence addresses the one who reads it instead of telling anything: two linear models, fitted once.

    w = largest Σ weight of the words and pairs of a stretch of it
    z = b + Σ u of its words and pairs + v · vector of its ends       where w > gate, by the encoder it was fitted with

Words that no order used in training weigh nothing, and w does not see what stands around an order: a long statement
does not hide it. The gate lets three honest sentences in ten through and spares the encoder the others. Weights:
`reasoner.training.fit_addressed`.
"""

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import cache
from importlib.resources import files
from itertools import chain, pairwise
from typing import Annotated, Final

import numpy as np
from pydantic import Field, ValidationError

from fedrag.core.config import Config
from fedrag.core.errors import IntegrityError
from fedrag.core.plugins import describe
from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix

FILE: Final = "addressed.json"
_TOKEN: Final = re.compile(
    r"\b(?:option|choice|answer|letter) [\"'“‘(]?[a-e]\b(?![+-])|[^\W\d_]+(?:['’][a-z]+)?|\d+|[^\w\s]"
)
FIRST: Final = 10
LAST: Final = 6
BETWEEN: Final = 4
LETTER: Final = "(a letter)"
MOST: Final = 64
"""Sentences that are encoded, whatever hospitals send: about half a second on one processor core."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Doubt(IntEnum):
    """How a sentence is to be taken: as part of the document, as perhaps an order, as an order."""

    NONE = 0
    DOUBTFUL = 1
    CERTAIN = 2


class Bounds(Config):
    """Logits above which a sentence is what `Doubt` says."""

    doubtful: Finite
    certain: Finite

    def doubt(self, logit: float) -> Doubt:
        return Doubt(int(logit > self.doubtful) + int(logit > self.certain))


class Model(Config):
    """`words`: of each word and pair its weight in w and u. `bounds` apply where z is known, `bounds_of_words` to w
    alone. `encoder`: whose vectors v is for, as encoders name what they are comparable with."""

    words: dict[str, tuple[Finite, Finite]]
    gate: Finite
    bounds_of_words: Bounds
    vector: tuple[Finite, ...]
    intercept: Finite
    bounds: Bounds
    encoder: str
    fitted: dict[str, object] = Field(default_factory=dict)

    def stretch(self, sentence: str) -> float:
        """w."""
        return stretch(sum(self._weights(gram)[0] for gram in pair) for pair in grams(sentence))

    def logits(self, sentences: Sequence[str], vectors: FloatMatrix) -> list[float]:
        """z of each; `vectors` are those of their ends."""
        said = [sum(self._weights(gram)[1] for gram in set(chain(*grams(one)))) for one in sentences]
        made: list[float] = (self.intercept + np.array(said) + vectors @ np.array(self.vector)).tolist()
        return made

    def _weights(self, gram: str) -> tuple[float, float]:
        return self.words.get(gram, (0.0, 0.0))


def stretch(weights: Iterable[float]) -> float:
    """The largest sum of neighbours, 0 at least."""
    best = here = 0.0
    for weight in weights:
        here = max(0.0, here + weight)
        best = max(best, here)
    return best


def grams(sentence: str) -> tuple[tuple[str, str], ...]:
    """Its words and marks in lower case, each alone and behind the one before; all numbers alike, and all letters of
    options."""
    tokens = [_plain(token) for token in _TOKEN.findall(sentence.lower().replace("_", " "))]
    return tuple((second, f"{first} {second}") for first, second in pairwise(("^", *tokens)))


def ends(sentence: str) -> str:
    """Its first and last words, where it is long."""
    words = sentence.split()
    if len(words) <= FIRST + LAST + BETWEEN:
        return sentence
    return f"{' '.join(words[:FIRST])} … {' '.join(words[-LAST:])}"


def _plain(token: str) -> str:
    if token.isdigit():
        return "0"
    return LETTER if " " in token else token


@cache
def load() -> Model:
    """The model shipped with the package. Raises IntegrityError when the file is not what it should be."""
    try:
        return Model.model_validate_json(files("reasoner").joinpath(FILE).read_text(encoding="utf-8"))
    except ValidationError as error:
        raise IntegrityError(f"{FILE}: {describe(error)}") from None


def doubts(sentences: Sequence[str], encoder: Encoder | None) -> tuple[Doubt, ...]:
    """One for each. At most one call of the encoder, for the MOST that pass the gate most clearly; of further ones, and
    without the encoder that the weights were fitted with, the words decide alone."""
    model = load()
    said = [model.stretch(one) for one in sentences]
    made = [model.bounds_of_words.doubt(one) for one in said]
    if encoder is None or encoder.identity.comparable_with != model.encoder:
        return tuple(made)
    passed = sorted((at for at, one in enumerate(said) if one > model.gate), key=lambda at: -said[at])[:MOST]
    if passed:
        some = [sentences[at] for at in passed]
        logits = model.logits(some, encoder.encode_passages([ends(one) for one in some]))
        for at, logit in zip(passed, logits, strict=True):
            made[at] = model.bounds.doubt(logit)
    return tuple(made)
