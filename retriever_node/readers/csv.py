"""CSV: one document per row, its columns named by the header row and the collection's settings."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from pydantic import StringConstraints

from retriever_node.documents import Document, Unreadable
from retriever_node.records import RecordFields, record_document
from retriever_node.sources import MAXIMUM_BYTES, Reader, SourceFile, is_unicode


class Settings(RecordFields):
    """Which column of a row is what, and the one character between columns."""

    delimiter: Annotated[str, StringConstraints(pattern=r"^[^\r\n\"\x00]$")] = ","


@dataclass(frozen=True, slots=True)
class Csv:
    """A field in double quotes may have several lines. A bad row costs that row; a field that never ends costs the rest
    of the file."""

    settings: Settings

    def read(self, source: SourceFile, collection: str) -> Iterator[Document | Unreadable]:
        csv.field_size_limit(MAXIMUM_BYTES)  # the library knows one limit for the whole process
        try:
            with source.path.open("rb") as file:
                yield from self._rows(csv.reader(_lines(file), delimiter=self.settings.delimiter), source, collection)
        except OSError:
            yield source.unreadable("not_readable", "the file cannot be opened")
        except csv.Error:
            yield source.unreadable("bad_csv", f"a row that is longer than {MAXIMUM_BYTES} bytes or is not CSV")

    def _rows(self, rows: Iterator[list[str]], source: SourceFile, collection: str) -> Iterator[Document | Unreadable]:
        header = [name.strip() for name in next(rows, [])]
        if not header:
            yield source.unreadable("empty", "no row")
            return
        needed = (self.settings.id, self.settings.text)
        if any(header.count(name) != 1 for name in needed):
            yield source.unreadable("bad_header", f"the first row does not have columns {' and '.join(needed)} once")
            return
        for number, row in enumerate(rows, start=2):
            where = f"row {number}: "
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                yield source.unreadable("bad_record", f"{where}{len(row)} fields under {len(header)} columns")
            elif not all(map(is_unicode, row)):
                yield source.unreadable("not_utf8", f"{where}not UTF-8")
            else:
                yield record_document(dict(zip(header, row, strict=True)), self.settings, source, collection, where)


def build(settings: Settings) -> Reader:
    return Csv(settings)


def _lines(file: BinaryIO) -> Iterator[str]:
    """Lines of bounded length; bytes that are not UTF-8 become half surrogates, which text never holds."""
    encoding = "utf-8-sig"
    while raw := file.readline(MAXIMUM_BYTES + 1):
        if len(raw) > MAXIMUM_BYTES:
            raise csv.Error
        yield raw.decode(encoding, "surrogateescape")
        encoding = "utf-8"
