"""Fits the calibrated vote on judged questions: conditional logistic regression with a Gaussian prior about zero."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, Protocol

import numpy as np

from reasoner.drift import LEADS, leading
from reasoner.training.maximum_posterior import Decision, fit
from reasoner.vote_model import PAIRED, VoteModel, feature_names, features
from reasoner.weighted_vote import SourceAnswers

DEVIATION: Final = 1.0
"""Of the prior of a coefficient: a logit of 1 for one source's word, before anything was judged."""
LEFT_OUT: Final = 2
"""Sources without which a vote is fitted, at most; one where there are more than PAIRED."""


class Case(Protocol):
    """A question of which something is known."""

    @property
    def answers(self) -> SourceAnswers: ...

    def decision(self, sources: Sequence[str]) -> Decision | None:
        """None where it teaches nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """`right` is the option that proved right; of a question where it is no option nothing is learned."""

    answers: SourceAnswers
    options: Collection[str]
    right: str

    def decision(self, sources: Sequence[str]) -> Decision | None:
        named = sorted(self.options)
        rows = features(sources, self.answers, named)
        return Decision(rows, named.index(self.right)) if self.right in named else None


def fit_votes(sources: Sequence[str], cases: Sequence[Case]) -> VoteModel:
    """Of all that answered; whoever is to answer when one of them cannot be heard needs `whole`."""
    return _fitted(tuple(sources), _decisions(sources, cases), cases)


def whole(model: VoteModel, cases: Sequence[Case]) -> VoteModel:
    """With a vote of its own for when some sources are not heard, and how often each usually agrees with the others."""
    made = _decisions(model.sources, cases)
    fewer = tuple(_fitted(left, _some(left, model.sources, made, cases), cases) for left in _left(model.sources))
    model = model.model_copy(update={"fewer": fewer})
    return model.model_copy(update={"usual": {source: _agreed(model, source, cases) for source in model.sources}})


def _fitted(sources: tuple[str, ...], decisions: Sequence[Decision], cases: Sequence[Case]) -> VoteModel:
    width = len(feature_names(sources))
    theta = fit(decisions, np.zeros(width), np.full(width, DEVIATION))
    stated = {source: [one.answers[source].uncertainty for one in cases if source in one.answers] for source in sources}
    return VoteModel(
        sources=sources,
        coefficients=tuple(map(float, theta)),
        judged=len(decisions),
        doubts={source: max((one or 0.0 for one in of), default=0.0) for source, of in stated.items()},
    )


def _decisions(sources: Sequence[str], cases: Sequence[Case]) -> list[Decision]:
    return [made for one in cases if (made := one.decision(sources)) is not None]


def _left(sources: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Who is left when some are not heard."""
    most = LEFT_OUT if len(sources) <= PAIRED else 1
    for number in range(1, min(most, len(sources) - 1) + 1):
        yield from combinations(sources, len(sources) - number)


def _some(
    left: Sequence[str], sources: Sequence[str], made: Sequence[Decision], cases: Sequence[Case]
) -> list[Decision]:
    """The decisions over all, as they are over these: columns of the same rows, but for pairs that are looked at only
    now."""
    if len(sources) > PAIRED >= len(left):
        return _decisions(left, cases)
    place = {name: at for at, name in enumerate(feature_names(sources))}
    columns = [place[name] for name in feature_names(left)]
    return [replace(one, rows=one.rows[:, columns]) for one in made]


def _agreed(model: VoteModel, source: str, cases: Sequence[Case]) -> tuple[tuple[int, int], ...]:
    """By how clearly the others' vote leads: how often the source chose the same, of how often it chose."""
    counts = np.zeros((len(LEADS) + 1, 2), dtype=np.int64)
    for one in cases:
        chose = one.answers[source].choice if source in one.answers else None
        led = leading(model, {other: said for other, said in one.answers.items() if other != source})
        if chose is not None and led is not None:
            counts[led.clearly] += (chose == led.choice, 1)
    return tuple((int(agreed), int(of)) for agreed, of in counts)
