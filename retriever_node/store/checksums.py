"""A document's checksum: that it is, to the last byte, what was put."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

HEADS: Final = """
SELECT document, rows_sha256, collection, document_id, name, title, version, effective_date, source, ingested_sha256,
encounter FROM documents
"""
ROWS_OF: Final = """
SELECT section, start, "end", text, vector FROM passages LEFT JOIN vectors USING (passage_id) WHERE document = ?
ORDER BY start, passage_id
"""
_PATIENTS_OF: Final = "SELECT key FROM patients_of_documents JOIN patients USING (patient) WHERE document = ?"
_FACTS_OF: Final = """
SELECT kind, system, code, label FROM facts_of_documents JOIN facts USING (fact) WHERE document = ?
"""


def rows_sha256(
    head: Sequence[str | None],
    patients: Iterable[str],
    rows: Iterable[tuple[str, int, int, str, bytes | None]],
    facts: Iterable[tuple[str, ...]] = (),
) -> str:
    """Of everything stored about one document: its own fields, its patients' keys, of each passage, in order of offset,
    section, start, end, text and vector, and its facts where it has some."""
    digest = hashlib.sha256(json.dumps([*head, sorted(patients)]).encode())
    if stated := sorted(facts):
        digest.update(json.dumps(stated).encode())
    for section, start, end, text, vector in rows:
        raw = vector or b""
        digest.update(json.dumps([section, start, end, text, len(raw)]).encode() + raw)
    return digest.hexdigest()


def sha256_now(connection: sqlite3.Connection, head: tuple[Any, ...]) -> str:
    """Of what is stored now of the document with this row of HEADS."""
    patients = [row[0] for row in connection.execute(_PATIENTS_OF, head[:1])]
    facts = connection.execute(_FACTS_OF, head[:1]).fetchall()
    return rows_sha256(head[2:], patients, connection.execute(ROWS_OF, head[:1]), facts)
