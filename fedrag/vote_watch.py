"""Whether the sources of a fitted vote still answer as they did when they were judged, followed as questions come."""

import hashlib
import sqlite3
import threading
from collections import OrderedDict
from typing import Final

import structlog

from fedrag.core.answer import Answer
from fedrag.core.question import Question
from fedrag.kept_drift import DriftStore
from reasoner.drift import Drift, Sources, evidence
from reasoner.source_answer import SourceAnswer
from reasoner.vote_model import VoteModel

REMEMBERED: Final = 10_000
"""Questions that are not counted again, so that nobody takes a hospital's say away by asking one of them often."""
_log = structlog.get_logger()


class VoteWatch:
    """`key`: random bytes, by which questions are known again, and only while this runs."""

    def __init__(self, vote: VoteModel, store: DriftStore, key: bytes) -> None:
        self._vote, self._store, self._key = vote, store, key
        self._digest = digest_of(vote)
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._drift = store.change(self._digest, lambda known: known)

    @property
    def drift(self) -> Drift:
        return self._drift

    @property
    def sources(self) -> tuple[str, ...]:
        return self._vote.sources

    def left_out(self) -> Sources:
        return self._drift.left_out

    def observe(self, answer: Answer) -> None:
        """With one answer more. What the command line changed meanwhile counts from now on."""
        said = {one.node: SourceAnswer(one.choice, "", one.uncertainty, one.gaps) for one in answer.chains}
        with self._lock:
            new, before = bool(said) and self._is_new(answer.question), self._drift

            def after(known: Drift) -> Drift:
                if not new:
                    return known
                return known.after(frozenset(self._vote.sources), lambda changed: evidence(self._vote, said, changed))

            try:
                self._drift = self._store.change(self._digest, after)
            except sqlite3.Error as error:
                _log.error("drift_not_kept", error=type(error).__name__)
        for node in sorted(self._drift.left_out - before.left_out):
            _log.warning("source_left_out", node=node)
        for node in sorted(before.left_out - self._drift.left_out):
            _log.warning("source_counted_again", node=node)

    def close(self) -> None:
        self._store.close()

    def _is_new(self, question: Question) -> bool:
        asked = "\n".join((question.text, *(f"{letter} {one}" for letter, one in sorted(question.options.items()))))
        mark = hashlib.blake2b(asked.encode(), key=self._key, digest_size=16).digest()
        known = mark in self._seen
        self._seen[mark] = None
        self._seen.move_to_end(mark)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return not known


def digest_of(vote: VoteModel) -> str:
    """A vote that is fitted anew knows what was judged until then, and begins anew."""
    return hashlib.sha256(vote.model_dump_json().encode()).hexdigest()


def drift_lines(vote: VoteModel, drift: Drift) -> tuple[tuple[str, bool, float, int, float], ...]:
    """(source, whether it counts, share of the evidence that it takes to leave it out, how often it was left out, how
    often it chose as the others' vote led when it was judged) of each."""
    rows = []
    for source in vote.sources:
        agreed, of = map(sum, zip(*vote.usual.get(source, ((0, 0),)), strict=True))
        rows.append(
            (
                source,
                source not in drift.left_out,
                drift.suspicion(source),
                drift.alarms.get(source, 0),
                agreed / of if of else 0.0,
            )
        )
    return tuple(rows)
