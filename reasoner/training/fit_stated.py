"""Fits what a source's own uncertainty has meant, on judged answers."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from reasoner.stated_uncertainty import STEPS_FROM, StatedUncertainty, falling_steps
from reasoner.training.maximum_posterior import fit, yes_or_no

DEVIATION: Final = 1.5
"""Of the prior of intercept and slope."""


def fit_stated(stated: Sequence[float], right: Sequence[bool]) -> StatedUncertainty:
    """A curve that would rise is flat: who is right more often the less sure it is, is not believed on that."""
    judged = len(stated)
    if judged >= STEPS_FROM:
        return StatedUncertainty(judged=judged, steps=falling_steps(stated, right))
    cases = [yes_or_no([uncertainty], good) for uncertainty, good in zip(stated, right, strict=True)]
    slope, intercept = map(float, fit(cases, np.zeros(2), np.full(2, DEVIATION)))
    if slope > 0:
        flat = [yes_or_no([], good) for good in right]
        (intercept,) = map(float, fit(flat, np.zeros(1), np.full(1, DEVIATION)))
        slope = 0.0
    return StatedUncertainty(judged=judged, intercept=intercept, slope=slope)
