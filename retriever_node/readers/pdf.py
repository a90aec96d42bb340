"""PDF: the text of each page. Pages that are pictures of text are named, because they hold nothing to search."""

import io
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from pypdf import PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError, WrongPasswordError

from fedrag.core.config import Config
from fedrag.core.errors import InputError
from retriever_node.documents import Document, Unreadable
from retriever_node.outline import laid_out
from retriever_node.sources import MAXIMUM_BYTES, MAXIMUM_FILE_BYTES, Reader, SourceFile, attempted, file_document

_MAXIMUM_PAGES: Final = 5_000
_HYPHENATED: Final = re.compile(r"(?<=[a-zà-ÿ])-\n(?=[a-zà-ÿ])")

_library_log = logging.getLogger("pypdf")
_library_log.addHandler(logging.NullHandler())
_library_log.propagate = False  # its warnings may quote the file


class Settings(Config):
    """None."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Text of every page, empty where there is none; numbers of pages that are only drawn, and of damaged ones."""

    texts: tuple[str, ...]
    scanned: tuple[int, ...]
    damaged: tuple[int, ...]


class Pdf:
    """One document per file, one section per page, `page 3`. The title is the file's own, else the file name.

    Pages without text on which something is drawn are reported (`scanned_pages`), and so are pages that cannot be read
    (`damaged_pages`); the document is made of the others.
    """

    def read(self, source: SourceFile, collection: str) -> Iterator[Document | Unreadable]:
        raw = source.content(MAXIMUM_FILE_BYTES)
        if isinstance(raw, Unreadable):
            yield raw
            return
        try:
            pdf = opened(raw)
            found = page_texts(pdf)
        except InputError as error:
            yield source.unreadable(error.code, error.message)
            return
        for code, numbers, words in (
            ("scanned_pages", found.scanned, "without text; run text recognition"),
            ("damaged_pages", found.damaged, "that cannot be read"),
        ):
            if numbers:
                yield source.unreadable(code, f"pages {ranges(numbers)} {words}")
        if any(found.texts) or not (found.scanned or found.damaged):
            title = attempted(lambda: str((pdf.metadata and pdf.metadata.title) or "")) or ""
            yield file_document(
                source,
                collection,
                title=title.encode("utf-8", "ignore").decode(),
                version="",
                effective_date=None,
                sections=laid_out((f"page {number}", text) for number, text in enumerate(found.texts, start=1)),
            )


def build(settings: Settings) -> Reader:  # noqa: ARG001 - every plug-in is built from its settings
    return Pdf()


def opened(raw: bytes) -> PdfReader:
    """Raises InputError: `encrypted`, `damaged`, `too_large`."""

    def parsed() -> PdfReader:
        try:
            pdf = PdfReader(io.BytesIO(raw))
            if pdf.is_encrypted and not pdf.decrypt(""):  # many files are encrypted with no password, to be read by all
                raise InputError("needs a password", code="encrypted")
            count = len(pdf.pages)
        except (FileNotDecryptedError, WrongPasswordError, DependencyError):
            raise InputError("needs a password", code="encrypted") from None
        if count > _MAXIMUM_PAGES:
            raise InputError(f"more than {_MAXIMUM_PAGES} pages", code="too_large")
        return pdf

    pdf = attempted(parsed)
    if pdf is None:
        raise InputError("not a PDF file, or a damaged one", code="damaged")
    return pdf


def page_texts(pdf: PdfReader) -> Pages:
    """Raises InputError (`too_large`)."""
    pages: list[str] = []
    scanned: list[int] = []
    damaged: list[int] = []
    room = MAXIMUM_BYTES
    for number in range(1, len(pdf.pages) + 1):
        text = attempted(partial(_text, pdf, number))
        if text is None:
            damaged.append(number)
        elif not text and attempted(partial(_draws, pdf, number)) is not False:
            scanned.append(number)
        pages.append(text or "")
        room -= len(text or "")
        if room < 0:
            raise InputError(f"more than {MAXIMUM_BYTES} characters of text", code="too_large")
    return Pages(tuple(pages), tuple(scanned), tuple(damaged))


def _text(pdf: PdfReader, number: int) -> str:
    """Lines as they stand on the page; a word that was broken at the end of a line is whole again."""
    text = pdf.pages[number - 1].extract_text().replace("\x00", "").encode("utf-8", "ignore").decode()
    return _HYPHENATED.sub("", text).strip()


def _draws(pdf: PdfReader, number: int) -> bool:
    """False for a page left blank."""
    contents = pdf.pages[number - 1].get_contents()
    operations = contents.get_data() if contents is not None else b""
    return re.search(rb"\bDo\b|\bEI\b|\b[fFSB]\*?\s|\bsh\b", operations + b" ") is not None


def ranges(numbers: Iterable[int]) -> str:
    """`1-3, 7` for 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(str(end) for end in run) for run in runs)
