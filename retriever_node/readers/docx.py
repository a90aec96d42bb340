"""DOCX: heading styles as sections, tables as readable rows. Macros, links and pictures are never opened."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any, Final

import docx
from docx.document import Document as Parsed
from docx.oxml.ns import qn
from docx.table import Table
from docx.text.paragraph import Paragraph

from fedrag.core.config import Config
from fedrag.core.errors import InputError, TooLarge
from retriever_node.documents import Document, Unreadable
from retriever_node.outline import Outline, table_lines
from retriever_node.sources import MAXIMUM_FILE_BYTES, Reader, SourceFile, attempted, file_document

_MAXIMUM_PARTS: Final = 5_000
_MAXIMUM_UNPACKED: Final = 4 * MAXIMUM_FILE_BYTES
_OLD_WORD: Final = b"\xd0\xcf\x11\xe0"
"""An OLE file: a document of Word before 2007, or an encrypted one."""

_WRAPPERS: Final = frozenset(qn(name) for name in ("w:sdt", "w:sdtContent", "w:customXml", "w:ins", "w:moveTo"))
_UNPRINTED: Final = frozenset(
    (qn("w:del"), qn("w:moveFrom"), "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback")
)
_WHITE: Final = {qn("w:tab"): " ", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_HEADING: Final = re.compile(r"heading ([1-9])", re.IGNORECASE)


class Settings(Config):
    """None."""


class Docx:
    """One document per file. Its title is the paragraph styled Title, else the title among the file's properties, else
    the first heading of level 1, else the file name."""

    def read(self, source: SourceFile, collection: str) -> Iterator[Document | Unreadable]:
        raw = source.content(MAXIMUM_FILE_BYTES)
        if isinstance(raw, Unreadable):
            yield raw
            return
        try:
            _require_package(raw)
            parsed = attempted(lambda: docx.Document(io.BytesIO(raw)))
            outline = attempted(lambda: _outlined(parsed)) if parsed is not None else None
        except (InputError, TooLarge) as error:
            yield source.unreadable(error.code, error.message)
            return
        if outline is None or parsed is None:
            yield source.unreadable("damaged", "not a DOCX file, or a damaged one")
            return
        yield file_document(
            source,
            collection,
            title=outline.title,
            version=attempted(lambda: parsed.core_properties.version) or "",
            effective_date=None,
            sections=outline.sections(),
        )


def build(settings: Settings) -> Reader:  # noqa: ARG001 - every plug-in is built from its settings
    return Docx()


def _require_package(raw: bytes) -> None:
    """Looks at the list of parts before any is unpacked. Unpacking stops at the size that is listed.

    Raises InputError (`old_format`, `damaged`, `zip_bomb`).
    """
    if raw.startswith(_OLD_WORD):
        raise InputError("a Word file from before 2007, or an encrypted one", code="old_format")
    try:
        parts = zipfile.ZipFile(io.BytesIO(raw)).infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError):
        raise InputError("not a DOCX file, or a damaged one", code="damaged") from None
    unpacked = sum(part.file_size for part in parts)
    written = sum(part.file_size for part in parts if part.filename.lower().endswith((".xml", ".rels")))
    if len(parts) > _MAXIMUM_PARTS or unpacked > _MAXIMUM_UNPACKED or written > MAXIMUM_FILE_BYTES:
        raise InputError(f"{len(parts)} parts of {unpacked} bytes when unpacked", code="zip_bomb")


def _outlined(parsed: Parsed) -> Outline:
    blocks = list(_blocks(parsed.element.body, parsed))
    titled = (_words(block._p) for block in blocks if isinstance(block, Paragraph) and _style(block) == "title")
    outline = Outline(next((words for words in titled if words), "") or parsed.core_properties.title)
    for block in blocks:
        if isinstance(block, Table):
            rows = list(_rows(block))
            # Word does not say which row is a header; a first row without an empty cell nearly always is.
            header, body = (rows[0], rows[1:]) if len(rows) > 1 and all(rows[0]) else ([], rows)
            for line in table_lines(body, header):
                outline.block(line)
            continue
        words, style = _words(block._p), _style(block)
        if heading := _HEADING.fullmatch(style):
            outline.heading(int(heading.group(1)), words)
        elif style != "title":
            outline.block(f"- {words}" if words and style.startswith("list") else words)
    return outline


def _blocks(parent: Any, parsed: Parsed) -> Iterator[Paragraph | Table]:
    """Paragraphs and tables in order, also those that a form or a tracked change wraps."""
    for child in parent:
        if child.tag == qn("w:p"):
            yield Paragraph(child, parsed)
        elif child.tag == qn("w:tbl"):
            yield Table(child, parsed)
        elif child.tag in _WRAPPERS:
            yield from _blocks(child, parsed)


def _rows(table: Table) -> Iterator[list[str]]:
    """Cells of each row; one that spans columns is said once."""
    for row in table.rows:
        cells = [cell._tc for cell in row.cells]
        yield ["" if column and cell is cells[column - 1] else _words(cell) for column, cell in enumerate(cells)]


def _words(element: Any) -> str:
    """Text as it would be printed: with what was inserted, without what was deleted."""
    return "".join(_runs(element)).strip()


def _runs(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == qn("w:t"):
            yield child.text or ""
        elif child.tag in _WHITE:
            yield _WHITE[child.tag]
        elif child.tag not in _UNPRINTED:
            yield from _runs(child)
            if child.tag == qn("w:p"):
                yield "\n"


def _style(paragraph: Paragraph) -> str:
    """Its style's name in English, which the file has in every language of Word."""
    style = attempted(lambda: paragraph.style)
    return ((style.name if style else "") or "").lower()
