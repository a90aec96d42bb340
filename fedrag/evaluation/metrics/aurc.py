"""Risk and coverage: how wrong are the answers that are left when the least confident are withheld?

Geifman and El-Yaniv (2017). Of equally confident answers any may be withheld first, so inside such a group the risk is
the expected one.
"""

from collections.abc import Sequence
from itertools import groupby

from fedrag.evaluation.metrics.outcomes import Outcome


def risk_coverage(outcomes: Sequence[Outcome]) -> tuple[tuple[float, float], ...]:
    """(coverage i/n, selective risk) for i = 1 … n, most confident first."""
    n = len(outcomes)
    points: list[tuple[float, float]] = []
    before, wrong_before = 0, 0.0
    ordered = sorted(outcomes, key=lambda one: -one.confidence)
    for _, tied in groupby(ordered, key=lambda one: one.confidence):
        group = list(tied)
        wrong = sum(not one.correct for one in group)
        points += [
            ((before + more) / n, (wrong_before + more * wrong / len(group)) / (before + more))
            for more in range(1, len(group) + 1)
        ]
        before, wrong_before = before + len(group), wrong_before + wrong
    return tuple(points)


def aurc(outcomes: Sequence[Outcome]) -> float:
    """Mean selective risk over all coverages, in [0, 1], lower is better; 1 for no question."""
    points = risk_coverage(outcomes)
    return sum(risk for _, risk in points) / len(points) if points else 1.0


def selective_accuracy(outcomes: Sequence[Outcome], share: float) -> float:
    """Accuracy of the `share` of questions with the highest confidence (at least one); 0 for no question."""
    points = risk_coverage(outcomes)
    return 1 - points[max(1, round(share * len(points))) - 1][1] if points else 0.0


def coverage_at(outcomes: Sequence[Outcome], accuracy: float) -> float:
    """The largest coverage at which selective accuracy is at least this; 0 where there is none."""
    return max((covered for covered, risk in risk_coverage(outcomes) if 1 - risk >= accuracy - 1e-12), default=0.0)
