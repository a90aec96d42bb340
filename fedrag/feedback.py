"""How answers turned out, and what that says of each hospital. One SQLite file.

For a while an answer's skeleton is kept: who asked, which hospital each citation number is from, with its probability
and weight, what each would have chosen alone. No text, no document. What lasts are counts per hospital and asker.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import Field

from aggregator.reliability import Part, Tally, posterior, proved_right
from fedrag.config import FeedbackConfig
from fedrag.core.answer import Answer, CitationNumber, Feedback, Reliability
from fedrag.core.errors import InputError, IntegrityError, NotFound
from fedrag.core.wire import Count, Finite, NodeId, Probability, Wire

FORMAT: Final = 1
DAY_S: Final = 86_400.0
_FRESH_S: Final = 60.0
"""How old a computed reliability may be; in that time nothing fades that shows."""
_SCHEMA: Final = """
CREATE TABLE answers (
    id TEXT PRIMARY KEY, asker TEXT NOT NULL, answered_at REAL NOT NULL, skeleton TEXT NOT NULL,
    judged_at REAL, verdict TEXT
) WITHOUT ROWID;
CREATE INDEX answers_by_age ON answers (answered_at);
CREATE TABLE tallies (
    node TEXT NOT NULL, asker TEXT NOT NULL, right_weight REAL NOT NULL, wrong_weight REAL NOT NULL,
    outcomes INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (node, asker)
) WITHOUT ROWID;
"""


class Contribution(Wire):
    """What one hospital gave to an answer: the numbers of its passages and their probabilities of relevance, which of
    them the answer cites, its weight, and what it would have chosen alone."""

    passages: tuple[CitationNumber, ...]
    probabilities: tuple[Probability, ...]
    cited: tuple[CitationNumber, ...]
    weight: Probability
    vote: str | None


class KeptChain(Wire):
    """What a source that was asked apart chose, how unsure it said it was, how often it admitted a gap."""

    choice: str | None
    uncertainty: Finite | None = None
    gaps: Count = 0


class Skeleton(Wire):
    """What is left of an answer without its words."""

    choice: str | None
    confidence: Probability
    contributions: dict[NodeId, Contribution]
    chains: dict[NodeId, KeptChain] = Field(default_factory=dict)


class Verdict(Wire):
    """What is kept of a feedback."""

    right: bool | None
    helpful: tuple[CitationNumber, ...]


class FeedbackStore:
    """Thread-safe; every method is one transaction. `clock`: Unix seconds."""

    def __init__(self, path: Path, settings: FeedbackConfig, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._settings, self._clock, self._lock = settings, clock, threading.Lock()
        self._learned: tuple[float, Mapping[NodeId, Reliability]] | None = None
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A power failure may cost the last answers their feedback; that is not worth waiting for the disk each time.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction() as connection:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                connection.execute("DROP TABLE IF EXISTS feedback")  # of before there was a format; nothing used it
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {FORMAT}")
            elif found != FORMAT:
                raise IntegrityError(f"{path} has format {found}; this version reads {FORMAT}", code="state_format")

    def remember(self, answer: Answer, asker: str) -> None:
        """Keep the skeleton of an answer, so that it can be judged; the oldest go when there are too many. One that was
        completed takes the place of the first, and what was said of that counts no more."""
        now_s = self._clock()
        with self._transaction() as connection:
            if answer.completed is not None:
                self._forget(connection, answer.id, asker, now_s)
            connection.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, NULL, NULL)",
                (answer.id, asker, now_s, skeleton_of(answer).model_dump_json()),
            )
            connection.execute("DELETE FROM answers WHERE answered_at < ?", (self._oldest_s(now_s),))
            connection.execute(
                "DELETE FROM answers WHERE id IN (SELECT id FROM answers ORDER BY answered_at DESC LIMIT -1 OFFSET ?)",
                (self._settings.maximum_answers,),
            )

    def record(self, answer_id: str, feedback: Feedback, asker: str) -> Mapping[NodeId, bool]:
        """Learn from an asker's verdict on an answer; a second one takes the place of the first. Returns whose part it
        proves right, and whose wrong.

        Raises NotFound(unknown_answer), for an answer that somebody else asked for too, InputError(wrong_answer) when
        the feedback names another one, InputError(unknown_citation).
        """
        now_s, verdict = self._clock(), verdict_of(feedback)
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT skeleton, judged_at, verdict FROM answers WHERE id = ? AND asker = ? AND answered_at >= ?",
                (answer_id, asker, self._oldest_s(now_s)),
            ).fetchone()
            if row is None:
                raise NotFound("no such answer of yours, or no longer", code="unknown_answer")
            if feedback.answer_id != answer_id:
                raise InputError("the feedback names another answer", code="wrong_answer")
            skeleton = Skeleton.model_validate_json(row[0])
            known = {number for one in skeleton.contributions.values() for number in one.passages}
            if not known.issuperset(verdict.helpful):
                raise InputError("the feedback names a citation that the answer does not have", code="unknown_citation")
            if row[1] is not None:
                self._count(connection, asker, skeleton, Verdict.model_validate_json(row[2]), row[1], now_s, back=True)
            self._count(connection, asker, skeleton, verdict, now_s, now_s, back=False)
            connection.execute(
                "UPDATE answers SET judged_at = ?, verdict = ? WHERE id = ?",
                (now_s, verdict.model_dump_json(), answer_id),
            )
            self._learned = None
            return outcomes_of(skeleton, verdict)

    def _forget(self, connection: sqlite3.Connection, answer_id: str, asker: str, now_s: float) -> None:
        """Take an answer out, with the outcomes of its verdict."""
        row = connection.execute(
            "SELECT skeleton, judged_at, verdict FROM answers WHERE id = ? AND asker = ?", (answer_id, asker)
        ).fetchone()
        if row is None:
            return
        if row[1] is not None:
            skeleton, verdict = Skeleton.model_validate_json(row[0]), Verdict.model_validate_json(row[2])
            self._count(connection, asker, skeleton, verdict, row[1], now_s, back=True)
            self._learned = None
        connection.execute("DELETE FROM answers WHERE id = ? AND asker = ?", (answer_id, asker))

    def reliability(self) -> Mapping[NodeId, Reliability]:
        """Of every hospital of which outcomes are known, as they count now."""
        now_s = self._clock()
        with self._transaction(writing=False) as connection:
            if self._learned is not None and abs(now_s - self._learned[0]) < _FRESH_S:
                return self._learned[1]
            tallies: dict[NodeId, list[Tally]] = {}
            for node, *tally in connection.execute(
                "SELECT node, right_weight, wrong_weight, outcomes, at FROM tallies ORDER BY node, asker"
            ):
                tallies.setdefault(node, []).append(Tally(*tally).faded(now_s, self._half_life_s))
            learned = {node: posterior(own) for node, own in tallies.items() if any(one.outcomes for one in own)}
            self._learned = now_s, learned
            return learned

    def judged(self) -> tuple[tuple[Skeleton, Verdict], ...]:
        """Answers that somebody judged and that are kept still, in the order in which they were judged."""
        with self._transaction(writing=False) as connection:
            rows = connection.execute(
                "SELECT skeleton, verdict FROM answers WHERE verdict IS NOT NULL ORDER BY judged_at, id"
            ).fetchall()
        return tuple((Skeleton.model_validate_json(one), Verdict.model_validate_json(said)) for one, said in rows)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @property
    def _half_life_s(self) -> float:
        return self._settings.half_life_days * DAY_S

    def _oldest_s(self, now_s: float) -> float:
        return now_s - self._settings.keep_days * DAY_S

    def _count(
        self,
        connection: sqlite3.Connection,
        asker: str,
        skeleton: Skeleton,
        verdict: Verdict,
        judged_s: float,
        now_s: float,
        *,
        back: bool,
    ) -> None:
        """Add a verdict's outcomes to the asker's tallies, or take them back with what they still weigh."""
        weight_left = Tally(right=1.0, at_s=judged_s).faded(now_s, self._half_life_s).right
        for node, right in outcomes_of(skeleton, verdict).items():
            row = connection.execute(
                "SELECT right_weight, wrong_weight, outcomes, at FROM tallies WHERE node = ? AND asker = ?",
                (node, asker),
            ).fetchone()
            tally = (Tally(*row) if row else Tally(at_s=now_s)).faded(now_s, self._half_life_s)
            weight = skeleton.contributions[node].weight * weight_left
            tally = tally.without_outcome(right, weight) if back else tally.with_outcome(right, weight)
            connection.execute(
                "INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?, ?, ?)",
                (node, asker, tally.right, tally.wrong, tally.outcomes, tally.at_s),
            )

    @contextmanager
    def _transaction(self, *, writing: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def skeleton_of(answer: Answer) -> Skeleton:
    cited = {number for step in answer.steps for number in step.citations}
    votes = answer.certificate.votes if answer.certificate else {}
    contributions = {}
    for node, weight in answer.evidence.source_weights.items():
        own = [one for one in answer.evidence.passages if one.node == node]
        contributions[node] = Contribution(
            passages=tuple(one.number for one in own),
            probabilities=tuple(one.probability for one in own),
            cited=tuple(one.number for one in own if one.number in cited),
            weight=weight,
            vote=votes.get(node),
        )
    chains = {
        one.node: KeptChain(choice=one.choice, uncertainty=one.uncertainty, gaps=one.gaps) for one in answer.chains
    }
    return Skeleton(choice=answer.choice, confidence=answer.confidence, contributions=contributions, chains=chains)


def verdict_of(feedback: Feedback) -> Verdict:
    """What harms is not right; where nothing is said of being right, being useful counts for it."""
    said = feedback.useful if feedback.correct is None else feedback.correct
    helpful = tuple(sorted(set(feedback.helpful_citations)))
    return Verdict(right=False if feedback.harmful else said, helpful=helpful)


def outcomes_of(skeleton: Skeleton, verdict: Verdict) -> dict[NodeId, bool]:
    parts = {
        node: Part(frozenset(one.passages), frozenset(one.cited), one.vote)
        for node, one in skeleton.contributions.items()
    }
    return proved_right(parts, skeleton.choice, verdict.right, frozenset(verdict.helpful))
