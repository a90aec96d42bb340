"""Questions of several sub-questions, answered within a budget by a solver whose chains of thought were recorded.

A recorded chain needed so many tokens and was right or not. Given fewer tokens it does not come to its end and is
wrong; given as many or more it is what it was. `EXACT` is a solver that uses all it is given, as one does that was
trained to (L1-Exact, on which TAB was measured); `STOPPING` one that stops when it is done, as models commonly do.

An episode is a draw of sub-questions and a budget B. The reward of its end is TAB's,

    r = accuracy - λ · max(0, Σ tokens - B),   λ = 0.001,

accuracy being the share of its sub-questions that were answered rightly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from reasoner.budgets import LEVELS

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
LAMBDA: Final = 0.001
BUDGETS: Final = (3_000.0, 5_000.0, 8_000.0, 10_000.0)
TURNS: Final = 6
"""Sub-questions of an episode, at most."""


class Solver(StrEnum):
    EXACT = "exact"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One row for each recorded chain: tokens that it needed, whether it was right, how hard its question looks."""

    needed: Floats
    right: Booleans
    difficulty: Floats

    def rows(self, which: npt.NDArray[np.int64]) -> "Recorded":
        return Recorded(self.needed[which], self.right[which], self.difficulty[which])


@dataclass(frozen=True, slots=True)
class Episodes:
    """Drawn: (episodes, TURNS) rows of the recorded; `turns` of each count; `budget` of each."""

    of: npt.NDArray[np.int64]
    turns: npt.NDArray[np.int64]
    budget: Floats

    def __len__(self) -> int:
        return len(self.turns)

    def repeated(self, times: int) -> "Episodes":
        """Each so many times, one after the other."""
        return Episodes(np.repeat(self.of, times, axis=0), np.repeat(self.turns, times), np.repeat(self.budget, times))


def draw(
    recorded: Recorded, episodes: int, random: np.random.Generator, budgets: Sequence[float] = BUDGETS
) -> Episodes:
    return Episodes(
        of=random.integers(len(recorded.needed), size=(episodes, TURNS)),
        turns=random.integers(1, TURNS + 1, size=episodes),
        budget=random.choice(np.asarray(budgets), size=episodes),
    )


@dataclass(slots=True)
class Play:
    """Episodes while they are played, all at once, turn by turn. `planned`: whether all sub-questions are known before
    the first is answered (All-SubQ); `hard`: whether B is a cap, and not only a penalty."""

    recorded: Recorded
    episodes: Episodes
    solver: Solver
    planned: bool
    hard: bool
    turn: int = 0
    spent: Floats = field(init=False)
    correct: Floats = field(init=False)
    unsure: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.spent = np.zeros(len(self.episodes))
        self.correct = np.zeros(len(self.episodes))
        self.unsure = np.full(len(self.episodes), np.nan)

    @property
    def playing(self) -> Booleans:
        return np.asarray(self.turn < self.episodes.turns)

    def state(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Left per known turn, how hard the next looks, the mean of those after it, and how unsure the last was."""
        left = np.maximum(0.0, self.episodes.budget - self.spent)
        looks = self.recorded.difficulty[self.episodes.of]
        place = np.arange(TURNS)[None, :]
        later = (place > self.turn) & (place < self.episodes.turns[:, None])
        rest = np.full(len(left), np.nan)
        known = np.ones(len(left))
        if self.planned:
            count = later.sum(1)
            total = np.where(later, looks, 0.0).sum(1)
            rest[count > 0] = total[count > 0] / count[count > 0]
            known += count
        return left / known, looks[:, self.turn], rest, self.unsure

    def answer(self, tokens: Floats) -> None:
        """One sub-question of every episode that still has one."""
        row = self.episodes.of[:, self.turn]
        needed = self.recorded.needed[row]
        given = np.minimum(tokens, np.maximum(0.0, self.episodes.budget - self.spent)) if self.hard else tokens
        done = needed <= given
        used = given if self.solver is Solver.EXACT else np.minimum(given, needed)
        self.spent += np.where(self.playing, used, 0.0)
        self.correct += np.where(self.playing, done & self.recorded.right[row], 0.0)
        self.unsure = np.where(done, 0.25, 1.0)
        self.turn += 1

    @property
    def accuracy(self) -> Floats:
        return np.asarray(self.correct / self.episodes.turns)

    def reward(self) -> Floats:
        return self.accuracy - LAMBDA * np.maximum(0.0, self.spent - self.episodes.budget)


def levels(chosen: npt.NDArray[np.int64]) -> Floats:
    return np.asarray(LEVELS, dtype=np.float64)[chosen]
