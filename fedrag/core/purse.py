"""What answering may cost, and what of it is left. Caps are hard: whatever costs is taken from a purse beforehand, and
what the purse does not hold is not spent."""

import math
import threading
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field

from fedrag.core.wire import NUMBER, Count, Milliseconds, Wire


class Cost(StrEnum):
    TOKENS = "tokens"
    """Read and written by a language model."""
    WRITTEN = "written"
    """Of these, the ones it wrote, thinking included."""
    CALLS = "calls"
    """Of a language model, repeated ones as well."""
    MS = "ms"
    """Of time. A stage that has begun is finished: it may take longer, and then nothing is left."""
    PASSAGES = "passages"
    """Whose text was asked of a hospital: that it may not have arrived changes nothing. A hospital's own chain of
    thought counts as one."""
    HOSPITALS = "hospitals"
    """Asked for offers; one that is asked for two sub-questions counts twice."""


Cap = Annotated[int, Field(ge=0, le=2_000_000_000), NUMBER]


class Caps(Wire):
    """The most that may be spent; None: no cap of this kind."""

    tokens: Cap | None = None
    written: Cap | None = None
    calls: Cap | None = None
    ms: Cap | None = None
    passages: Cap | None = None
    hospitals: Cap | None = None

    def of(self, cost: Cost) -> float:
        """inf where there is no cap."""
        cap: int | None = getattr(self, cost.value)
        return math.inf if cap is None else cap

    def narrowed(self, other: "Caps | None") -> Self:
        """With the smaller cap of each kind."""
        if other is None:
            return self
        least = {cost.value: min(self.of(cost), other.of(cost)) for cost in Cost}
        return self.model_copy(update={name: None if cap == math.inf else int(cap) for name, cap in least.items()})


class Spent(Wire):
    """What something cost, by the same kinds as `Caps`."""

    tokens: Count = 0
    written: Count = 0
    calls: Count = 0
    ms: Milliseconds = 0
    passages: Count = 0
    hospitals: Count = 0


class Purse:
    """What is left of caps. What is taken from it is taken from every purse it is `within` too, all of it or nothing,
    so that questions of one conversation, put at once, cannot spend the same twice. Used by several threads."""

    def __init__(self, caps: Caps | None = None, within: "Purse | None" = None) -> None:
        self.caps = caps or Caps()
        self._within = within
        self._lock: threading.Lock = within._lock if within else threading.Lock()
        self._spent: dict[Cost, float] = dict.fromkeys(Cost, 0.0)
        self._refused: set[Cost] = set()

    def left(self, cost: Cost) -> float:
        """Of the narrowest cap; inf where there is none."""
        with self._lock:
            return self._left(cost)

    def take(self, wanted: Mapping[Cost, float]) -> bool:
        """All of what is wanted, or nothing: then False, and `refused` names what was missing."""
        with self._lock:
            missing = [cost for cost, amount in wanted.items() if amount > self._left(cost)]
            for cost in missing:
                self._refuse(cost, wanted[cost])
            if not missing:
                for cost, amount in wanted.items():
                    self._add(cost, amount)
        return not missing

    def take_up_to(self, cost: Cost, wanted: int) -> int:
        """As much of what is wanted as is left."""
        with self._lock:
            taken = int(min(wanted, self._left(cost)))
            self._refuse(cost, wanted)
            self._add(cost, taken)
        return taken

    def give_back(self, cost: Cost, amount: float) -> None:
        """What was taken and not used; less than 0: what was used beyond it, such as the time of a stage that took
        longer than it had."""
        with self._lock:
            self._add(cost, -amount)

    def refuse(self, cost: Cost, wanted: float) -> None:
        """Put down that so much was wanted, and not there: who looked first at what is left, and asked for no more."""
        with self._lock:
            self._refuse(cost, wanted)

    @property
    def refused(self) -> tuple[Cost, ...]:
        """What was wanted and not there, by this cap or those around it, in the order of `Cost`."""
        with self._lock:
            return tuple(cost for cost in Cost if cost in self._refused)

    def spent(self) -> Spent:
        with self._lock:
            counts = {cost.value: int(amount) for cost, amount in self._spent.items() if cost is not Cost.MS}
            return Spent(**counts, ms=max(0.0, self._spent[Cost.MS]))

    def _left(self, cost: Cost) -> float:
        own = max(0.0, self.caps.of(cost) - self._spent[cost])
        return min(own, self._within._left(cost)) if self._within else own

    def _refuse(self, cost: Cost, wanted: float) -> None:
        if wanted > self._left(cost):
            self._refused.add(cost)
        if self._within:
            self._within._refuse(cost, wanted)

    def _add(self, cost: Cost, amount: float) -> None:
        self._spent[cost] += amount
        if self._within:
            self._within._add(cost, amount)
