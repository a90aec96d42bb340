"""How long each stage took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fedrag.core.answer import StageTiming
from fedrag.tracing import span


@dataclass(frozen=True, slots=True)
class Stopwatch:
    _laps: list[StageTiming] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            with span(f"stage {name}"):
                yield
        finally:
            self._laps.append(StageTiming(stage=name, elapsed_ms=(time.perf_counter() - started) * 1000))

    def timings(self) -> tuple[StageTiming, ...]:
        return tuple(self._laps)
