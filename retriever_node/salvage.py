"""What can still be read of a damaged passage store: documents that are whole, and nothing else.

Whole is what has the checksum it was stored with, so no document comes back with a passage less or a word changed. Rows
are looked for by their numbers, in ranges that are halved where SQLite fails: one bad page costs what lies on it.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from fedrag.core.collection import EncoderIdentity
from fedrag.core.wire import FloatMatrix
from retriever_node.documents import Document, PassageDraft
from retriever_node.facts import Fact
from retriever_node.store import PassageStore
from retriever_node.store.checksums import rows_sha256

_HEADS: Final = """
SELECT document, rows_sha256, collection, document_id, name, title, version, effective_date, source, ingested_sha256,
encounter FROM documents NOT INDEXED WHERE document BETWEEN ? AND ?
"""
_PASSAGE_IDS: Final = "SELECT passage_id, document FROM passages NOT INDEXED WHERE passage_id BETWEEN ? AND ?"
_ROW: Final = """
SELECT section, start, "end", text, vector FROM passages JOIN vectors USING (passage_id) WHERE passage_id = ?
"""
_LAST: Final = "SELECT seq FROM sqlite_sequence WHERE name = ?"
_PATIENTS: Final = """
SELECT key, identifiers FROM patients_of_documents JOIN patients USING (patient) WHERE document = ?
"""

_FACTS: Final = "SELECT kind, system, code, label FROM facts_of_documents JOIN facts USING (fact) WHERE document = ?"

_Read = Callable[..., list[tuple[Any, ...]]]


def salvage(damaged: Path, store: PassageStore) -> int:
    """Puts every whole document of a damaged file into an empty store; how many there were. None where the file does
    not say any more which encoder made it."""
    with closing(sqlite3.connect(f"{damaged.resolve().as_uri()}?mode=ro", uri=True)) as database:

        def read(statement: str, *values: int | str) -> list[tuple[Any, ...]]:
            return database.execute(statement, values).fetchall()

        settings = dict(_readable(read, "SELECT name, value FROM settings"))
        if "document_key" not in settings or not _made_with(store.encoder, settings.get("encoder", "")):
            return 0
        last = _last(read, "passages")
        generations = dict(_readable(read, "SELECT collection, generation FROM collections"))
        store.continue_after(bytes.fromhex(settings["document_key"]), last, generations)
        passages: dict[int, list[int]] = defaultdict(list)
        for passage_id, document in _ranges(read, _PASSAGE_IDS, last):
            passages[document].append(passage_id)
        found = 0
        for head in _ranges(read, _HEADS, _last(read, "documents")):
            try:
                whole = _whole(read, head, passages[head[0]])
            except (sqlite3.DatabaseError, ValueError, TypeError):
                continue
            if whole is not None:
                store.put(*whole, ingested_sha256=whole[0].content_sha256)
                found += 1
        return found


def _whole(
    read: _Read, head: tuple[Any, ...], ids: list[int]
) -> tuple[Document, list[PassageDraft], FloatMatrix] | None:
    rows = [row for one in ids for row in read(_ROW, one)]
    rows.sort(key=lambda row: row[1])
    patients, facts = read(_PATIENTS, head[0]), _readable(read, _FACTS, head[0])
    if not rows or rows_sha256(head[2:], [key for key, _ in patients], rows, facts) != head[1]:
        return None
    _, _, collection, document_id, name, title, version, effective, source, ingested, encounter = head
    document = Document(
        collection=collection,
        document_id=document_id,
        name=name,
        title=title,
        version=version,
        effective_date=date.fromisoformat(effective) if effective else None,
        sections=(),
        content_sha256=ingested,
        source=source,
        patients=tuple(key for key, _ in patients),
        encounter=encounter,
        identifiers=tuple(dict.fromkeys(one for _, known in patients for one in json.loads(known))),
        facts=tuple(Fact(*one) for one in facts),
    )
    vectors: FloatMatrix = np.stack([np.frombuffer(row[4], dtype="<f4") for row in rows])
    return document, [PassageDraft(title, *row[:4]) for row in rows], vectors


def _ranges(read: _Read, statement: str, last: int) -> Iterator[tuple[Any, ...]]:
    """Rows numbered 1 to `last` that can be read, in order."""
    waiting = [(1, last)]
    while waiting:
        low, high = waiting.pop()
        try:
            rows = read(statement, low, high)
        except sqlite3.DatabaseError:
            middle = (low + high) // 2
            waiting += [(middle + 1, high), (low, middle)] if low < high else []
            continue
        yield from rows


def _last(read: _Read, table: str) -> int:
    """The highest number ever given to a row; 0 where that cannot be read: then none is looked for."""
    return int(max((row[0] for row in _readable(read, _LAST, table)), default=0))


def _made_with(encoder: EncoderIdentity, written: str) -> bool:
    try:
        return EncoderIdentity.model_validate_json(written).comparable_with == encoder.comparable_with
    except ValidationError:
        return False


def _readable(read: _Read, statement: str, *values: int | str) -> list[tuple[Any, ...]]:
    try:
        return read(statement, *values)
    except sqlite3.DatabaseError:
        return []
