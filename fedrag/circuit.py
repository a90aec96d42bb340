"""Leaving hospitals alone that keep failing, and finding out for nothing when they are back."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fedrag.core.wire import NodeId


@dataclass(slots=True)
class _Record:
    failures: int = 0
    suspended_until_s: float = 0.0
    probed: bool = False
    on_trial: bool = False


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Suspends a hospital after `threshold` failures in a row.

    A question tries it again only when two things hold: its pause is over (`base_s`, doubling with every failed trial
    up to `maximum_s`), and a probe in the background has reached it since its last failure. So no question pays for a
    hospital that is dead; one that describes itself well and then fails is tried by one question per pause. An answer
    of any kind clears its record.
    """

    threshold: int = 2
    base_s: float = 2.0
    maximum_s: float = 300.0
    clock: Callable[[], float] = time.monotonic
    _records: dict[NodeId, _Record] = field(default_factory=dict)

    def admits(self, node: NodeId) -> bool:
        """Whether a question may ask this hospital now; if as a trial, nobody else may until it is known how it
        went."""
        record = self._records.get(node)
        if record is None or record.failures < self.threshold:
            return True
        if self.clock() < record.suspended_until_s or not record.probed:
            return False
        self._suspend(record)
        record.on_trial = True
        return True

    def suspended(self) -> frozenset[NodeId]:
        return frozenset(node for node, record in self._records.items() if record.failures >= self.threshold)

    def record(self, node: NodeId, *, alive: bool) -> None:
        """How a question fared with this hospital. Of many that fail together, those after the suspension tell nothing
        new."""
        if alive:
            self._records.pop(node, None)
            return
        record = self._records.setdefault(node, _Record())
        if record.failures >= self.threshold and not record.on_trial:
            return
        record.failures, record.on_trial = record.failures + 1, False
        if record.failures >= self.threshold:
            self._suspend(record)

    def probe(self, node: NodeId, *, alive: bool) -> None:
        """How a probe fared. Failed probes suspend a hospital too, before a question meets it, but lengthen no
        pause."""
        record = self._records.get(node)
        if record is None or record.failures < self.threshold:
            if not alive:
                self.record(node, alive=False)
        else:
            record.probed = alive

    def forget(self, node: NodeId) -> None:
        self._records.pop(node, None)

    def _suspend(self, record: _Record) -> None:
        pause_s = float(min(self.base_s * 2.0 ** min(record.failures - self.threshold, 60), self.maximum_s))
        record.suspended_until_s = self.clock() + pause_s
        record.probed = False
