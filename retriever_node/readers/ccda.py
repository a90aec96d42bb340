"""C-CDA: one document per file, its sections with the narrative a clinician signed, and what is coded besides."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from fedrag.core.config import Config
from fedrag.core.errors import InputError
from retriever_node.clinical_document import NAMESPACES, ROOT, first, header, said
from retriever_node.coded_entries import unsaid
from retriever_node.coded_facts import facts_of
from retriever_node.documents import Document, Unreadable
from retriever_node.fhir.attachments import attachment_text
from retriever_node.markup import parse_xml, read_markup
from retriever_node.outline import Outline
from retriever_node.patients import KnownIdentifiers, patient_document
from retriever_node.sources import MAXIMUM_FILE_BYTES, Reader, SourceFile


class Settings(Config):
    """None."""


class Ccda:
    """The title is the document's, with the day it was written. A section inside another has both headings."""

    def read(self, source: SourceFile, collection: str) -> Iterator[Document | Unreadable]:
        raw = source.content(MAXIMUM_FILE_BYTES)
        if isinstance(raw, Unreadable):
            yield raw
            return
        try:
            root = _clinical_document(raw)
            parts = list(_narratives(root))
        except InputError as error:
            yield source.unreadable(error.code, error.message)
            return
        if not any(text.strip() for _, text in parts):
            yield source.unreadable("empty", "no narrative")
            return
        head = header(root)
        yield patient_document(
            source,
            collection,
            KnownIdentifiers(head.people),
            document_id=source.opaque_id("ccda", source.name),
            title=f"{head.title} {head.written.isoformat()}" if head.written else head.title,
            version=head.version,
            effective_date=head.written,
            parts=parts,
            encounter=head.encounter,
            facts=facts_of(root),
        )


def build(settings: Settings) -> Reader:  # noqa: ARG001 - every plug-in is built from its settings
    return Ccda()


def _clinical_document(raw: bytes) -> Element:
    """Raises InputError: `empty`, `unknown_format`, and what `parse_xml` raises."""
    if not raw.strip():
        raise InputError("no text", code="empty")
    root = parse_xml(raw)
    if root.tag != ROOT:
        raise InputError("XML, but no ClinicalDocument", code="unknown_format")
    return root


def _narratives(root: Element) -> Iterator[tuple[str, str]]:
    """(heading, text) of every section in order. Raises InputError, as `attachment_text` does."""
    wrapped = root.find("v3:component/v3:nonXMLBody/v3:text", NAMESPACES)
    if wrapped is not None:
        yield "", _wrapped(wrapped)
    for section in root.iterfind("v3:component/v3:structuredBody/v3:component/v3:section", NAMESPACES):
        yield from _section(section, "")


def _section(section: Element, above: str) -> Iterator[tuple[str, str]]:
    title = said(first(section, "title")) or first(section, "code").get("displayName") or ""
    heading = " / ".join(part for part in (above, title) if part)
    outline = Outline(heading)
    read_markup(first(section, "text"), outline)
    narrative = "\n\n".join(part.text for part in outline.sections())
    besides = unsaid(section, narrative)
    yield heading, "\n\n".join(filter(None, (narrative, f"Coded besides: {'; '.join(besides)}." if besides else "")))
    for inner in section.iterfind("v3:component/v3:section", NAMESPACES):
        yield from _section(inner, heading)


def _wrapped(body: Element) -> str:
    """A document of another format inside, as it is or as base64."""
    text = "".join(body.itertext())
    if body.get("representation") == "B64":
        return attachment_text({"data": text, "contentType": body.get("mediaType") or ""}, lambda _: {})
    return text
