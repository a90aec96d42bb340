"""A judge of difficulty: the harder a sub-question looks, the higher its level, whatever is left."""

from dataclasses import dataclass
from typing import Literal, Self

from pydantic import model_validator

from fedrag.core.config import Config
from reasoner.budgets import LEVELS, TurnState

Level = Literal[256, 512, 1024, 2048, 4096]


class Settings(Config):
    """`least`: what the easiest question gets; `most`: what the hardest does. Between them difficulty is cut into as
    many equal steps as there are levels."""

    least: Level = 256
    most: Level = 4096

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError("least is more than most")
        return self


@dataclass(frozen=True, slots=True)
class Judge:
    settings: Settings

    def allot(self, state: TurnState) -> int | None:
        steps = [level for level in LEVELS if self.settings.least <= level <= self.settings.most]
        return steps[min(int(state.difficulties[0] * len(steps)), len(steps) - 1)]


def build(settings: Settings) -> Judge:
    return Judge(settings)
