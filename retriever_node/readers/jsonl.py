"""JSON Lines: one document per line, its fields named by the collection's settings."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from retriever_node.documents import Document, Unreadable
from retriever_node.records import RecordFields, record_document
from retriever_node.sources import MAXIMUM_BYTES, Reader, SourceFile, decoded


class Settings(RecordFields):
    """Which field of a record is what."""


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A bad line costs that line, not the file."""

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
                        yield self._document(raw, f"line {number}: ", source, collection)
        except OSError:
            yield source.unreadable("not_readable", "the file cannot be opened")
            return
        if number == 0:
            yield source.unreadable("empty", "no record")

    def _document(self, raw: bytes, where: str, source: SourceFile, collection: str) -> Document | Unreadable:
        line = decoded(raw, source, where)
        if isinstance(line, Unreadable):
            return line
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return source.unreadable("bad_json", f"{where}not JSON")
        if not isinstance(record, dict):
            return source.unreadable("bad_record", f"{where}not an object")
        return record_document(record, self.settings, source, collection, where)


def build(settings: Settings) -> Reader:
    return JsonLines(settings)
