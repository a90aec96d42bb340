"""One deadline and one purse per question; every stage gets what is left of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from fedrag.core.errors import DeadlineExceeded
from fedrag.core.purse import Purse


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on a monotonic clock. `clock` returns seconds; `cancelled` says that whoever waited has gone; `purse`:
    what else may be spent until then, None: as much as it takes."""

    at_s: float
    clock: Callable[[], float] = time.monotonic
    cancelled: Callable[[], bool] = lambda: False
    purse: Purse | None = None

    @classmethod
    def after_ms(
        cls,
        milliseconds: float,
        clock: Callable[[], float] = time.monotonic,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> "Deadline":
        return cls(clock() + milliseconds / 1000, clock, cancelled)

    def remaining_ms(self) -> float:
        """Never negative; 0 once cancelled."""
        return 0.0 if self.cancelled() else max(0.0, (self.at_s - self.clock()) * 1000)

    def require(self) -> None:
        """Raises DeadlineExceeded when nobody waits for the result any more."""
        if self.remaining_ms() <= 0:
            raise DeadlineExceeded("nobody waits for this any more")

    def share(self, fraction: float) -> "Deadline":
        """A deadline for one stage: this fraction, in (0, 1], of what is left."""
        return replace(self, at_s=self.clock() + fraction * self.remaining_ms() / 1000)
