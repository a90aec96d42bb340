"""What sources' answers have been worth, learned of a federation's own judged questions: `fedrag calibrate`.

vote     conditional logistic regression over who chose what (`fit_votes`)
stated   by source, P(right | the uncertainty it stated)         (`fit_stated`)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from reasoner.drift import NOBODY
from reasoner.source_answer import SourceAnswer
from reasoner.training.fit_stated import fit_stated
from reasoner.training.fit_votes import Judged, fit_votes, whole
from reasoner.training.maximum_posterior import Decision
from reasoner.vote_model import VoteModel, features
from reasoner.weighted_vote import SourceAnswers

FOLDS: Final = 5
SMALLEST: Final = 20
"""Judged questions below which nothing is learned."""


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
    verdicts alone, where what would have been right is not known, None. `given`: what it gave to the right option of
    each of these questions, 0 where the right one was no option."""

    judged: int
    accuracy: float | None
    best: str
    best_accuracy: float | None
    given: tuple[float, ...] = ()


def calibrate(cases: Sequence[Case]) -> VoteModel:
    """Complete."""
    model = whole(_vote(cases), cases)
    told = {source: _told(source, cases) for source in model.sources}
    stated = {source: fit_stated(*zip(*of, strict=True)) for source, of in told.items() if len(of) >= SMALLEST}
    return model.model_copy(update={"stated": stated})


def _vote(cases: Sequence[Case]) -> VoteModel:
    return fit_votes(sorted({source for one in cases for source in one.answers}), cases)


def worth(cases: Sequence[Case]) -> Worth:
    """The n-th case is of fold n mod 5."""
    known = [one for one in cases if isinstance(one, Judged) and one.right in one.options]
    sources = sorted({source for one in known for source in one.answers})
    if len(known) < FOLDS * 2 or not sources:
        return Worth(len(cases), None, "", None)
    right: list[bool] = []
    given = [0.0] * sum(isinstance(one, Judged) and one.right not in one.options for one in cases)
    for fold in range(FOLDS):
        model = _vote([one for at, one in enumerate(known) if at % FOLDS != fold])
        for one in known[fold::FOLDS]:
            of = model.probabilities(one.answers, one.options)
            right.append(max(of, key=lambda option: (of[option], option)) == one.right)
            given.append(of[one.right])
    alone = {source: fmean(one.answers.get(source, _SILENT).choice == one.right for one in known) for source in sources}
    best = max(sources, key=lambda source: alone[source])
    return Worth(len(cases), fmean(right), best, alone[best], tuple(given))


_SILENT: Final = SourceAnswer(None)


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
