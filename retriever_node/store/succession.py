"""A store and those that come after it: what was given out under an id, a key or a version is never given out anew."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from retriever_node.store.database import Database


def document_key(database: Database) -> bytes:
    rows = database.read("SELECT value FROM settings WHERE name = 'document_key'")
    return bytes.fromhex(rows[0][0]) if rows else b""


def newest_passage(database: Database) -> int:
    rows = database.read("SELECT seq FROM sqlite_sequence WHERE name = 'passages'")
    return int(rows[0][0]) if rows else 0


def continue_after(database: Database, document_key: bytes, passage_id: int, generations: Mapping[str, int]) -> None:
    with database.writing() as connection:
        connection.execute("UPDATE settings SET value = ? WHERE name = 'document_key'", (document_key.hex(),))
        connection.execute("INSERT INTO sqlite_sequence VALUES ('passages', ?)", (passage_id,))
        for collection, generation in generations.items():
            row = (collection, generation + 1)
            connection.execute("INSERT INTO collections (collection, generation) VALUES (?, ?)", row)


def advance_descriptions(path: Path, now_s: int, collections: Iterable[str] = ()) -> None:
    """Of a store that was taken back to an earlier state: its next descriptions have higher versions than any it gave
    out, since these grow more slowly than the seconds do; a router refuses a version lower than one it has seen.
    `collections` that it may have lost count as well."""
    with closing(sqlite3.connect(path)) as database, database:
        for collection in collections:
            database.execute("INSERT OR IGNORE INTO collections (collection) VALUES (?)", (collection,))
        database.execute("UPDATE collections SET description_version = max(description_version, ?)", (now_s,))
