"""What a hospital holds: documents in sections, and the passages that are indexed, offered and released."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date

from fedrag.core.exchange import Citation
from retriever_node.facts import Fact


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a document under one heading. `text` is the document's own characters from `start` on."""

    heading: str
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it was read.

    Offsets count characters of the document's text: the decoded file (without a byte-order mark) for Markdown and text,
    the text field for formats with one document per record, the text that the reader made for all others. `source` is
    the file it came from, relative to the collection's folder.

    Provenance is kept and never exported: `patients` are stable keys of the people the document is about, `encounter`
    is the key of the visit, `identifiers` are the strings known to name these people; no text of the document holds
    them. `facts` are what stands coded in it about its one patient: counted, never shown.
    """

    collection: str
    document_id: str
    name: str
    title: str
    version: str
    effective_date: date | None
    sections: tuple[Section, ...]
    content_sha256: str
    source: str = ""
    patients: tuple[str, ...] = ()
    encounter: str = ""
    identifiers: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file, or a record of one, that became no document. `reason` holds numbers and names, never content."""

    path: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class PassageDraft:
    """A passage before the store has numbered it: characters [start, end) of its document."""

    title: str
    section: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A stored passage; `passage_id` is never used again once the passage is gone."""

    passage_id: int
    collection: str
    document_id: str
    document_name: str
    title: str
    section: str
    version: str
    effective_date: date | None
    start: int
    end: int
    text: str

    def citation(self) -> Citation:
        return Citation(
            document_id=self.document_id,
            document_name=self.document_name,
            title=self.title,
            section=self.section,
            version=self.version,
            effective_date=self.effective_date,
            locator=f"char={self.start},{self.end}",
        )


def content_sha256(
    name: str, title: str, version: str, effective_date: date | None, sections: tuple[Section, ...]
) -> str:
    """Equal for two readings of a document exactly when nothing a citation or a passage would show has changed."""
    shown = [
        name,
        title,
        version,
        effective_date.isoformat() if effective_date else None,
        [[section.heading, section.text, section.start] for section in sections],
    ]
    return hashlib.sha256(json.dumps(shown, ensure_ascii=True).encode("ascii")).hexdigest()
