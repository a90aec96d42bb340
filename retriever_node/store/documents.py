"""Documents in and out: one is put, replaced and forgotten whole, with all that was read of it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date
from typing import Any, Final

import numpy as np

from fedrag.core.errors import IntegrityError
from fedrag.core.wire import FloatMatrix
from retriever_node.documents import Document, Passage, PassageDraft
from retriever_node.store import people
from retriever_node.store.checksums import rows_sha256
from retriever_node.store.database import Database, some

_PASSAGES: Final = """
SELECT passage_id, collection, document_id, name, title, section, version, effective_date, start, "end", text
FROM passages JOIN documents USING (document)
"""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What was ingested under an id: a fingerprint of its content and of how it was cut and embedded, and its file."""

    ingested_sha256: str
    source: str


def put(
    database: Database,
    document: Document,
    passages: Sequence[PassageDraft],
    vectors: FloatMatrix,
    dimension: int,
    ingested_sha256: str | None,
) -> None:
    expected = (len(passages), dimension)
    if vectors.shape != expected or not np.isfinite(vectors).all():
        raise IntegrityError(f"vectors {vectors.shape} are not {expected} finite numbers", code="bad_vectors")
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    effective = document.effective_date.isoformat() if document.effective_date else None
    head = (
        *(document.collection, document.document_id, document.name, document.title, document.version, effective),
        *(document.source, ingested_sha256 or document.content_sha256, document.encounter),
    )
    written = [
        (passage.section, passage.start, passage.end, passage.text, vector.tobytes())
        for passage, vector in zip(passages, rows, strict=True)
    ]
    facts = [astuple(one) for one in document.facts]
    checksum = rows_sha256(head, set(document.patients), sorted(written, key=lambda row: row[1]), facts)
    with database.writing() as connection:
        _touch(connection, document.collection)
        connection.execute(
            "DELETE FROM documents WHERE collection = ? AND document_id = ?",
            (document.collection, document.document_id),
        )
        key = connection.execute(
            "INSERT INTO documents (collection, document_id, name, title, version, effective_date, source,"
            " ingested_sha256, encounter, rows_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*head, checksum),
        ).lastrowid
        people.put(connection, key, document)
        for *passage, vector in written:
            passage_id = connection.execute(
                'INSERT INTO passages (document, section, start, "end", text) VALUES (?, ?, ?, ?, ?)',
                (key, *passage),
            ).lastrowid
            connection.execute("INSERT INTO vectors VALUES (?, ?)", (passage_id, vector))


def forget(database: Database, collection: str, document_id: str) -> bool:
    with database.writing() as connection:
        gone = connection.execute(
            "DELETE FROM documents WHERE collection = ? AND document_id = ?", (collection, document_id)
        ).rowcount
        if gone:
            _touch(connection, collection)
    return bool(gone)


def stored(database: Database, collection: str) -> dict[str, StoredDocument]:
    rows = database.read("SELECT document_id, ingested_sha256, source FROM documents WHERE collection = ?", collection)
    return {row[0]: StoredDocument(row[1], row[2]) for row in rows}


def passages_of(database: Database, ids: Sequence[int]) -> tuple[Passage, ...]:
    found: dict[int, Passage] = {}
    for part, marks in some(ids):
        rows = database.read(_PASSAGES + f" WHERE passage_id IN ({marks})", *part)
        found.update((row[0], _passage(row)) for row in rows)
    return tuple(found[int(passage_id)] for passage_id in ids if int(passage_id) in found)


def _touch(connection: sqlite3.Connection, collection: str) -> None:
    """The collection is one generation further."""
    connection.execute(
        "INSERT INTO collections (collection, generation) VALUES (?, 1)"
        " ON CONFLICT (collection) DO UPDATE SET generation = generation + 1",
        (collection,),
    )


def _passage(row: tuple[Any, ...]) -> Passage:
    passage_id, collection, document_id, name, title, section, version, effective, start, end, text = row
    return Passage(
        passage_id=passage_id,
        collection=collection,
        document_id=document_id,
        document_name=name,
        title=title,
        section=section,
        version=version,
        effective_date=date.fromisoformat(effective) if effective else None,
        start=start,
        end=end,
        text=text,
    )
