"""Who no longer answers as it did when it was judged: found without anybody saying what is right.

Of each source it is known how often it chose what the vote of the others leads with, by how clearly that leads. That
the sources F have changed since is worth, at one question,

    l(F) = Σ over i in F of log p'(c_i) / p(c_i)

nats of evidence, where p is that a source chooses, or not, what the vote of all but F leads with, as often as it
usually did, and p' the same at ODDS times less the odds. What is believed, that all are as they were or that some have
changed, is tested against everything that differs from it by one source: left out too, counted again, or left out in
the place of another. Each test is Page's cumulative sum (1954), the sum of l(other belief) - l(belief) that starts
again at 0 whenever it falls below: Wald's sequential test (1945), begun anew at every question. While the belief holds,
one such sum reaches ALARM once in e^ALARM questions on average, at most (Lorden 1971).

One source that lies drags the vote that others are compared with along: they seem to change as well. So of two who
seem to have changed none is left out before the one is APART from the other. Where liars that agree are as strong as
those they contradict nobody can say by agreement who lies; a majority of the sources is always counted.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from pydantic import Field

from fedrag.core.config import Config
from reasoner.vote_model import VoteModel
from reasoner.weighted_vote import SourceAnswers

LEADS: Final = (0.5, 1.0, 2.0)
"""Nats by which a vote's first choice leads the next: agreement is counted apart below, between and above."""
ODDS: Final = 4.0
ALARM: Final = math.log(5_000)
APART: Final = math.log(50)
FEWEST: Final = 2
"""Others that chose something, below which agreement with them says nothing."""
NOBODY: Final = "(another)"
"""An option that no source chose."""
Sources = frozenset[str]
LeftOut = Callable[[], Sources]
"""Who has no say at present."""
Evidence = Callable[[Sources], float | None]


@dataclass(frozen=True, slots=True)
class Leading:
    """What a vote leads with; `clearly`: how many of LEADS it reaches."""

    choice: str
    clearly: int


def leading(model: VoteModel, answers: SourceAnswers) -> Leading | None:
    """Of the vote over these answers alone; None where too few chose something. Their choices and one that nobody made
    are all that is compared, so that questions whose options are not known can be counted too."""
    chosen = [one.choice for source, one in answers.items() if one.choice is not None and source in model.sources]
    if len(chosen) < FEWEST:
        return None
    of = model.probabilities(answers, {*chosen, NOBODY})
    first = max(set(chosen), key=lambda choice: (of[choice], choice))
    following = max(share for choice, share in of.items() if choice != first)
    return Leading(first, bisect_right(LEADS, math.log(of[first] / following) if following > 0 else math.inf))


def evidence(model: VoteModel, answers: SourceAnswers, changed: Sources) -> float | None:
    """l(changed), 0 of who chose nothing; None where too few others chose something."""
    known = changed & answers.keys() & model.usual.keys()
    chose = {source: choice for source in known if (choice := answers[source].choice) is not None}
    if not chose:
        return 0.0
    led = leading(model, {source: one for source, one in answers.items() if source not in changed})
    if led is None:
        return None
    return math.fsum(
        _surprise(*model.usual[source][led.clearly], agrees=choice == led.choice) for source, choice in chose.items()
    )


def _surprise(agreed: int, judged: int, *, agrees: bool) -> float:
    """log p' / p. p is a standard error lower than it was, lest what was little judged seems to change."""
    mean = (agreed + 1) / (judged + 2)
    p = min(0.98, max(0.05, mean - math.sqrt(mean * (1 - mean) / (judged + 3))))
    less = p / (p + ODDS * (1 - p))
    return math.log(less / p) if agrees else math.log((1 - less) / (1 - p))


class Drift(Config):
    """What is believed now. `left_out` do not vote; `sums`: by the belief that is tested against this one, nats;
    `alarms`: how often each was left out: it takes ALARM until it counts again, and twice as much each further time.
    Counts and sums: no question, no answer."""

    left_out: Sources = frozenset()
    sums: tuple[tuple[Sources, float], ...] = ()
    alarms: dict[str, int] = Field(default_factory=dict)

    def after(self, sources: Sources, evidence: Evidence) -> Self:
        """With one question more; `evidence` is its l."""
        sums = dict(self.sums)
        for other in self._others(sources):
            # Who is to take another's place must fit better than if neither had changed, too.
            beliefs = (other, *({self.left_out, self.left_out & other} - {other}))
            worth = [value for one in beliefs if (value := evidence(one)) is not None]
            if len(worth) == len(beliefs):
                sums[other] = sums.get(other, 0.0) + worth[0] - max(worth[1:])
        believed = self._best(sums)
        if believed is None:
            above = tuple((other, value) for other, value in sums.items() if value > 0)  # the others start again at 0
            return self.model_copy(update={"sums": above})
        alarms = self.alarms | {new: self.alarms.get(new, 0) + 1 for new in believed - self.left_out}
        return self.model_copy(update={"left_out": believed, "sums": (), "alarms": alarms})

    def suspicion(self, source: str) -> float:
        """Share of what it takes until this source is left out that there is against it, in [0, 1]."""
        return min(
            1.0, max((value for other, value in self.sums if source in other - self.left_out), default=0) / ALARM
        )

    def counting(self, source: str) -> Self:
        """As if nothing had been seen of it yet."""
        alarms = {one: number for one, number in self.alarms.items() if one != source}
        return self.model_copy(update={"left_out": self.left_out - {source}, "sums": (), "alarms": alarms})

    def _others(self, sources: Sources) -> Iterator[Sources]:
        counted = sources - self.left_out
        for one in sorted(counted):
            if len(self.left_out) < (len(sources) - 1) // 2:
                yield self.left_out | {one}
            yield from (self.left_out - {out} | {one} for out in sorted(self.left_out))
        yield from (self.left_out - {out} for out in sorted(self.left_out))

    def _best(self, sums: Mapping[Sources, float]) -> Sources | None:
        """The belief that takes the place of this one, where one does: that fewer have changed before any other."""
        enough = [one for one in sums if sums[one] >= self._needed(one)]
        best = min(enough, key=lambda one: (len(one), -sums[one]), default=None)
        if best is None or not best - self.left_out:
            return best
        rivals = [value for other, value in sums.items() if other != best and len(other) == len(best)]
        return best if sums[best] - max(rivals, default=0.0) >= APART else None

    def _needed(self, other: Sources) -> float:
        if other - self.left_out:
            return ALARM
        return ALARM * 2.0 ** (max(self.alarms.get(one, 1) for one in self.left_out - other) - 1)
