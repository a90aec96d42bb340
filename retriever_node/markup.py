"""Marked-up text to an outline: HTML, the XHTML inside FHIR, and the narrative blocks of C-CDA, which resembles it."""

import codecs
import re
from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from fedrag.core.errors import InputError
from retriever_node.outline import Outline, table_lines

MAXIMUM_ELEMENTS: Final = 1_500_000
"""Of one document: each is an object in memory, a hundred bytes for the four it may have in the file."""
_MAXIMUM_DEPTH: Final = 200
_MAXIMUM_COLUMNS: Final = 64
_DROPPED: Final = re.compile(
    r"script|style|nav|noscript|template|iframe|object|embed|svg|canvas|audio|video|button|select|textarea|head|title"
    r"|rendermultimedia"
)
_BLOCK: Final = re.compile(
    r"html|body|div|section|article|main|header|footer|aside|address|p|paragraph|blockquote|pre|ul|ol|dl|list|li|item|dt"
    r"|dd|figure|figcaption|caption|footnote|form|fieldset|center|hr|details|summary|text|table|thead|tbody|tfoot|tr|td"
    r"|th"
)
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_WIDER: Final = {"ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030"}
"""Names that pages use for a smaller code than the one they are written in, as browsers take them."""

_KNOWN: Final = re.compile(r"utf-(8|16|16-[bl]e)|iso8859-\d+|cp125\d|koi8-[ru]|gbk|gb18030|big5|euc_(jp|kr)|shift_jis")

_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def parse_xml(raw: bytes) -> Element:
    """XML without a document type, so without entities of its own: nothing expands and nothing outside is read.

    Raises InputError: `document_type`, `too_deep`, `too_large`, `bad_xml`.
    """
    # What is refused is refused in the tree builder, before the parser has acted on it.
    parser = XMLParser(target=_Bounded())  # noqa: S314
    try:
        parser.feed(raw)
        root = parser.close()
    except (ParseError, ValueError, LookupError, UnicodeError):
        raise InputError("not well-formed XML", code="bad_xml") from None
    if not isinstance(root, Element):
        raise InputError("no element", code="bad_xml")
    return root


class _Bounded(TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._depth = self._elements = 0

    def doctype(self, name: str, pubid: str, system: str) -> None:  # noqa: ARG002 - all of them are refused
        raise InputError("declares a document type", code="document_type")

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._depth += 1
        if self._depth > _MAXIMUM_DEPTH:
            raise InputError(f"more than {_MAXIMUM_DEPTH} elements inside each other", code="too_deep")
        self._elements += 1
        if self._elements > MAXIMUM_ELEMENTS:
            raise InputError(f"more than {MAXIMUM_ELEMENTS} elements", code="too_large")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag)


def character_encoding(declared: str) -> str:
    """Python's name of the encoding a page or a note declares. Raises InputError (`unknown_encoding`)."""
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        name = ""
    name = _WIDER.get(name, name)
    if not _KNOWN.fullmatch(name):
        raise InputError("declares an encoding that no page has", code="unknown_encoding")
    return name


def local_name(element: Element) -> str:
    """Without namespace, lower case; empty for comments and instructions."""
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def read_markup(root: Element, outline: Outline) -> None:
    """Everything a reader of the page would see, in order."""
    flow = _Flow(outline)
    flow.walk(root)
    flow.end_block()


def words_of(element: Element) -> str:
    """The text of an element on one line."""
    return " ".join(" ".join(_pieces(element)).split())


def _pieces(element: Element) -> Iterator[str]:
    """Text between block borders; what is only emphasised stays in its word."""
    piece = ""
    for text, border in _texts(element):
        if border:
            yield piece
            piece = ""
        piece += text
    yield piece


def _texts(element: Element) -> Iterator[tuple[str, bool]]:
    name = local_name(element)
    if not name or _dropped(element, name):
        return
    border = _BLOCK.fullmatch(name) is not None or name in _HEADINGS or name == "br"
    yield element.text or "", border
    for child in element:
        yield from _texts(child)
        yield child.tail or "", False
    yield "", border


def _dropped(element: Element, name: str) -> bool:
    return (
        _DROPPED.fullmatch(name) is not None
        or element.get("hidden") is not None
        or _HIDDEN.search(element.get("style") or "") is not None
    )


class _Flow:
    """Words up to the end of their block."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._words: list[str] = []
        self._item = False

    def walk(self, element: Element, *, verbatim: bool = False) -> None:
        name = local_name(element)
        if not name or _dropped(element, name):
            return
        if name in _HEADINGS:
            self.end_block()
            self._outline.heading(_HEADINGS[name], words_of(element))
            return
        if name == "table" and (rows := _rows(element)):
            self.end_block()
            self._table(element, rows)
            return
        if name == "br":
            self._words.append("\n")
        block = _BLOCK.fullmatch(name) is not None
        if block:
            self.end_block()
            self._item = name in ("li", "item")
        verbatim = verbatim or name == "pre"
        self._say(element.text, verbatim)
        for child in element:
            self.walk(child, verbatim=verbatim)
            self._say(child.tail, verbatim)
        if block:
            self.end_block()

    def end_block(self) -> None:
        lines = (" ".join(line.split()) for line in "".join(self._words).split("\n"))
        text = "\n".join(line for line in lines if line)
        self._words.clear()
        if text:
            self._outline.block(f"- {text}" if self._item and not text.startswith("- ") else text)
            self._item = False

    def _say(self, text: str | None, verbatim: bool) -> None:
        if text:
            self._words.append(text if verbatim else re.sub(r"\s+", " ", text))

    def _table(self, table: Element, rows: Sequence[Element]) -> None:
        for child in table:
            if local_name(child) == "caption":
                self._outline.block(words_of(child))
        grid = list(_grid(rows))
        heads = 0
        while heads < len(rows) - 1 and _is_header(rows[heads]):
            heads += 1
        columns = zip(*_equally_long(grid[:heads]), strict=True)
        headers = [" ".join(dict.fromkeys(word for word in column if word)) for column in columns]
        for line in table_lines(grid[heads:], headers):
            self._outline.block(line)


def _rows(table: Element) -> list[Element]:
    """The rows of a table of values; none for a table that only lays out a page."""
    inside = [local_name(element) for element in table.iter()]
    if inside.count("table") > 1 or any(name in _HEADINGS for name in inside):
        return []
    rows = [element for element in table.iter() if local_name(element) == "tr"]
    return rows if any(len(_cells(row)) > 1 for row in rows) or len(rows) > 1 else []


def _cells(row: Element) -> list[Element]:
    return [cell for cell in row if local_name(cell) in ("td", "th")]


def _is_header(row: Element) -> bool:
    cells = _cells(row)
    return bool(cells) and all(local_name(cell) == "th" for cell in cells)


def _grid(rows: Sequence[Element]) -> Iterator[list[str]]:
    """The words of each row by column. What spans rows is said in each of them; what spans columns in its first, in a
    header in all."""
    held: dict[int, tuple[int, str]] = {}
    for row in rows:
        line: list[str] = []
        cells = iter(_cells(row))
        while len(line) < _MAXIMUM_COLUMNS:
            if len(line) in held:
                left, words = held.pop(len(line))
                if left > 1:
                    held[len(line)] = (left - 1, words)
                line.append(words)
                continue
            cell = next(cells, None)
            if cell is None and not any(column > len(line) for column in held):
                break
            words = words_of(cell) if cell is not None else ""
            wide, high = (_span(cell, "colspan"), _span(cell, "rowspan")) if cell is not None else (1, 1)
            for offset in range(min(wide, _MAXIMUM_COLUMNS - len(line))):
                said = words if not offset or local_name(cell) == "th" else ""  # type: ignore[arg-type]
                if high > 1:
                    held[len(line)] = (high - 1, said)
                line.append(said)
        yield line


def _span(cell: Element, name: str) -> int:
    value = (cell.get(name) or "1").strip()
    return max(1, int(value)) if value.isdecimal() and len(value) <= 4 else 1


def _equally_long(rows: Sequence[list[str]]) -> list[list[str]]:
    width = max((len(row) for row in rows), default=0)
    return [row + [""] * (width - len(row)) for row in rows]
