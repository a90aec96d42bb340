"""What sources' answers have been worth, learned of a federation's own judged questions: `fedrag calibrate`.

vote     conditional logistic regression over who chose what (`fit_votes`)
stated   by source, P(right | the uncertainty it stated)         (`fit_stated`)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np

from reasoner.source_answer import SourceAnswer
from reasoner.training.fit_stated import fit_stated
from reasoner.training.fit_votes import DEVIATION, Judged
from reasoner.training.maximum_posterior import Decision, fit
from reasoner.weighted_vote import SourceAnswers, VoteModel, feature_names, features

FOLDS: Final = 5
SMALLEST: Final = 20
"""Judged questions below which nothing is learned."""
NOBODY: Final = "(another)"
"""An option that no source chose."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer of which only is known whether it was right: what feedback tells."""

    answers: SourceAnswers
    chosen: str
    right: bool

    @property
    def rival(self) -> str:
        """What most of the others chose; an option that nobody chose where they chose nothing else."""
        others = [one.choice for one in self.answers.values() if one.choice not in (None, self.chosen)]
        return max(others, key=lambda choice: (others.count(choice), choice or ""), default=None) or NOBODY

    def decision(self, sources: Sequence[str]) -> Decision:
        """Right against its rival: of a wrong answer nobody says what would have been right."""
        return Decision(features(sources, self.answers, (self.chosen, self.rival)), 0 if self.right else 1)


Case = Judged | Verdict


@dataclass(frozen=True, slots=True)
class Worth:
    """What the vote was right of in questions it was not fitted on (five folds), and the best single source there; of
    verdicts alone, where what would have been right is not known, None."""

    judged: int
    accuracy: float | None
    best: str
    best_accuracy: float | None


def calibrate(cases: Sequence[Case]) -> VoteModel:
    sources = tuple(sorted({source for one in cases for source in one.answers}))
    decisions = [made for one in cases if (made := _decision(one, sources)) is not None]
    width = len(feature_names(sources))
    theta = fit(decisions, np.zeros(width), np.full(width, DEVIATION))
    told = {source: _told(source, cases) for source in sources}
    return VoteModel(
        sources=sources,
        coefficients=tuple(map(float, theta)),
        judged=len(decisions),
        stated={source: fit_stated(*zip(*of, strict=True)) for source, of in told.items() if len(of) >= SMALLEST},
    )


def worth(cases: Sequence[Case]) -> Worth:
    """The n-th case is of fold n mod 5."""
    known = [one for one in cases if isinstance(one, Judged) and one.right in one.options]
    sources = sorted({source for one in known for source in one.answers})
    if len(known) < FOLDS * 2 or not sources:
        return Worth(len(cases), None, "", None)
    right = []
    for fold in range(FOLDS):
        model = calibrate([one for at, one in enumerate(known) if at % FOLDS != fold])
        for one in known[fold::FOLDS]:
            of = model.probabilities(one.answers, one.options)
            right.append(max(of, key=lambda option: (of[option], option)) == one.right)
    alone = {source: fmean(one.answers.get(source, _SILENT).choice == one.right for one in known) for source in sources}
    best = max(sources, key=lambda source: alone[source])
    return Worth(len(cases), fmean(right), best, alone[best])


_SILENT: Final = SourceAnswer(None)


def _decision(one: Case, sources: Sequence[str]) -> Decision | None:
    if isinstance(one, Verdict):
        return one.decision(sources)
    named = sorted(one.options)
    return Decision(features(sources, one.answers, named), named.index(one.right)) if one.right in named else None


def _told(source: str, cases: Sequence[Case]) -> list[tuple[float, bool]]:
    """What it stated, and whether its choice was right, of every case that tells."""
    told = []
    for one in cases:
        said = one.answers.get(source, _SILENT)
        if said.choice is None or said.uncertainty is None:
            continue
        if isinstance(one, Judged):
            told.append((said.uncertainty, said.choice == one.right))
        elif said.choice == one.chosen:
            told.append((said.uncertainty, one.right))
        elif one.right:
            told.append((said.uncertainty, False))
    return told
