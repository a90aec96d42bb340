"""What readers share: the file they are given, its text, and the document they make of it."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar, runtime_checkable

from fedrag.core.errors import FedragError
from retriever_node.documents import Document, Section, Unreadable, content_sha256
from retriever_node.facts import Fact

MAXIMUM_BYTES: Final = 10_000_000
"""Of one document."""

MAXIMUM_FILE_BYTES: Final = 50_000_000
"""Of a file that is more than its text: PDF, DOCX, FHIR, C-CDA. After unpacking, where it is packed."""

T = TypeVar("T")

# What a citation can carry (fedrag.core.exchange.Citation).
_MAXIMUM_NAME: Final = 500
_MAXIMUM_VERSION: Final = 100


@dataclass(frozen=True, slots=True)
class SourceFile:
    """`name` is the path relative to the collection's folder, with forward slashes. `key` is the node's own secret for
    `opaque_id`."""

    name: str
    path: Path
    key: bytes = b""

    def opaque_id(self, *parts: str) -> str:
        """A document id that says nothing about its parts, the same at each reading.

        HMAC-SHA-256, 128 bits of it. A plain digest would not do: record numbers are few enough to be tried one after
        the other.
        """
        message = "".join(f"{len(part)}:{part}" for part in parts)
        return hmac.new(self.key, message.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]

    def unreadable(self, code: str, reason: str) -> Unreadable:
        return Unreadable(self.name, code, reason)

    def content(self, maximum_bytes: int) -> bytes | Unreadable:
        """The whole file, as it is."""
        try:
            with self.path.open("rb") as file:
                raw = file.read(maximum_bytes + 1)
        except OSError:
            return self.unreadable("not_readable", "the file cannot be opened")
        return self.unreadable("too_large", f"longer than {maximum_bytes} bytes") if len(raw) > maximum_bytes else raw

    def text(self) -> str | Unreadable:
        """The whole file, decoded, line ends as they are."""
        raw = self.content(MAXIMUM_BYTES)
        return raw if isinstance(raw, Unreadable) else decoded(raw, self)


@dataclass(frozen=True, slots=True)
class Reading:
    """A document as its file holds it: enough to tell whether it is the one that is stored."""

    document_id: str
    source: str
    ingested_sha256: str


class Reader(Protocol):
    """What it makes of a file depends on the file's name, its bytes and the node's key alone, unless it says so."""

    def read(self, source: SourceFile, collection: str) -> Iterator[Document | Unreadable]: ...


@runtime_checkable
class ReadsBeside(Protocol):
    """A reader that looks into other files for what one of them means."""

    def beside(self, source: SourceFile) -> tuple[Path, ...]: ...


def attempted(parse: Callable[[], T]) -> T | None:
    """What a library makes of bytes from anywhere, None when it fails: on damaged bytes it may raise anything.

    What FedragError a reader raises itself passes.
    """
    try:
        return parse()
    except FedragError:
        raise
    except Exception:  # noqa: BLE001 - the border with a parser
        return None


def decoded(raw: bytes, source: SourceFile, where: str = "") -> str | Unreadable:
    """UTF-8 to text without a byte-order mark. `where` names the place in the file, `line 3: `."""
    if len(raw) > MAXIMUM_BYTES:
        return source.unreadable("too_large", f"{where}longer than {MAXIMUM_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return source.unreadable("not_utf8", f"{where}byte {error.start} is not UTF-8")
    if "\x00" in text:
        return source.unreadable("not_text", f"{where}holds a zero byte")
    return text


def is_unicode(text: str) -> bool:
    """False where it holds half a surrogate pair: such text can be neither stored nor sent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parsed_date(value: str) -> date:
    """ISO 8601, a date or a time. Raises ValueError."""
    return datetime.fromisoformat(value.strip()).date()


def section(heading: str, text: str, start: int, end: int) -> Section:
    """Characters [start, end) of `text` without the white space around them."""
    stretch = text[start:end]
    return Section(one_line(heading), stretch.strip(), start + len(stretch) - len(stretch.lstrip()))


def one_line(value: str) -> str:
    """For headings and titles: white space collapsed, cut to what a citation can carry."""
    return " ".join(value.split())[:_MAXIMUM_NAME].rstrip()


def document(
    source: SourceFile,
    collection: str,
    *,
    document_id: str,
    name: str,
    title: str,
    version: str,
    effective_date: date | None,
    sections: tuple[Section, ...],
    patients: tuple[str, ...] = (),
    encounter: str = "",
    identifiers: tuple[str, ...] = (),
    facts: tuple[Fact, ...] = (),
) -> Document:
    """Sections without text are dropped; the caller has made sure that one is left."""
    name, title, version = one_line(name), one_line(title), version.strip()[:_MAXIMUM_VERSION]
    kept = tuple(part for part in sections if part.text)
    return Document(
        collection=collection,
        document_id=document_id,
        name=name,
        title=title,
        version=version,
        effective_date=effective_date,
        sections=kept,
        content_sha256=content_sha256(name, title, version, effective_date, kept),
        source=source.name,
        patients=patients,
        encounter=encounter,
        identifiers=identifiers,
        facts=facts,
    )


def file_document(
    source: SourceFile,
    collection: str,
    *,
    title: str,
    version: str,
    effective_date: date | None,
    sections: tuple[Section, ...],
) -> Document | Unreadable:
    """A document that is a whole file: its path is its id, its file name its name."""
    if len(source.name) > _MAXIMUM_NAME:
        return source.unreadable("bad_name", f"the path is longer than {_MAXIMUM_NAME} characters")
    if not any(part.text for part in sections):
        return source.unreadable("empty", "no text")
    file_name = source.path.name
    return document(
        source,
        collection,
        document_id=source.name,
        name=file_name,
        title=title.strip() or source.path.stem,
        version=version,
        effective_date=effective_date,
        sections=sections,
    )
