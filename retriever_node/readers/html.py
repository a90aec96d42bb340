"""HTML: `h1` and `h2` as sections, tables as readable rows; what belongs to the page only is left out."""

import codecs
import re
from collections.abc import Iterator
from functools import partial
from typing import Final
from xml.etree.ElementTree import Element

from lxml import etree

from fedrag.core.config import Config
from fedrag.core.errors import InputError, TooLarge
from retriever_node.documents import Document, Unreadable
from retriever_node.markup import MAXIMUM_ELEMENTS, character_encoding, read_markup
from retriever_node.outline import Outline
from retriever_node.sources import MAXIMUM_BYTES, Reader, SourceFile, attempted, file_document

_LOOKED_THROUGH: Final = 4096
_DECLARED: Final = re.compile(
    rb"""<meta\b[^>]{0,500}?charset\s*=\s*["']?\s*([\w.:-]{1,40})|<\?xml\b[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})""",
    re.IGNORECASE,
)


class Settings(Config):
    """None."""


class Html:
    """One document per file. The title is the page's, else the first `h1`, else the file name."""

    def read(self, source: SourceFile, collection: str) -> Iterator[Document | Unreadable]:
        raw = source.content(MAXIMUM_BYTES)
        if isinstance(raw, Unreadable):
            yield raw
            return
        try:
            outline = outlined(decoded_page(raw))
        except (InputError, TooLarge) as error:
            yield source.unreadable(error.code, error.message)
            return
        yield file_document(
            source, collection, title=outline.title, version="", effective_date=None, sections=outline.sections()
        )


def build(settings: Settings) -> Reader:  # noqa: ARG001 - every plug-in is built from its settings
    return Html()


def outlined(page: str) -> Outline:
    """Raises InputError (`too_deep`, `too_large`), TooLarge."""
    root = attempted(partial(_parsed, page))
    outline = Outline("" if root is None else next(("".join(one.itertext()) for one in root.iter("title")), ""))
    if root is not None:
        read_markup(root, outline)
    return outline


def decoded_page(raw: bytes) -> str:
    """By its byte-order mark, else the encoding it declares, else UTF-8.

    Raises InputError: `unknown_encoding`, `not_utf8`, `bad_encoding`, `not_text`.
    """
    declared = _DECLARED.search(raw, 0, _LOOKED_THROUGH)
    name = _encoding(raw, (declared.group(1) or declared.group(2)).decode("ascii", "replace") if declared else "")
    try:
        page = raw.decode(name)
    except UnicodeDecodeError as error:
        code = "bad_encoding" if declared else "not_utf8"
        raise InputError(f"byte {error.start} is not {name}", code=code) from None
    if "\x00" in page:
        raise InputError("holds a zero byte", code="not_text")
    return page.removeprefix("\ufeff")


def _encoding(raw: bytes, declared: str) -> str:
    if raw.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    name = character_encoding(declared) if declared else "utf-8"
    return "utf-8" if name.startswith("utf-16") else name  # it was read as single bytes: it cannot be UTF-16


def _parsed(page: str) -> Element | None:
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    root: Element | None = etree.fromstring(page.encode("utf-8"), parser) if page.strip() else None
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):  # what follows was not read
        raise InputError("too many elements inside each other", code="too_deep")
    if root is not None and sum(1 for _ in root.iter()) > MAXIMUM_ELEMENTS:
        raise InputError(f"more than {MAXIMUM_ELEMENTS} elements", code="too_large")
    return root
