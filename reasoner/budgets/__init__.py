"""Budget policies: how many tokens a model may write for the next sub-question, one of five levels.

The state is what is left, which turn it is, how sure the answer before was, and how hard the questions look: the next
one, and those after it where the plan is known (All-SubQ). A policy only shares out what a cap leaves; the caps
themselves are held by `fedrag.core.purse`.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from fedrag.core.plugins import PluginKind

LEVELS: Final = (256, 512, 1024, 2048, 4096)
"""Tokens, thinking included."""


@dataclass(frozen=True, slots=True)
class TurnState:
    """`left`, `total`: tokens to be written, of the whole question; `turn`: from 0. `difficulties`, in [0, 1]: of the
    next sub-question and of all known ones after it. `uncertainty`, in [0, 1]: of the answer before, None at the
    start."""

    left: float
    total: float
    turn: int
    difficulties: tuple[float, ...]
    uncertainty: float | None = None


class BudgetPolicy(Protocol):
    def allot(self, state: TurnState) -> int | None:
        """One of LEVELS, which may be more than is left; None: no other limit than what is left."""
        ...


BUDGET_POLICIES: Final = PluginKind[BudgetPolicy]("reasoner.budgets", ("static", "judge", "learned"))
