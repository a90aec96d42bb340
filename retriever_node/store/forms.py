"""Redacted forms: what may leave of a passage, kept beside it and taken for no other's."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from retriever_node.store.database import Database, some
from retriever_node.store.people import known_now

_FORMS: Final = "SELECT passage_id, redaction, form, sha256 FROM redacted"
_UNREDACTED: Final = """
FROM passages CROSS JOIN documents USING (document) LEFT JOIN redacted USING (passage_id)
WHERE collection = ? AND passage_id > ? AND redaction IS NOT ?
"""
"""In the order of passages: each batch goes on where the one before it ended."""


@dataclass(frozen=True, slots=True)
class RedactedForm:
    """What may leave of a passage, as the redaction of this version made it: its text, and all that a citation says in
    words."""

    redaction: str
    document_id: str
    document_name: str
    title: str
    section: str
    version: str
    text: str

    def sha256(self, passage_id: int) -> str:
        """Of the form of this passage, so that it is taken for no other's."""
        return hashlib.sha256(json.dumps([passage_id, self.redaction, self.dumped()]).encode()).hexdigest()

    def dumped(self) -> str:
        words = (self.document_id, self.document_name, self.title, self.section, self.version, self.text)
        return json.dumps(words, ensure_ascii=False)


def redacted(database: Database, ids: Sequence[int], redaction: str) -> dict[int, RedactedForm]:
    found: dict[int, RedactedForm] = {}
    for part, marks in some(ids):
        for row in database.read(_FORMS + f" WHERE redaction = ? AND passage_id IN ({marks})", redaction, *part):
            form = _form(*row)
            if form is not None:
                found[row[0]] = form
    return found


def unredacted(database: Database, collection: str, redaction: str, after: int, limit: int) -> tuple[int, ...]:
    rows = database.read(
        "SELECT passage_id" + _UNREDACTED + "ORDER BY passage_id LIMIT ?", collection, after, redaction, limit
    )
    return tuple(row[0] for row in rows)


def count_unredacted(database: Database, collection: str, redaction: str, after: int) -> int:
    return int(database.read("SELECT count(*)" + _UNREDACTED, collection, after, redaction)[0][0])


def put(database: Database, made: Iterable[tuple[int, tuple[str, ...], RedactedForm | None]]) -> None:
    with database.writing() as connection:
        for passage_id, known, form in made:
            connection.execute("DELETE FROM redacted WHERE passage_id = ?", (passage_id,))
            there = connection.execute("SELECT 1 FROM passages WHERE passage_id = ?", (passage_id,)).fetchone()
            if form is not None and there and known_now(connection, passage_id) == known:
                row = (passage_id, form.redaction, form.dumped(), form.sha256(passage_id))
                connection.execute("INSERT INTO redacted VALUES (?, ?, ?, ?)", row)


def forget(database: Database, collection: str) -> None:
    with database.writing() as connection:
        connection.execute(
            "DELETE FROM redacted WHERE passage_id IN"
            " (SELECT passage_id FROM passages JOIN documents USING (document) WHERE collection = ?)",
            (collection,),
        )


def altered(database: Database) -> tuple[int, ...]:
    """Passages whose form is not to the last byte what was put."""
    with database.snapshot() as connection:
        return tuple(row[0] for row in connection.execute(_FORMS) if _form(*row) is None)


def _form(passage_id: int, redaction: str, written: str, sha256: str) -> RedactedForm | None:
    """None for what is not to the last byte what was put."""
    try:
        form = RedactedForm(redaction, *json.loads(written))
    except (ValueError, TypeError):
        return None
    return form if form.sha256(passage_id) == sha256 else None
