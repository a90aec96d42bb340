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
    """At most `maximum` answers, each for `lifetime_s` seconds, each for the one who asked. Beside them at most
    `maximum_awaiting` that hospitals may still add to, each for as long as that and its lifetime: many answers of an
    hour do not push out one that is waited for, nor the other way round."""

    maximum: int = 1000
    maximum_awaiting: int = 500
    lifetime_s: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    _final: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    _awaiting: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, answer: Answer, owner: str, awaited_s: float = 0.0) -> None:
        """`awaited_s`: for how long hospitals may still add to it."""
        now_s = self.clock()
        with self._lock:
            for shelf in (self._final, self._awaiting):
                for answer_id in [one for one, kept in shelf.items() if one == answer.id or kept.until_s < now_s]:
                    del shelf[answer_id]
            shelf, most = (self._awaiting, self.maximum_awaiting) if awaited_s > 0 else (self._final, self.maximum)
            shelf[answer.id] = _Kept(answer, owner, now_s + awaited_s + self.lifetime_s)
            while len(shelf) > most:
                shelf.popitem(last=False)

    def get(self, answer_id: str, owner: str) -> Answer:
        """Raises NotFound, also for an answer that somebody else asked for."""
        with self._lock:
            kept = self._final.get(answer_id) or self._awaiting.get(answer_id)
        if kept is None or kept.owner != owner or kept.until_s < self.clock():
            raise NotFound("no such answer, or no longer")
        return kept.answer
