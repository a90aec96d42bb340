"""A clock that a jump cannot move ahead: quotas are counted by it."""

import time
from collections.abc import Callable
from typing import Final

DRIFT: Final = 1.01
SLACK_S: Final = 300.0


def uptime_s() -> float:
    """Seconds that nobody can set; with those that the machine slept, where the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """Unix time, never further ahead of where it began than the machine has run since, within SLACK_S and a hundredth.

    What a clock that is set ahead would open early stays shut until that time has really passed. A restart believes
    the clock anew: then a coordinator's signed time has to agree with it before anything else is looked at.
    """

    def __init__(self, clock: Callable[[], float] = time.time, uptime: Callable[[], float] = uptime_s) -> None:
        self._clock, self._uptime = clock, uptime
        self._began_s, self._up_s = clock(), uptime()

    def __call__(self) -> float:
        ran_s = self._uptime() - self._up_s
        return min(self._clock(), self._began_s + ran_s * DRIFT + SLACK_S)
