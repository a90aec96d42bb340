"""The text of notes: attachments and narratives."""

import base64
import re
from collections.abc import Callable, Iterator
from typing import Final

from fedrag.core.errors import InputError
from retriever_node.fhir.datatypes import Resource, concept, first_day, joined, part, parts, string
from retriever_node.markup import character_encoding, parse_xml, read_markup
from retriever_node.outline import Outline

_TEXT: Final = re.compile(r"text/(?!html|xml|rtf)[\w.+-]+|application/json")
_MAXIMUM_DEPTH: Final = 20
_MARKED_UP: Final = ("text/html", "application/xhtml+xml")

Index = Callable[[str], Resource]


def notes_of(resource: Resource, index: Index) -> Iterator[tuple[str, Callable[[], str]]]:
    """Heading and text of each note that a DocumentReference, DiagnosticReport or Composition carries. The text is made
    when it is asked for and may raise InputError: `bad_attachment`, `unsupported_attachment`, `external_attachment`."""
    kind = resource.get("resourceType")
    if kind == "Composition":
        yield from _sections(resource.get("section"), string(resource.get("title")) or concept(resource.get("type")))
        return
    if kind == "DocumentReference":
        name = concept(resource.get("type")) or string(resource.get("description"))
        attachments = [part(one, "attachment") for one in parts(resource.get("content"))]
        when = first_day(resource, ("date",)) or first_day(part(resource, "context"), ("period",))
    elif kind == "DiagnosticReport":
        name, attachments = concept(resource.get("code")), list(parts(resource.get("presentedForm")))
        when = first_day(resource, ("effectiveDateTime", "effectivePeriod", "issued"))
    else:
        return
    for attachment in attachments:
        yield f"Note {when}: {name}" if when and name else f"Note {when or name}".strip(), _opener(attachment, index)


def _sections(sections: object, above: str, depth: int = 0) -> Iterator[tuple[str, Callable[[], str]]]:
    for one in parts(sections) if depth < _MAXIMUM_DEPTH else ():
        heading = joined((above, string(one.get("title")) or concept(one.get("code"))), " / ")
        narrative = string(part(one, "text").get("div"))
        if narrative:
            yield heading, _narrator(narrative)
        yield from _sections(one.get("section"), heading, depth + 1)


def _opener(attachment: Resource, index: Index) -> Callable[[], str]:
    return lambda: attachment_text(attachment, index)


def _narrator(narrative: str) -> Callable[[], str]:
    return lambda: narrative_text(narrative)


def attachment_text(attachment: Resource, index: Index) -> str:
    """Of an attachment in the file itself, or in a Binary of the same file; addresses are never followed."""
    encoded, declared = string(attachment.get("data")), string(attachment.get("contentType"))
    if not encoded:
        binary = index(string(attachment.get("url")))
        encoded, declared = string(binary.get("data")), declared or string(binary.get("contentType"))
    if not encoded:
        raise InputError("is kept elsewhere", code="external_attachment")
    try:
        raw = base64.b64decode(encoded, validate=False)
    except ValueError:
        raise InputError("is not base64", code="bad_attachment") from None
    kind, _, options = declared.partition(";")
    kind = kind.strip().lower() or "text/plain"
    if kind == "application/pdf":
        return _pdf_text(raw)
    if kind not in _MARKED_UP and not _TEXT.fullmatch(kind):
        raise InputError("is of a type that is not read", code="unsupported_attachment")
    charset = re.search(r"charset=\"?([\w-]+)", options)
    try:
        text = raw.decode(character_encoding(charset.group(1)) if charset else "utf-8-sig").replace("\x00", "")
    except (UnicodeError, InputError):
        raise InputError("is not text in its encoding", code="bad_attachment") from None
    return narrative_text(text) if kind in _MARKED_UP else text


def narrative_text(marked_up: str) -> str:
    """XHTML, and HTML where the library for it is installed. Raises InputError (`unsupported_attachment`)."""
    outline = Outline()
    try:
        read_markup(parse_xml(marked_up.encode("utf-8", "ignore")), outline)
    except InputError:
        try:
            from retriever_node.readers.html import outlined
        except ImportError:
            raise InputError("is HTML; pip install 'fedrag[documents]'", code="unsupported_attachment") from None
        outline = outlined(marked_up)
    return "\n\n".join(joined((one.heading, one.text), "\n") for one in outline.sections())


def _pdf_text(raw: bytes) -> str:
    try:
        from retriever_node.readers.pdf import opened, page_texts
    except ImportError:
        raise InputError("is PDF; pip install 'fedrag[documents]'", code="unsupported_attachment") from None
    text = "\n\n".join(filter(None, page_texts(opened(raw)).texts))
    if not text:
        raise InputError("is a PDF without text", code="unsupported_attachment")
    return text
