"""Each collection as a whole: its generation, what it holds, what was fitted on it, how it was described."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from retriever_node.calibration import Calibration, Calibrations
from retriever_node.store.database import Database


@dataclass(frozen=True, slots=True)
class Counts:
    documents: int
    passages: int


def collections(database: Database) -> tuple[str, ...]:
    return tuple(row[0] for row in database.read("SELECT collection FROM collections ORDER BY collection"))


def generation(database: Database, collection: str) -> int:
    rows = database.read("SELECT generation FROM collections WHERE collection = ?", collection)
    return int(rows[0][0]) if rows else 0


def counts(database: Database, collection: str) -> Counts:
    (row,) = database.read(
        "SELECT count(DISTINCT document), count(passage_id) FROM documents LEFT JOIN passages USING (document)"
        " WHERE collection = ?",
        collection,
    )
    return Counts(documents=int(row[0]), passages=int(row[1]))


def fingerprint(database: Database, collection: str) -> str:
    rows = database.read(
        "SELECT document_id, ingested_sha256, min(passage_id), max(passage_id), count(passage_id)"
        " FROM documents LEFT JOIN passages USING (document) WHERE collection = ? GROUP BY document"
        " ORDER BY document_id",
        collection,
    )
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()


def put_calibrations(database: Database, collection: str, generation: int, fitted: Calibrations) -> None:
    with database.writing() as connection:
        connection.execute("INSERT OR IGNORE INTO collections (collection) VALUES (?)", (collection,))
        connection.execute(
            "DELETE FROM calibrations WHERE collection = ? AND generation <= ?", (collection, generation)
        )
        connection.execute(
            "INSERT INTO calibrations VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(collection, generation),
                *(fitted.vectors.slope, fitted.vectors.intercept),
                *(fitted.both.slope, fitted.both.intercept),
            ),
        )


def calibrations(database: Database, collection: str) -> tuple[int, Calibrations] | None:
    rows = database.read(
        "SELECT generation, slope, intercept, both_slope, both_intercept FROM calibrations WHERE collection = ?"
        " ORDER BY generation DESC LIMIT 1",
        collection,
    )
    if not rows:
        return None
    generation, *fitted = rows[0]
    vectors = Calibration(*fitted[:2])
    if None in fitted:
        return -1, Calibrations(vectors)
    return int(generation), Calibrations(vectors, Calibration(*fitted[2:]))


def described(database: Database, collection: str, content_sha256: str, now: datetime) -> tuple[int, datetime]:
    with database.writing() as connection:
        connection.execute("INSERT OR IGNORE INTO collections (collection) VALUES (?)", (collection,))
        connection.execute(
            "UPDATE collections SET description_version = description_version + 1, description_sha256 = ?,"
            " described_at = ? WHERE collection = ? AND description_sha256 <> ?",
            (content_sha256, now.isoformat(), collection, content_sha256),
        )
        version, described_at = connection.execute(
            "SELECT description_version, described_at FROM collections WHERE collection = ?", (collection,)
        ).fetchone()
    return int(version), datetime.fromisoformat(described_at)
