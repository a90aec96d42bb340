"""Whom documents are about: patients, the strings known to name them, and what is stated of them. None of it leaves."""

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from typing import Final

from retriever_node.documents import Document
from retriever_node.facts import Fact
from retriever_node.store.database import Database, some

_PROVENANCE: Final = """
SELECT passage_id, encounter, json_group_array(key) FILTER (WHERE key IS NOT NULL)
FROM passages JOIN documents USING (document)
LEFT JOIN patients_of_documents USING (document) LEFT JOIN patients USING (patient)
"""
_KNOWN: Final = """
SELECT passage_id, json_group_array(identifiers)
FROM passages JOIN patients_of_documents USING (document) JOIN patients USING (patient)
"""
_WITH_FACT: Final = """
SELECT DISTINCT patient FROM facts_of_documents JOIN documents USING (document)
JOIN patients_of_documents USING (document)
"""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Whose records a passage is made from. It has no wire form and is in no citation."""

    patients: tuple[str, ...]
    encounter: str


def put(connection: sqlite3.Connection, document: int | None, about: Document) -> None:
    """What was read of a document's patients, beside what other documents say of them."""
    for patient in about.patients:
        rows = connection.execute("SELECT identifiers FROM patients WHERE key = ?", (patient,)).fetchall()
        known = tuple(dict.fromkeys((*(json.loads(rows[0][0]) if rows else ()), *about.identifiers)))
        (number,) = connection.execute(
            "INSERT INTO patients (key, identifiers) VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET identifiers = excluded.identifiers RETURNING patient",
            (patient, json.dumps(known)),
        ).fetchone()
        connection.execute("INSERT OR IGNORE INTO patients_of_documents VALUES (?, ?)", (document, number))
    for fact in map(astuple, about.facts):
        connection.execute("INSERT OR IGNORE INTO facts (kind, system, code, label) VALUES (?, ?, ?, ?)", fact)
        connection.execute(
            "INSERT INTO facts_of_documents SELECT ?, fact FROM facts WHERE (kind, system, code, label) = (?, ?, ?, ?)",
            (document, *fact),
        )


def provenance(database: Database, ids: Sequence[int]) -> dict[int, Provenance]:
    found: dict[int, Provenance] = {}
    for part, marks in some(ids):
        rows = database.read(_PROVENANCE + f" WHERE passage_id IN ({marks}) GROUP BY passage_id", *part)
        found.update((row[0], Provenance(tuple(sorted(json.loads(row[2]))), row[1])) for row in rows)
    return found


def count_patients(database: Database, collection: str) -> int:
    rows = database.read(
        "SELECT count(DISTINCT patient) FROM patients_of_documents JOIN documents USING (document)"
        " WHERE collection = ?",
        collection,
    )
    return int(rows[0][0])


def identifiers(database: Database, patient: str) -> tuple[str, ...]:
    rows = database.read("SELECT identifiers FROM patients WHERE key = ?", patient)
    return tuple(json.loads(rows[0][0])) if rows else ()


def known(database: Database, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for part, marks in some(ids):
        rows = database.read(_KNOWN + f" WHERE passage_id IN ({marks}) GROUP BY passage_id", *part)
        found.update((row[0], _strings(row[1])) for row in rows)
    return found


def known_now(connection: sqlite3.Connection, passage_id: int) -> tuple[str, ...]:
    """Of one passage, inside a transaction; empty for one that is about nobody."""
    rows = connection.execute(_KNOWN + " WHERE passage_id = ? GROUP BY passage_id", (passage_id,)).fetchall()
    return _strings(rows[0][1]) if rows else ()


def facts(database: Database) -> dict[int, Fact]:
    return {row[0]: Fact(*row[1:]) for row in database.read("SELECT fact, kind, system, code, label FROM facts")}


def patients_with(database: Database, facts: Collection[int], collections: Collection[str]) -> frozenset[int]:
    found: set[int] = set()
    among = ",".join("?" * len(collections))
    for part, marks in some(sorted(facts)):
        where = f" WHERE fact IN ({marks}) AND collection IN ({among})"
        found.update(row[0] for row in database.read(_WITH_FACT + where, *part, *sorted(collections)))
    return frozenset(found)


def patient_keys(database: Database, patients: Collection[int]) -> tuple[str, ...]:
    found: list[str] = []
    for part, marks in some(sorted(patients)):
        found += (row[0] for row in database.read(f"SELECT key FROM patients WHERE patient IN ({marks})", *part))  # noqa: S608 - question marks
    return tuple(sorted(found))


def _strings(lists: str) -> tuple[str, ...]:
    """JSON of lists of strings, each written as JSON itself, to what is in any of them."""
    return tuple(sorted({one for written in json.loads(lists) for one in json.loads(written)}))
