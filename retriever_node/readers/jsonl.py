"""JSON Lines: one document per line, its fields named by the collection's settings."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fedrag.core.config import Config
from retriever_node.documents import Document, Unreadable
from retriever_node.sources import (
    MAXIMUM_BYTES,
    Reader,
    SourceFile,
    decoded,
    document,
    parsed_date,
    section,
)

_MAXIMUM_ID: Final = 500


class Settings(Config):
    """Which field of a record is what. `id` and `text` must be there; the others may be absent, empty or null."""

    id: str = "id"
    name: str = "name"
    title: str = "title"
    text: str = "text"
    section: str = "section"
    version: str = "version"
    effective_date: str = "effective_date"


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A document's title is its id where it has none, its name its title. A bad line costs that line, not the file."""

    settings: Settings

    def read(self, source: SourceFile, collection: str) -> Iterator[Document | Unreadable]:
        number = 0
        try:
            with source.path.open("rb") as file:
                while raw := file.readline(MAXIMUM_BYTES + 1):
                    number += 1
                    if len(raw) > MAXIMUM_BYTES:  # what follows is the rest of this line, not a record
                        yield source.unreadable("too_large", f"line {number}: longer than {MAXIMUM_BYTES} bytes")
                        while raw and not raw.endswith(b"\n"):
                            raw = file.readline(MAXIMUM_BYTES)
                    elif raw.strip():
                        yield self._document(raw, number, source, collection)
        except OSError:
            yield source.unreadable("not_readable", "the file cannot be opened")
            return
        if number == 0:
            yield source.unreadable("empty", "no record")

    def _document(self, raw: bytes, number: int, source: SourceFile, collection: str) -> Document | Unreadable:
        where = f"line {number}: "
        line = decoded(raw, source, where)
        if isinstance(line, Unreadable):
            return line
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return source.unreadable("bad_json", f"{where}not JSON")
        if not isinstance(record, dict):
            return source.unreadable("bad_record", f"{where}not an object")
        names = self.settings.model_dump()
        values = {field: _string(record.get(name)) for field, name in names.items()}
        for field, value in values.items():
            if value is None:
                return source.unreadable("bad_record", f"{where}{names[field]} is not plain text")
        found = {field: value or "" for field, value in values.items()}
        document_id = found["id"].strip()
        if not document_id or len(document_id) > _MAXIMUM_ID:
            return source.unreadable("bad_record", f"{where}{names['id']} is not 1 to {_MAXIMUM_ID} characters")
        if not found["text"].strip():
            return source.unreadable("empty", f"{where}no text")
        try:
            effective = parsed_date(found["effective_date"]) if found["effective_date"].strip() else None
        except ValueError:
            return source.unreadable("bad_record", f"{where}{names['effective_date']} is not an ISO date")
        title = found["title"].strip() or document_id
        return document(
            source,
            collection,
            document_id=document_id,
            name=found["name"].strip() or title,
            title=title,
            version=found["version"],
            effective_date=effective,
            sections=(section(found["section"], found["text"], 0, len(found["text"])),),
        )


def build(settings: Settings) -> Reader:
    return JsonLines(settings)


def _string(value: object) -> str | None:
    """None for what is not text or a whole number, or holds half a surrogate pair or a zero character."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return None if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text) else text
