"""Brier score (Brier 1950): mean squared difference of confidence and outcome."""

from collections.abc import Sequence

from fedrag.evaluation.metrics.outcomes import Outcome


def brier(outcomes: Sequence[Outcome]) -> float:
    """In [0, 1], lower is better; 0.25 for a constant 0.5. Every question counts; 0 for none."""
    return sum((one.confidence - one.correct) ** 2 for one in outcomes) / len(outcomes) if outcomes else 0.0
