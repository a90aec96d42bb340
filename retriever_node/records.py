"""Files with one document per record (JSON Lines, CSV): which field is what, and the document of one record."""

from collections.abc import Mapping
from typing import Final

from fedrag.core.config import Config
from retriever_node.documents import Document, Unreadable
from retriever_node.sources import SourceFile, document, is_unicode, parsed_date, section

_MAXIMUM_ID: Final = 500


class RecordFields(Config):
    """Which field of a record is what. `id` and `text` must be there; the others may be absent, empty or null."""

    id: str = "id"
    name: str = "name"
    title: str = "title"
    text: str = "text"
    section: str = "section"
    version: str = "version"
    effective_date: str = "effective_date"


def record_document(
    record: Mapping[str, object], fields: RecordFields, source: SourceFile, collection: str, where: str
) -> Document | Unreadable:
    """A document's title is its id where it has none, its name its title. `where` names the record, `line 3: `."""
    names = {field: getattr(fields, field) for field in RecordFields.model_fields}
    values = {field: _string(record.get(name)) for field, name in names.items()}
    for field, value in values.items():
        if value is None:
            return source.unreadable("bad_record", f"{where}{names[field]} is not plain text")
    found = {field: value or "" for field, value in values.items()}
    document_id = found["id"].strip()
    if not document_id or len(document_id) > _MAXIMUM_ID:
        return source.unreadable("bad_record", f"{where}{names['id']} is not 1 to {_MAXIMUM_ID} characters")
    if not found["text"].strip():
        return source.unreadable("empty", f"{where}no text")
    try:
        effective = parsed_date(found["effective_date"]) if found["effective_date"].strip() else None
    except ValueError:
        return source.unreadable("bad_record", f"{where}{names['effective_date']} is not an ISO date")
    title = found["title"].strip() or document_id
    return document(
        source,
        collection,
        document_id=document_id,
        name=found["name"].strip() or title,
        title=title,
        version=found["version"],
        effective_date=effective,
        sections=(section(found["section"], found["text"], 0, len(found["text"])),),
    )


def _string(value: object) -> str | None:
    """None for what is not text or a whole number, or holds half a surrogate pair or a zero character."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        text = str(value)
    except ValueError:  # a number of thousands of digits
        return None
    return text if is_unicode(text) and "\x00" not in text else None
