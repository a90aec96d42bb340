"""Vectors that were made once: by encoder and text, shared by all suites."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix

_BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class CachedVectors:
    """One SQLite file per encoder identity. The same text always gets the vector it got first. `made` and `kept` count
    vectors."""

    folder: Path
    encoder: Encoder
    progress: Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
    made: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)

    def queries(self, texts: Sequence[str], what: str = "encoding questions") -> FloatMatrix:
        """float32 (len(texts), dimension). One by one, as the coordinator does."""
        return self._vectors("query", texts, lambda some: np.concatenate([self._query(text) for text in some]), what)

    def passages(self, texts: Sequence[str], what: str = "encoding passages") -> FloatMatrix:
        """float32 (len(texts), dimension)."""
        return self._vectors("passage", texts, lambda some: self.encoder.encode_passages(list(some)), what)

    def _query(self, text: str) -> FloatMatrix:
        return self.encoder.encode_queries([text])

    def _vectors(
        self, kind: str, texts: Sequence[str], encode: Callable[[Sequence[str]], FloatMatrix], what: str
    ) -> FloatMatrix:
        keys = [hashlib.sha256(f"{kind}\0{text}".encode()).digest() for text in texts]
        with closing(sqlite3.connect(self._path())) as database:
            database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")
            known = {
                key for key in set(keys) if database.execute("SELECT 1 FROM vectors WHERE key = ?", (key,)).fetchone()
            }
            missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
            self.made["vectors"] += len(missing)
            self.kept["vectors"] += len(known)
            if missing:
                self._fill(database, missing, encode, what)
            read = "SELECT vector FROM vectors WHERE key = ?"
            rows = [np.frombuffer(database.execute(read, (key,)).fetchone()[0], dtype="<f4") for key in keys]
        dimension = self.encoder.identity.dimension
        return np.array(rows, dtype=np.float32).reshape(len(rows), dimension)

    def _fill(
        self,
        database: sqlite3.Connection,
        missing: dict[bytes, str],
        encode: Callable[[Sequence[str]], FloatMatrix],
        what: str,
    ) -> None:
        done = 0
        with self.progress(what) as told:
            told(0, len(missing))
            for start in range(0, len(missing), _BATCH):
                some = list(missing.items())[start : start + _BATCH]
                made = encode([text for _, text in some])
                rows = [(key, vector.astype("<f4").tobytes()) for (key, _), vector in zip(some, made, strict=True)]
                with database:
                    database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
                done += len(some)
                told(done, len(missing))

    def _path(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(self.encoder.identity.model_dump_json().encode()).hexdigest()[:16]
        return self.folder / f"vectors-{self.encoder.identity.name}-{name}.sqlite"
