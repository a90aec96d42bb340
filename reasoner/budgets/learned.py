"""A policy that learned what the next sub-question is worth: a softmax over the five levels, linear in what is seen of
the state, trained by group-relative advantages (`reasoner/training/fit_budgets.py`), the most probable level taken.

    π(level | state) ∝ exp(w_level · φ(state))

After TAB (turn-adaptive budgets), whose budgeter is a language model of 1.7 billion parameters; this one has a few
hundred. φ tells in steps what is left per turn that is known, how hard the next question looks, both together, how hard
the others look, and how sure the answer before was.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.config import Config
from reasoner.budgets import LEVELS, TurnState

WEIGHTS: Final = Path(__file__).with_name("learned.json")
LEFT: Final = (160.0, 320.0, 640.0, 1280.0, 1920.0, 2560.0, 3840.0)
"""Borders of what is left per known turn, in tokens."""
HARD: Final = (0.2, 0.4, 0.6, 0.8)
REST: Final = (0.4, 0.6)
SURE: Final = 0.5
WIDTH: Final = 1 + (len(LEFT) + 1) * (len(HARD) + 1) + (len(LEFT) + 1) + (len(HARD) + 1) + (len(REST) + 2) + 3


class Settings(Config):
    pass


def features(
    per_turn: npt.NDArray[np.float64],
    hard: npt.NDArray[np.float64],
    rest: npt.NDArray[np.float64],
    uncertainty: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """φ, (states, WIDTH). `rest`, the mean difficulty of the turns after the next, and `uncertainty` are NaN where
    there is none."""
    left, harder = np.searchsorted(LEFT, per_turn, "right"), np.searchsorted(HARD, hard, "right")
    later = np.where(np.isnan(rest), len(REST) + 1, np.searchsorted(REST, np.nan_to_num(rest), "right"))
    unsure = np.where(np.isnan(uncertainty), 2, np.nan_to_num(uncertainty) > SURE)
    blocks = (
        (left * (len(HARD) + 1) + harder, (len(LEFT) + 1) * (len(HARD) + 1)),
        (left, len(LEFT) + 1),
        (harder, len(HARD) + 1),
        (later, len(REST) + 2),
        (unsure, 3),
    )
    return np.hstack([np.ones((len(left), 1)), *(np.eye(width)[place.astype(int)] for place, width in blocks)])


@dataclass(frozen=True, slots=True)
class Learned:
    """`weights`: (WIDTH, levels)."""

    weights: npt.NDArray[np.float64]

    def allot(self, state: TurnState) -> int | None:
        later = state.difficulties[1:]
        seen = features(
            np.array([min(state.left, 1e9) / len(state.difficulties)]),
            np.array([state.difficulties[0]]),
            np.array([sum(later) / len(later) if later else np.nan]),
            np.array([np.nan if state.uncertainty is None else state.uncertainty]),
        )
        return LEVELS[int(np.argmax(seen @ self.weights))]


@cache
def load(path: Path = WEIGHTS) -> npt.NDArray[np.float64]:
    made = np.asarray(json.loads(path.read_text(encoding="utf-8"))["weights"], dtype=np.float64)
    made.flags.writeable = False
    return made


def build(settings: Settings) -> Learned:  # noqa: ARG001 - has none
    return Learned(load())
