"""The same for every sub-question, or an equal share of what is left."""

from dataclasses import dataclass
from typing import Literal

from fedrag.core.config import Config
from reasoner.budgets import LEVELS, TurnState


class Settings(Config):
    """`tokens`: the level; None: what is left is shared out equally over the turns that are known."""

    tokens: Literal[256, 512, 1024, 2048, 4096] | None = None


@dataclass(frozen=True, slots=True)
class Static:
    settings: Settings

    def allot(self, state: TurnState) -> int | None:
        if self.settings.tokens is not None:
            return self.settings.tokens
        if len(state.difficulties) <= 1:
            return None
        share = state.left / len(state.difficulties)
        return max((level for level in LEVELS if level <= share), default=LEVELS[0])


def build(settings: Settings) -> Static:
    return Static(settings)
