"""What is known of hospitals' descriptions, in the coordinator's folder: one SQLite file.

records     what was seen to support or refute each description, as sums
chain       every description's version and digest, and which it names as the one before, in the order they came
declared    what the operator says: which organisation a hospital belongs to, and whether they answer for it
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

import numpy as np
from pydantic import Field

from fedrag.core.collection import CollectionDescription
from fedrag.core.errors import IntegrityError
from fedrag.core.wire import Finite, NodeId, Vector, Wire, decode_vector, encode_vector
from router.density import Density
from router.evidence import Sums, Trial
from router.record import Record

FORMAT: Final = 3
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
    node TEXT PRIMARY KEY, record TEXT NOT NULL, vouched INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chain (
    number INTEGER PRIMARY KEY, node TEXT NOT NULL, collection TEXT NOT NULL, version INTEGER NOT NULL,
    digest TEXT NOT NULL, previous TEXT NOT NULL, seen_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS chain_by_collection ON chain (node, collection, digest);
CREATE TABLE IF NOT EXISTS declared (
    node TEXT PRIMARY KEY, organisation TEXT NOT NULL, vouched INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
_DROPPED: Final = {1: ("records", "chain"), 2: ("records",)}
Numbers = tuple[Annotated[Finite, Field(ge=0)], ...]
Signed = tuple[Finite, ...]


class Link(StrEnum):
    """How a description follows the one before."""

    FIRST = "first"
    SAME = "same"
    NEXT = "next"
    GAP = "gap"
    """Descriptions between were never seen, which happens while the coordinator is down."""
    RESTORED = "restored"
    """It follows one before the last, far above it: what `fedrag-node restore` makes of a backup."""
    ROLLBACK = "rollback"
    """One that we know came again after a later one."""
    FORK = "fork"
    """It stands where we know another: two histories were signed."""


class KeptRecord(Wire):
    """A `Record` as it is stored: of a hospital's published prototypes, and sums; no question."""

    claims: tuple[Vector, ...]
    masses: Numbers
    proved: tuple[Vector, ...]
    proved_masses: Numbers
    sums: dict[Trial, tuple[Numbers, Numbers, Signed]]
    denied: Annotated[Finite, Field(ge=0)]
    vouched: bool

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls(
            claims=tuple(map(encode_vector, record.claims.vectors)),
            masses=tuple(record.claims.masses.tolist()),
            proved=tuple(map(encode_vector, record.proved.vectors)),
            proved_masses=tuple(record.proved.masses.tolist()),
            sums={trial: _columns(record.sums[trial]) for trial in Trial},
            denied=record.denied,
            vouched=record.vouched,
        )

    def record(self, dimension: int) -> Record:
        return Record(
            _density(self.claims, self.masses, dimension),
            _density(self.proved, self.proved_masses, dimension),
            {trial: Sums(*(np.array(one, dtype=np.float64) for one in self.sums[trial])) for trial in Trial},
            self.denied,
            self.vouched,
        )


def _columns(sums: Sums) -> tuple[Numbers, Numbers, Signed]:
    return tuple(sums.claimed.tolist()), tuple(sums.found.tolist()), tuple(sums.odds.tolist())


def _density(vectors: Sequence[Vector], masses: Sequence[float], dimension: int) -> Density:
    rows = np.array([decode_vector(one) for one in vectors], dtype=np.float32)
    return Density(rows.reshape(len(vectors), dimension), np.array(masses, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Declared:
    """`vouched`: how many times the operator has answered for it."""

    organisation: str
    vouched: int = 0


class TrustStore:
    """Thread-safe; every method is one transaction. The command line and the running service share the file."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Raises IntegrityError(state_format)."""
        self._lock, self._clock = threading.Lock(), clock
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # What a power failure costs is seen again.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction() as connection:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found < FORMAT:  # what was seen is seen again; what the operator said stays, and of format 2 the chain
                for table in _DROPPED.get(found, ()):
                    connection.execute(f"DROP TABLE {table}")
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {FORMAT}")
            elif found > FORMAT:
                raise IntegrityError(f"{path} has format {found}; this version reads {FORMAT}", code="state_format")

    def declare(self, node: NodeId, organisation: str | None = None, *, vouch: bool = False) -> None:
        """Say whose hospital it is, or answer for it as it describes itself when it is next seen."""
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO declared VALUES (?, ?, 0)", (node, organisation or node))
            if organisation is not None:
                connection.execute("UPDATE declared SET organisation = ? WHERE node = ?", (organisation, node))
            connection.execute("UPDATE declared SET vouched = vouched + ? WHERE node = ?", (int(vouch), node))

    def declared(self) -> dict[NodeId, Declared]:
        with self._transaction() as connection:
            rows = connection.execute("SELECT node, organisation, vouched FROM declared").fetchall()
        return {node: Declared(organisation, vouched) for node, organisation, vouched in rows}

    def records(self, dimension: int) -> dict[NodeId, tuple[Record, int]]:
        """With how often the operator had answered for each when it was written. Those of another encoder's dimension
        are left out."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT node, record, vouched FROM records").fetchall()
        made: dict[NodeId, tuple[Record, int]] = {}
        for node, text, vouched in rows:
            kept = KeptRecord.model_validate_json(text)
            if all(decode_vector(one).size == dimension for one in (*kept.claims, *kept.proved)):
                made[node] = kept.record(dimension), vouched
        return made

    def put(self, records: Mapping[NodeId, tuple[Record, int]]) -> None:
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
                [(node, KeptRecord.of(one).model_dump_json(), vouched) for node, (one, vouched) in records.items()],
            )

    def follow(self, described: CollectionDescription) -> Link:
        """Put a description down behind those before it. What breaks the chain does so once: others may follow it."""
        key, digest = (described.node, described.collection), described.digest
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT version, digest FROM chain WHERE node = ? AND collection = ? ORDER BY number", key
            ).fetchall()
            link = _link(described, digest, rows)
            if link is not Link.SAME:
                connection.execute(
                    "INSERT INTO chain VALUES (NULL, ?, ?, ?, ?, ?, ?)",
                    (*key, described.version, digest, described.previous, self._clock()),
                )
        return link

    def chain(self) -> tuple[tuple[NodeId, NodeId, int, str], ...]:
        """(node, collection, version, digest) of every description seen."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT node, collection, version, digest FROM chain ORDER BY node, collection, number"
            ).fetchall()
        return tuple((node, collection, version, digest) for node, collection, version, digest in rows)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _link(described: CollectionDescription, digest: str, known: Sequence[tuple[int, str]]) -> Link:
    """How it follows those that are known, (version, digest) in the order they came."""
    if not known:
        return Link.FIRST
    version, last = known[-1]
    if digest == last:
        return Link.SAME
    if any(digest == one for _, one in known):
        return Link.ROLLBACK
    if described.previous == last and described.version > version:
        return Link.NEXT
    if described.version <= version + 1:
        return Link.FORK
    return Link.RESTORED if any(described.previous == one for _, one in known) else Link.GAP
