"""Recorded answers as a stream: questions come in a random order, a source turns at some point, and the vote goes on
by what it notices. Nothing says which answers were right."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from fedrag.evaluation.recorded_votes import GAPS, lie
from fedrag.evaluation.recordings import RecordedTask
from reasoner.drift import Drift, Sources, evidence
from reasoner.source_answer import SourceAnswer
from reasoner.training.fit_votes import Judged, fit_votes, whole
from reasoner.vote_model import VoteModel
from reasoner.weighted_vote import SourceAnswers

NOBODY: Final = frozenset[str]()
Chance = np.random.Generator


@dataclass(frozen=True, slots=True)
class Asked:
    """A question without its words; `apart`: what its vote was not fitted on."""

    apart: str
    options: tuple[str, ...]
    right: str
    answers: SourceAnswers

    def saying(self, said: Mapping[str, SourceAnswer]) -> "Asked":
        return replace(self, answers={**self.answers, **said})


@dataclass(slots=True)
class Votes:
    """Fitted votes by what each was not fitted on, and what they made of answers before: the same come often."""

    models: Mapping[str, VoteModel]
    _made: dict[object, str | None] = field(default_factory=dict)
    _weighed: dict[object, float | None] = field(default_factory=dict)

    @property
    def sources(self) -> Sources:
        return frozenset(next(iter(self.models.values())).sources)

    def chosen(self, asked: Asked, left_out: Collection[str] = NOBODY) -> str | None:
        heard = {name: one for name, one in asked.answers.items() if name not in left_out}
        key = asked.apart, asked.options, frozenset(heard.items())
        if key not in self._made:
            of = self.models[asked.apart].probabilities(heard, asked.options)
            self._made[key] = max(of, key=lambda option: (of[option], option), default=None)
        return self._made[key]

    def right(self, asked: Asked, left_out: Collection[str] = NOBODY) -> bool:
        return self.chosen(asked, left_out) == asked.right

    def evidence(self, asked: Asked) -> Callable[[Sources], float | None]:
        said = frozenset(asked.answers.items())

        def of(changed: Sources) -> float | None:
            key = asked.apart, changed, said
            if key not in self._weighed:
                self._weighed[key] = evidence(self.models[asked.apart], asked.answers, changed)
            return self._weighed[key]

        return of


@dataclass(frozen=True, slots=True)
class Course:
    """What became of a stream; `beliefs`: who had no say, by question."""

    right: tuple[bool, ...]
    beliefs: tuple[Sources, ...]

    def first(self, source: str, since: int) -> int | None:
        """Questions from `since` until the source was left out."""
        return next((at for at, out in enumerate(self.beliefs[since:]) if source in out), None)

    @property
    def alarms(self) -> int:
        """How often somebody was left out anew."""
        pairs = zip((NOBODY, *self.beliefs), self.beliefs, strict=False)
        return sum(len(now - before) for before, now in pairs)


def followed(stream: Sequence[Asked], votes: Votes, meanwhile: Sequence[Asked] = ()) -> Course:
    """`meanwhile`: what is said instead while somebody has no say, the same questions."""
    drift = Drift()
    right: list[bool] = []
    beliefs: list[Sources] = []
    for asked, instead in zip(stream, meanwhile or stream, strict=True):
        asked = instead if drift.left_out else asked
        beliefs.append(drift.left_out)
        right.append(votes.right(asked, drift.left_out))
        drift = drift.after(votes.sources, votes.evidence(asked))
    return Course(tuple(right), tuple(beliefs))


def turned(honest: Sequence[Asked], lying: Sequence[Asked], at: int, seed: int) -> list[Asked]:
    """The same questions in a random order, honest until `at`."""
    order = np.random.default_rng(seed).permutation(len(honest)).tolist()
    return [(honest if place < at else lying)[row] for place, row in enumerate(order)]


def asked_of(task: RecordedTask, apart: Mapping[str, str]) -> list[Asked]:
    """Uncertainty is how often a chain of thought admits that something is missing."""

    def said(choice: str | None, trace: str) -> SourceAnswer:
        gaps = SourceAnswer.of(choice, trace).gaps
        return SourceAnswer(choice, "", float(min(GAPS, gaps)), min(1, gaps))

    return [
        Asked(
            apart[one.id],
            tuple(sorted(one.options)),
            task.gold[one.id],
            {name: said(of.choice, of.reasoning) for name, of in one.answers.items()},
        )
        for one in task.questions
        if one.id in apart
    ]


def learned(asked: Sequence[Asked]) -> Votes:
    """Of each `apart` a vote fitted on all others."""
    models = {}
    for apart in sorted({one.apart for one in asked}):
        cases = [Judged(one.answers, one.options, one.right) for one in asked if one.apart != apart]
        models[apart] = whole(fit_votes(tuple(asked[0].answers), cases), cases)
    return Votes(models)


def wrong(asked: Asked, liar: str) -> SourceAnswer:
    return lie(asked.answers, {liar}, asked.options, asked.right)


def sure(asked: Asked, liar: str) -> SourceAnswer:
    return SourceAnswer(asked.answers[liar].choice, uncertainty=0.0)


def guessed(asked: Asked, chance: Chance) -> SourceAnswer:
    return SourceAnswer(str(chance.choice(asked.options)), uncertainty=0.0)


def paying(asked: Asked, liar: str, votes: Votes) -> SourceAnswer:
    """Wrong where that alone turns the answer, else what it would have said."""
    lied = asked.saying({liar: wrong(asked, liar)})
    return lied.answers[liar] if votes.right(asked) and not votes.right(lied) else asked.answers[liar]
