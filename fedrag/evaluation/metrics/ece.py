"""Expected calibration error (Naeini et al. 2015; Guo et al. 2017), equal-width bins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fedrag.evaluation.metrics.outcomes import Outcome

BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions with like confidence: their mean confidence, and the share that was right."""

    size: int
    confidence: float
    accuracy: float


def reliability(outcomes: Sequence[Outcome], bins: int = BINS) -> tuple[Bin, ...]:
    """The bins that hold a question, in order. A bin is [i/bins, (i+1)/bins), the last one closed."""
    held: dict[int, list[Outcome]] = {}
    for one in outcomes:
        held.setdefault(min(int(one.confidence * bins), bins - 1), []).append(one)
    return tuple(
        Bin(len(some), sum(one.confidence for one in some) / len(some), sum(one.correct for one in some) / len(some))
        for _, some in sorted(held.items())
    )


def ece(outcomes: Sequence[Outcome], bins: int = BINS) -> float:
    """Σ (size / n) · |accuracy − confidence| over the bins, in [0, 1], lower is better; every question counts."""
    made = reliability(outcomes, bins)
    total = sum(one.size for one in made)
    return sum(one.size / total * abs(one.accuracy - one.confidence) for one in made) if total else 0.0
