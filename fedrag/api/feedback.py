"""Outcomes of answers, kept for trust, routing and calibration to learn from: ids, hospitals and verdicts, no text."""

import json
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fedrag.core.answer import Answer, Feedback

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS feedback (
    answer_id TEXT NOT NULL, asker TEXT NOT NULL, at TEXT NOT NULL,
    correct INTEGER, useful INTEGER, harmful INTEGER NOT NULL,
    helpful_nodes TEXT NOT NULL, cited_nodes TEXT NOT NULL, confidence REAL NOT NULL,
    PRIMARY KEY (answer_id, asker)
)
"""


class FeedbackLog:
    """One verdict per asker and answer; a later one replaces an earlier."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(_SCHEMA)

    def record(self, feedback: Feedback, answer: Answer, asker: str) -> None:
        node_of = {passage.number: passage.node for passage in answer.evidence.passages}
        helpful = sorted({node_of[number] for number in feedback.helpful_citations if number in node_of})
        cited = sorted({node_of[number] for step in answer.steps for number in step.citations})
        row = (
            answer.id,
            asker,
            datetime.now(UTC).isoformat(),
            feedback.correct,
            feedback.useful,
            feedback.harmful,
            json.dumps(helpful),
            json.dumps(cited),
            answer.confidence,
        )
        with self._lock:
            self._connection.execute("INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def count(self) -> int:
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM feedback").fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._connection.close()
