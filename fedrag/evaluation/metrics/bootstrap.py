"""Paired bootstrap (Efron and Tibshirani 1993): how far a difference could be luck of the questions.

Questions are drawn, not systems: both systems answer the same drawn questions. Several differences are corrected with
Holm (1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

DRAWS: Final = 2000
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of a − b, its 95 % percentile interval, and the two-sided probability of such a difference where none is."""

    mean: float
    low: float
    high: float
    p: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired_difference(a: Sequence[float], b: Sequence[float], seed: int, draws: int = DRAWS) -> Difference:
    """`a[i]` and `b[i]` belong to the same question. All zero, with p = 1, for no question."""
    differences = np.array(a, dtype=np.float64) - np.array(b, dtype=np.float64)
    if not differences.size:
        return Difference(0.0, 0.0, 0.0, 1.0)
    random = np.random.default_rng(seed)
    size = differences.size
    means = np.concatenate(
        [
            differences[random.integers(0, size, (min(_AT_ONCE, draws - made), size))].mean(axis=1)
            for made in range(0, draws, _AT_ONCE)
        ]
    )
    low, high = np.percentile(means, [2.5, 97.5])
    tail = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    return Difference(float(differences.mean()), float(low), float(high), min(1.0, 2 * (tail + 1) / (draws + 1)))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values as they stand after testing all of them together, in the order given."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return tuple(adjusted)
