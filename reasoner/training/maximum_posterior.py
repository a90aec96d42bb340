"""Conditional logistic regression with a Gaussian prior: many features' worth of caution on few examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_STEPS: Final = 100
_CLOSE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision: a row of features per alternative, (alternatives, features), and the right one's row."""

    rows: Array
    right: int


def yes_or_no(features: Sequence[float], label: bool) -> Decision:
    """A binary decision: the features and an intercept against nothing."""
    row = np.array([*features, 1.0])
    return Decision(np.stack([row, np.zeros_like(row)]), 0 if label else 1)


def fit(examples: Sequence[Decision], mean: Array, deviation: Array) -> Array:
    """θ that minimises Σ -log softmax(rows @ θ)[right] + ½ Σ ((θ - mean) / deviation)², by Newton with step halving.

    Strictly convex, so the result depends on the examples alone, not on their order.
    """
    precision = 1 / np.square(deviation)

    def loss(theta: Array) -> float:
        total = float(np.sum(precision * np.square(theta - mean))) / 2
        for one in examples:
            logits = one.rows @ theta
            total += float(np.logaddexp.reduce(logits) - logits[one.right])
        return total

    theta = mean.astype(np.float64)
    for _ in range(_STEPS):
        gradient, curvature = precision * (theta - mean), np.diag(precision)
        for one in examples:
            logits = one.rows @ theta
            probabilities = np.exp(logits - np.logaddexp.reduce(logits))
            expected = probabilities @ one.rows
            gradient = gradient + expected - one.rows[one.right]
            curvature = curvature + (one.rows.T * probabilities) @ one.rows - np.outer(expected, expected)
        step = np.linalg.solve(curvature, gradient)
        length = 1.0
        while loss(theta - length * step) > loss(theta) and length > _CLOSE:
            length /= 2
        theta = theta - length * step
        if float(np.abs(step).max()) < _CLOSE:
            break
    return theta
