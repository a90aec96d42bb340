"""Whether a store is whole, and taking out of it what is not."""

import sqlite3
from dataclasses import dataclass
from typing import Final

import numpy as np

from retriever_node.store import catalogue, documents, forms
from retriever_node.store.checksums import HEADS, ROWS_OF, sha256_now
from retriever_node.store.database import Database
from retriever_node.store.vectors import stored_vectors

_STRAYS: Final = (
    "DELETE FROM passages WHERE document NOT IN (SELECT document FROM documents)",
    "DELETE FROM vectors WHERE passage_id NOT IN (SELECT passage_id FROM passages)",
    "DELETE FROM redacted WHERE passage_id NOT IN (SELECT passage_id FROM passages)",
    "DELETE FROM patients_of_documents WHERE document NOT IN (SELECT document FROM documents)",
    "DELETE FROM patients_of_documents WHERE patient NOT IN (SELECT patient FROM patients)",
    "DELETE FROM patients WHERE patient NOT IN (SELECT patient FROM patients_of_documents)",
    "DELETE FROM facts_of_documents WHERE document NOT IN (SELECT document FROM documents)",
    "DELETE FROM facts_of_documents WHERE fact NOT IN (SELECT fact FROM facts)",
    "DELETE FROM facts WHERE fact NOT IN (SELECT fact FROM facts_of_documents)",
    "DELETE FROM calibrations WHERE collection NOT IN (SELECT collection FROM collections)",
    "INSERT OR IGNORE INTO collections (collection) SELECT collection FROM documents",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something `check` found wrong; `count` rows of it."""

    code: str
    count: int


def check(database: Database, dimension: int) -> tuple[Problem, ...]:
    faults = [row[0] for row in database.read("PRAGMA integrity_check") if row[0] != "ok"]
    problems = [
        Problem("corrupt_pages", len(faults)),
        Problem("broken_reference", len(database.read("PRAGMA foreign_key_check"))),
        Problem(
            "passage_without_vector",
            _count(database, "passages LEFT JOIN vectors USING (passage_id) WHERE vector IS NULL"),
        ),
        Problem(
            "document_without_passage",
            _count(database, "documents LEFT JOIN passages USING (document) WHERE passage_id IS NULL"),
        ),
        Problem("wrong_dimension", _count(database, f"vectors WHERE length(vector) <> {4 * dimension}")),
    ]
    if not any(problem.count for problem in problems):
        crooked = sum(_not_unit(database, one, dimension) for one in catalogue.collections(database))
        problems.append(Problem("not_a_unit_vector", crooked))
    if not any(problem.count for problem in problems):
        problems.append(Problem("altered_document", len(unsound(database, dimension))))
        problems.append(Problem("altered_redaction", len(forms.altered(database))))
    return tuple(problem for problem in problems if problem.count)


def unsound(database: Database, dimension: int) -> tuple[tuple[str, str], ...]:
    with database.snapshot() as connection:
        return tuple(
            (head[2], head[3])
            for head in connection.execute(HEADS).fetchall()
            if sha256_now(connection, head) != head[1] or not _searchable(connection, head[0], dimension)
        )


def mend(database: Database, dimension: int) -> tuple[tuple[tuple[str, str], ...], int, int]:
    with database.writing() as connection:
        strays = sum(connection.execute(statement).rowcount for statement in _STRAYS)
    altered = forms.altered(database)
    forms.put(database, ((passage_id, (), None) for passage_id in altered))
    forgotten = unsound(database, dimension)
    for collection, document_id in forgotten:
        documents.forget(database, collection, document_id)
    database.checkpoint()
    return forgotten, strays, len(altered)


def _searchable(connection: sqlite3.Connection, document: int, dimension: int) -> bool:
    rows = connection.execute(ROWS_OF, (document,)).fetchall()
    fits = all(row[4] is not None and len(row[4]) == 4 * dimension for row in rows)
    lengths = [float(np.linalg.norm(np.frombuffer(row[4], dtype="<f4"))) for row in rows] if fits else []
    return bool(lengths) and all(abs(length - 1) < 1e-3 for length in lengths)


def _not_unit(database: Database, collection: str, dimension: int) -> int:
    lengths = np.linalg.norm(stored_vectors(database, collection, dimension).vectors, axis=1)
    return int(np.sum(~(np.abs(lengths - 1) < 1e-3)))  # a NaN is not near 1 either


def _count(database: Database, rows: str) -> int:
    return int(database.read(f"SELECT count(*) FROM {rows}")[0][0])  # noqa: S608 - constant text of this file
