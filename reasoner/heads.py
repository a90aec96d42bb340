"""Small trained heads: logistic and linear functions of a few named features, kept in `heads.json`.

The file says what they were fitted on; `python -m reasoner.training.fit_heads` writes it.
"""

import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

from pydantic import Field, ValidationError, model_validator

from fedrag.core.config import Config
from fedrag.core.errors import IntegrityError
from fedrag.core.plugins import describe

FILE: Final = "heads.json"
_LARGEST_LOGIT: Final = 30.0

Coefficient = Annotated[float, Field(allow_inf_nan=False)]


class Head(Config):
    """A weighted sum of named features; as a logit, the probability 1 / (1 + exp(-sum))."""

    features: tuple[str, ...]
    coefficients: tuple[Coefficient, ...]
    intercept: Coefficient = 0.0

    @model_validator(mode="after")
    def _paired(self) -> "Head":
        if len(self.features) != len(self.coefficients):
            raise ValueError("as many coefficients as features")
        return self

    def logit(self, values: Sequence[float]) -> float:
        pairs = zip(self.coefficients, values, strict=True)
        return self.intercept + math.fsum(coefficient * value for coefficient, value in pairs)

    def probability(self, values: Sequence[float]) -> float:
        return sigmoid(self.logit(values))


class Confidences(Config):
    """P(the answer is right), one head per kind of answer."""

    choice: Head
    verdict: Head
    text: Head
    model: Head


class Heads(Config):
    """`fitted` says on what, by which rule, and how well each does under cross-validation."""

    fitted: dict[str, object]
    support: Head
    option: Head
    leaning: Head
    undecided: Head
    answerable: Head
    answerable_threshold: Annotated[float, Field(ge=0, le=1)]
    confidence: Confidences


@cache
def load() -> Heads:
    """The heads shipped with the package. Raises IntegrityError when the file is not what it should be."""
    try:
        return Heads.model_validate_json(files("reasoner").joinpath(FILE).read_text(encoding="utf-8"))
    except ValidationError as error:
        raise IntegrityError(f"{FILE}: {describe(error)}") from None


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), strictly inside (0, 1)."""
    bounded = min(max(logit, -_LARGEST_LOGIT), _LARGEST_LOGIT)
    return 1 / (1 + math.exp(-bounded))


def logit(probability: float, *, margin: float = 1e-3) -> float:
    """ln(p / (1 - p)), with p kept `margin` away from 0 and 1."""
    bounded = min(max(probability, margin), 1 - margin)
    return math.log(bounded / (1 - bounded))


def softmax(values: Sequence[float]) -> tuple[float, ...]:
    largest = max(values)
    exponentials = [math.exp(value - largest) for value in values]
    total = math.fsum(exponentials)
    return tuple(one / total for one in exponentials)
