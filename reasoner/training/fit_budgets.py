"""Fits the learned budget policy by group-relative policy optimisation: every problem is played several times, and what
a play got above the mean of its group, in standard deviations, goes to each of its turns."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from reasoner.budgets import LEVELS
from reasoner.budgets.learned import WIDTH, features
from reasoner.training.episodes import TURNS, Play, Recorded, Solver, draw, levels

Floats = npt.NDArray[np.float64]
_FIRST: Final = 0.9
_SECOND: Final = 0.999


@dataclass(frozen=True, slots=True)
class Schedule:
    """`group`: plays of each problem. `entropy`: how much a policy is paid for not being sure, falling to 0."""

    steps: int = 600
    problems: int = 64
    group: int = 16
    rate: float = 0.05
    entropy: float = 0.01


def fit_budgets(
    recorded: Recorded, solver: Solver, *, planned: bool, seed: int, schedule: Schedule | None = None
) -> Floats:
    """Weights (WIDTH, levels) of the softmax. The budget is a penalty while it learns, and a cap when it is used."""
    schedule = schedule or Schedule()
    random = np.random.default_rng(seed)
    weights = np.zeros((WIDTH, len(LEVELS)))
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, schedule.steps + 1):
        problems = draw(recorded, schedule.problems, random)
        one = problems.repeated(schedule.group)
        bonus = schedule.entropy * (1 - step / schedule.steps)
        gradient = _gradient(weights, Play(recorded, one, solver, planned, hard=False), schedule.group, bonus, random)
        mean = _FIRST * mean + (1 - _FIRST) * gradient
        square = _SECOND * square + (1 - _SECOND) * gradient**2
        rate = schedule.rate * (1 - step / (schedule.steps + 1))
        weights += rate * (mean / (1 - _FIRST**step)) / (np.sqrt(square / (1 - _SECOND**step)) + 1e-8)
    return weights


def _gradient(weights: Floats, play: Play, group: int, bonus: float, random: np.random.Generator) -> Floats:
    """Of the mean over plays of advantage times the log-probability of what was chosen, and of the entropy's bonus."""
    taken: list[tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]] = []
    for _ in range(TURNS):
        seen = features(*play.state())
        chances = softmax(seen @ weights)
        chosen = (random.random((len(chances), 1)) > np.cumsum(chances, axis=1)[:, :-1]).sum(axis=1)
        taken.append((seen, chances, np.eye(len(LEVELS))[chosen], play.playing))
        play.answer(levels(chosen))
    reward = play.reward().reshape(-1, group)
    advantage = ((reward - reward.mean(1, keepdims=True)) / (reward.std(1, keepdims=True) + 1e-6)).reshape(-1)
    gradient = np.zeros_like(weights)
    for seen, chances, chosen, playing in taken:
        logs = np.log(chances + 1e-12)
        surprise = -chances * (logs - (chances * logs).sum(1, keepdims=True))
        gradient += seen.T @ (playing[:, None] * (advantage[:, None] * (chosen - chances) + bonus * surprise))
    return gradient / len(advantage)


def softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def save(weights: Floats, path: Path, told: str) -> None:
    """`told`: what it was fitted on."""
    made = {"fitted_on": told, "levels": list(LEVELS), "weights": np.round(weights, 3).tolist()}
    path.write_text(json.dumps(made) + "\n", encoding="utf-8")
