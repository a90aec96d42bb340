"""What questions showed of a hospital's prototypes, summed.

With k(q, μ) = exp(-‖q - μ‖² / 2w²) a hospital that claims n passages about each of its prototypes μ claims of all that
is like the question q the share

    e = Σ n k(q, μ) / (Σ n k(q, μ) + what counts of the other hospitals asked),

and u is its share of what was shown that is like q. Both are weighed by e, shared out among its prototypes by n k(q, μ)
and summed. So are the log-odds that it holds them (`router/surprise.py`), weighed by what the question can tell: e, or
the share of the other hospitals asked that would have been found out by it, if that is more. For what everybody could
have shown is no evidence, and who claims little is still known by what others lack. Their sum is Wald's sequential test
(1945), with errors of about exp(-SURE).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from router.density import Doubles, Flags, Positions

THRESHOLD: Final = 0.2
"""Of what is claimed, this much must be found. It is absolute: that half of the hospitals are better than the other
half is no reason to believe those less."""
SUPPORT: Final = 0.15
ENOUGH: Final = 0.8
WHOLE: Final = 6.0
"""Questions' worth of claims, after which a hospital is judged as a whole, too."""
SURE: Final = 4.6
LIKELY: Final = 2.3
"""Log-odds of ten to one."""


class Trial(StrEnum):
    """What a question was put for: to test what this hospital claims, what another does, or to be answered."""

    PROBE = "probes"
    OTHERS = "others"
    QUESTION = "questions"


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one hospital at one question: what its prototypes claim (`Density.terms`), the share claimed, the share found,
    the log-odds that it holds what it claims, how much the question can tell of that, and 1 where its own offers deny
    it."""

    terms: Doubles
    claimed: float
    found: float
    odds: float
    telling: float
    denied: float


@dataclass(frozen=True, slots=True)
class Sums:
    """Over the questions seen, of each prototype and, last, of what is described otherwise: the share claimed, the
    share found, and the log-odds that it is held, float64 (n + 1,)."""

    claimed: Doubles
    found: Doubles
    odds: Doubles

    @classmethod
    def nothing(cls, prototypes: int) -> "Sums":
        return cls(np.zeros(prototypes + 1), np.zeros(prototypes + 1), np.zeros(prototypes + 1))

    def plus(self, shares: Doubles, seen: Seen) -> "Sums":
        """Log-odds stop at ±SURE: what was shown for long is lost as fast as by anybody else."""
        odds = np.clip(self.odds + seen.telling * seen.odds * shares, -SURE, SURE)
        return Sums(self.claimed + seen.claimed**2 * shares, self.found + seen.claimed * seen.found * shares, odds)

    def times(self, keep: float) -> "Sums":
        return Sums(self.claimed * keep, self.found * keep, self.odds * keep)

    def carried(self, rows: Positions) -> "Sums":
        """Of other prototypes: the i-th was the `rows[i]`-th, a new one where that is negative."""
        last = len(self.claimed) - 1
        taken, known = np.append(np.maximum(rows, 0), last), np.append(rows >= 0, True)
        return Sums(*(np.where(known, column[taken], 0.0) for column in (self.claimed, self.found, self.odds)))

    def and_(self, other: "Sums") -> "Sums":
        return Sums(self.claimed + other.claimed, self.found + other.found, self.odds + other.odds)

    def together(self, which: Flags) -> "Sums":
        """These as if they were one prototype."""
        return Sums(*(np.array([column[which].sum()]) for column in (self.claimed, self.found, self.odds)))

    def refuted(self, enough: float) -> Flags:
        """It is not held; or too little was found, though `enough` was claimed, and it is not likely to be held."""
        missing = (self.claimed >= enough) & (self.found < THRESHOLD * self.claimed) & (self.odds < LIKELY)
        return missing | (self.odds <= -SURE)

    @property
    def supported(self) -> Flags:
        found = (self.found >= SUPPORT) | (self.odds >= LIKELY)
        return found & (self.found >= THRESHOLD * self.claimed) & (self.odds >= 0)

    @property
    def plenty(self) -> Flags:
        """Whether there is enough to go by these alone."""
        return (self.claimed >= ENOUGH) | (self.odds >= LIKELY)

    @property
    def hollow(self) -> bool:
        """All of it together is refuted."""
        claimed = float(self.claimed.sum())
        return claimed >= WHOLE and float(self.found.sum()) < THRESHOLD * claimed
