"""Strict accuracy and coverage: what was not answered, not readable or too late is wrong."""

from collections.abc import Sequence

from fedrag.evaluation.metrics.outcomes import Outcome


def strict_accuracy(outcomes: Sequence[Outcome]) -> float:
    """Right answers over all questions; 0 for none."""
    return sum(one.correct for one in outcomes) / len(outcomes) if outcomes else 0.0


def coverage(outcomes: Sequence[Outcome]) -> float:
    """Answered questions over all questions; 0 for none."""
    return sum(one.answered for one in outcomes) / len(outcomes) if outcomes else 0.0
