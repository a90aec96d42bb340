"""XML from outside, without the parts of XML that can read files or grow without end."""

from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.parsers import expat

from fedrag.core.errors import IntegrityError


def parse(document: bytes) -> Element:
    """Raises IntegrityError(bad_xml) for what is not well-formed, or declares a document type: entities, internal or
    external, can be declared nowhere else."""
    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = _refuse
    try:
        guard.Parse(document, True)
        return fromstring(document)  # noqa: S314 - a document that declares entities does not get here
    except (expat.ExpatError, ParseError, ValueError, LookupError) as error:
        raise IntegrityError(f"an XML file cannot be read ({type(error).__name__})", code="bad_xml") from None


def _refuse(*_declared: object) -> NoReturn:
    raise IntegrityError("an XML file declares a document type", code="bad_xml")


def one_line(text: str | None) -> str:
    return " ".join((text or "").split())
