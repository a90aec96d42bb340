"""Fits the calibrated vote on judged questions: conditional logistic regression with a Gaussian prior about zero."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from reasoner.training.maximum_posterior import Decision, fit
from reasoner.weighted_vote import SourceAnswers, VoteModel, feature_names, features

DEVIATION: Final = 1.0
"""Of the prior of a coefficient: a logit of 1 for one source's word, before anything was judged."""


@dataclass(frozen=True, slots=True)
class Judged:
    """`right` is the option that proved right."""

    answers: SourceAnswers
    options: Collection[str]
    right: str


def fit_votes(sources: Sequence[str], cases: Sequence[Judged]) -> VoteModel:
    """Cases whose right option is not among their options teach nothing and are left out."""
    decisions = [
        Decision(
            features(sources, one.answers, sorted(one.options)),
            sorted(one.options).index(one.right),
        )
        for one in cases
        if one.right in one.options
    ]
    width = len(feature_names(sources))
    theta = fit(decisions, np.zeros(width), np.full(width, DEVIATION))
    return VoteModel(sources=tuple(sources), coefficients=tuple(map(float, theta)), judged=len(decisions))
