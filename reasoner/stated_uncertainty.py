"""What a source's own uncertainty has meant: P(its answer is right | what it states), learned of judged questions.

Every model is unsure on a scale of its own; before weights are made of what several state, each is put on the one scale
that counts. With few judged questions a logistic curve that can only fall; with many the monotone steps that fit best
(isotonic regression, pooled adjacent violators).
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from fedrag.core.config import Config
from reasoner.heads import sigmoid

STEPS_FROM: Final = 200
"""Judged answers from which on steps are fitted."""
Real = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class StatedUncertainty(Config):
    """`steps`: (from this uncertainty on, probability), falling; none: sigmoid(intercept + slope · uncertainty)."""

    judged: Annotated[int, Field(ge=0)]
    intercept: Real = 0.0
    slope: Annotated[float, Field(le=0, allow_inf_nan=False)] = 0.0
    steps: tuple[tuple[Real, Share], ...] = ()

    @model_validator(mode="after")
    def _falling(self) -> Self:
        pairs = list(zip(self.steps, self.steps[1:], strict=False))
        if any(first[0] >= second[0] or first[1] < second[1] for first, second in pairs):
            raise ValueError("steps go up in uncertainty and down in probability")
        return self

    @property
    def method(self) -> str:
        return "isotonic" if self.steps else "logistic"

    def probability(self, uncertainty: float) -> float:
        """Below the first step it is the first step's."""
        if not self.steps:
            return sigmoid(self.intercept + self.slope * uncertainty)
        at = bisect_right([start for start, _ in self.steps], uncertainty) - 1
        return self.steps[max(at, 0)][1]


def falling_steps(stated: Sequence[float], right: Sequence[bool]) -> tuple[tuple[float, float], ...]:
    """The non-increasing step function of least squares; each step counts one right and one wrong answer more, so that
    none is certain."""
    groups: dict[float, list[int]] = {}
    for uncertainty, correct in zip(stated, right, strict=True):
        counts = groups.setdefault(uncertainty, [0, 0])
        counts[0] += correct
        counts[1] += 1
    pooled: list[tuple[float, int, int]] = []
    for uncertainty, (hits, answers) in sorted(groups.items()):
        start, good, total = uncertainty, hits, answers
        while pooled and pooled[-1][1] * total <= good * pooled[-1][2]:
            start, before, of = pooled.pop()
            good, total = good + before, total + of
        pooled.append((start, good, total))
    steps: list[tuple[float, float]] = []
    for start, good, total in pooled:
        value = (good + 1) / (total + 2)
        steps.append((start, min(value, steps[-1][1]) if steps else value))
    return tuple(steps)
