"""Answer sets that hold the right option with a stated error rate: split conformal prediction.

Vovk, Gammerman and Shafer (2005); the score 1 - P(right option) is that of Sadinle, Lei and Wasserman (2019). Where
questions are exchangeable with those it was calibrated on, the set misses the right option with probability at most
`error` on average over them: not for each question, nor for questions of another kind.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field

from fedrag.core.answer import AnswerSet
from fedrag.core.config import Config


def threshold(right: Sequence[float], error: float) -> float:
    """The probability from which an option belongs to the set: of calibration questions, `right` is what was given to
    the option that proved right. With too few of them to promise anything 0: every option belongs."""
    position = math.ceil((len(right) + 1) * (1 - error))
    if position > len(right):
        return 0.0
    return sorted(right, reverse=True)[position - 1]


def answer_set(probabilities: Mapping[str, float], at_least: float) -> tuple[str, ...]:
    """Options of probability `at_least`, likeliest first; the likeliest always, as an empty set helps nobody."""
    ranked = sorted(probabilities, key=lambda option: (-probabilities[option], option))
    return tuple(option for at, option in enumerate(ranked) if at == 0 or probabilities[option] >= at_least)


class SetRule(Config):
    """Which options are told: those of probability `at_least`, calibrated on `judged` questions to miss the right one
    in at most a share `error`."""

    error: Annotated[float, Field(gt=0, lt=1)]
    at_least: Annotated[float, Field(ge=0, le=1)]
    judged: Annotated[int, Field(ge=0)]

    @classmethod
    def calibrated(cls, right: Sequence[float], error: float) -> Self:
        """`right`: what was given to the right option of each question, by a vote that had not seen it."""
        return cls(error=error, at_least=threshold(right, error), judged=len(right))

    def told(self, probabilities: Mapping[str, float]) -> AnswerSet:
        return AnswerSet(choices=answer_set(probabilities, self.at_least), error=self.error, judged=self.judged)
