"""Answers that can be fetched again for a while, in memory only: released text is never written to the coordinator's
disk."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from fedrag.core.answer import Answer
from fedrag.core.errors import NotFound


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Answer
    owner: str
    until_s: float


@dataclass(frozen=True, slots=True)
class AnswerShelf:
    """At most `maximum` answers, each for `lifetime_s` seconds, each for the one who asked."""

    maximum: int = 1000
    lifetime_s: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, answer: Answer, owner: str) -> None:
        with self._lock:
            self._kept[answer.id] = _Kept(answer, owner, self.clock() + self.lifetime_s)
            while len(self._kept) > self.maximum or next(iter(self._kept.values())).until_s < self.clock():
                self._kept.popitem(last=False)

    def get(self, answer_id: str, owner: str) -> Answer:
        """Raises NotFound, also for an answer that somebody else asked for."""
        with self._lock:
            kept = self._kept.get(answer_id)
        if kept is None or kept.owner != owner or kept.until_s < self.clock():
            raise NotFound("no such answer, or no longer")
        return kept.answer
