"""How often what a source contributed has proved right: counts of outcomes, and the Beta posterior over them.

An answer that is judged is one outcome, shared out among its sources by their weights. The outcomes of one source, by
one asker, are a tally; older ones count less. All that one asker says of a source counts at most as much as the prior.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from fedrag.core.answer import Reliability
from fedrag.core.wire import NodeId


@dataclass(frozen=True, slots=True)
class Tally:
    """Weight of the outcomes that proved a source right and of those that proved it wrong, as it was at `at_s`, and
    their number, which does not fade."""

    right: float = 0.0
    wrong: float = 0.0
    outcomes: int = 0
    at_s: float = 0.0

    @property
    def weight(self) -> float:
        return self.right + self.wrong

    @property
    def mean(self) -> float:
        return self.right / self.weight

    def faded(self, now_s: float, half_life_s: float) -> "Tally":
        """What it counts now: half after each half-life. An infinite half-life forgets nothing."""
        kept = 0.5 ** (max(0.0, now_s - self.at_s) / half_life_s)
        return replace(self, right=self.right * kept, wrong=self.wrong * kept, at_s=now_s)

    def with_outcome(self, right: bool, weight: float) -> "Tally":
        added = (self.right + weight, self.wrong) if right else (self.right, self.wrong + weight)
        return replace(self, right=added[0], wrong=added[1], outcomes=self.outcomes + 1)

    def without_outcome(self, right: bool, weight: float) -> "Tally":
        """What it was before; nothing falls below zero by rounding."""
        less = (self.right - weight, self.wrong) if right else (self.right, self.wrong - weight)
        return replace(self, right=max(0.0, less[0]), wrong=max(0.0, less[1]), outcomes=max(0, self.outcomes - 1))


PRIOR: Final = Tally(right=5.0, wrong=5.0)
"""Beta(5, 5): before any outcome a source is as likely right as wrong; outcomes of weight ten move it half of the way
to their own mean."""
LARGEST_TALLY: Final = PRIOR.weight
"""What one asker's outcomes of a source count together, at most. With others' outcomes of weight m, one asker moves the
mean by less than 10 / (20 + m), k of them together by less than 10 k / (10 + 10 k + m); alone, from 1/2 no further than
to 1/4 or 3/4."""
UNKNOWN: Final = Reliability(mean=PRIOR.mean, outcomes=0)


@dataclass(frozen=True, slots=True)
class Part:
    """What a source contributed to an answer: the numbers of its passages, those that the answer cites, and what it
    would have chosen alone."""

    passages: frozenset[int]
    cited: frozenset[int]
    vote: str | None


def proved_right(
    parts: Mapping[NodeId, Part], choice: str | None, right: bool | None, helpful: frozenset[int]
) -> dict[NodeId, bool]:
    """Source → whether its part proved right; sources of which a verdict says nothing are left out.

    A vote is judged by itself: of a right answer's sources those were right that would have chosen it, and a wrong
    answer's choice was wrong of whoever would have made it; what else would have been right nobody knows. Else, where
    citations are named as helpful, sources that have one were right and those cited without one were not. Else the
    sources that the answer cites, and that made no choice of their own, were right when it was.
    """
    outcomes: dict[NodeId, bool] = {}
    for node, part in parts.items():
        voted = part.vote is not None and choice is not None
        if voted and right is not None and (right or part.vote == choice):
            outcomes[node] = right and part.vote == choice
        elif helpful and (part.passages & helpful or part.cited):
            outcomes[node] = bool(part.passages & helpful)
        elif not helpful and not voted and right is not None and part.cited:
            outcomes[node] = right
    return outcomes


def posterior(tallies: Iterable[Tally]) -> Reliability:
    """Of one source, from the tallies of its askers as they count now: the mean of Beta(5 + right, 5 + wrong), each
    tally scaled down to LARGEST_TALLY where it weighs more."""
    right, weight, outcomes = PRIOR.right, PRIOR.weight, 0
    for tally in tallies:
        scale = min(1.0, LARGEST_TALLY / tally.weight) if tally.weight > 0 else 0.0
        right += scale * tally.right
        weight += scale * tally.weight
        outcomes += tally.outcomes
    return Reliability(mean=min(1.0, right / weight), outcomes=outcomes)
