"""One deadline per question; every stage gets what is left of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on a monotonic clock. `clock` returns seconds."""

    at_s: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after_ms(cls, milliseconds: float, clock: Callable[[], float] = time.monotonic) -> "Deadline":
        return cls(clock() + milliseconds / 1000, clock)

    def remaining_ms(self) -> float:
        """Never negative."""
        return max(0.0, (self.at_s - self.clock()) * 1000)

    def share(self, fraction: float) -> "Deadline":
        """A deadline for one stage: this fraction, in (0, 1], of what is left."""
        return Deadline(self.clock() + fraction * self.remaining_ms() / 1000, self.clock)
