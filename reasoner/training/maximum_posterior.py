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
    theta = mean.astype(np.float64)
    if not examples:
        return theta
    rows = np.concatenate([one.rows for one in examples])
    sizes = np.array([len(one.rows) for one in examples])
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    owner = np.repeat(np.arange(len(examples)), sizes)
    right = starts + np.array([one.right for one in examples])

    def loss(at: Array) -> float:
        logits = rows @ at
        prior = float(np.sum(precision * np.square(at - mean))) / 2
        return prior + float(np.sum(np.logaddexp.reduceat(logits, starts) - logits[right]))

    for _ in range(_STEPS):
        logits = rows @ theta
        probabilities = np.exp(logits - np.logaddexp.reduceat(logits, starts)[owner])
        weighted = rows * probabilities[:, None]
        expected = np.add.reduceat(weighted, starts, axis=0)
        gradient = precision * (theta - mean) + expected.sum(axis=0) - rows[right].sum(axis=0)
        curvature = np.diag(precision) + rows.T @ weighted - expected.T @ expected
        step = np.linalg.solve(curvature, gradient)
        length, before = 1.0, loss(theta)
        while loss(theta - length * step) > before and length > _CLOSE:
            length /= 2
        theta = theta - length * step
        if float(np.abs(step).max()) < _CLOSE:
            break
    return theta
