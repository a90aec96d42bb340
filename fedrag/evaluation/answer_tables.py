"""Tables and pictures of answers: how many are right, and whether confidence says which."""

from collections.abc import Mapping, Sequence
from typing import Final

from fedrag.evaluation.metrics.aurc import aurc, coverage_at, risk_coverage, selective_accuracy
from fedrag.evaluation.metrics.auroc import auroc
from fedrag.evaluation.metrics.brier import brier
from fedrag.evaluation.metrics.ece import ece, reliability
from fedrag.evaluation.metrics.outcomes import Outcome
from fedrag.evaluation.metrics.strict_accuracy import coverage, strict_accuracy
from fedrag.evaluation.pictures import curves
from fedrag.evaluation.report import Picture, Table

CONFIDENCE_NOTE: Final = """Every question counts: one that was not answered is wrong, with the confidence it was \
given. ECE has ten equal bins; selective accuracy is that of the most confident quarter and half."""


def confidence_table(outcomes: Mapping[str, Sequence[Outcome]]) -> Table:
    return Table(
        "Confidence",
        (
            "system",
            "right",
            "coverage",
            "ECE",
            "Brier",
            "AUROC",
            "AURC",
            "right in the surest 25 %",
            "in 50 %",
            "coverage at 95 % right",
        ),
        tuple(
            (
                name,
                strict_accuracy(made),
                coverage(made),
                ece(made),
                brier(made),
                auroc(made),
                aurc(made),
                selective_accuracy(made, 0.25),
                selective_accuracy(made, 0.5),
                coverage_at(made, 0.95),
            )
            for name, made in outcomes.items()
        ),
        note=CONFIDENCE_NOTE,
    )


def confidence_pictures(outcomes: Mapping[str, Sequence[Outcome]]) -> tuple[Picture, ...]:
    return (
        curves(
            "Reliability",
            "confidence",
            "share right",
            {name: [(one.confidence, one.accuracy) for one in reliability(made)] for name, made in outcomes.items()},
            x=(0.0, 1.0),
            y=(0.0, 1.0),
            diagonal=True,
            note="On the dashed line confidence is what it says; below it, overconfident.",
        ),
        curves(
            "Risk and coverage",
            "coverage",
            "share wrong",
            {name: risk_coverage(made) for name, made in outcomes.items()},
            x=(0.0, 1.0),
            note="Wrong among the questions that are left when the least confident are withheld.",
        ),
    )
