"""The header of a C-CDA document: what it is, when it was written, and who it is about."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from xml.etree.ElementTree import Element

from retriever_node.patients import Identity

NAMESPACES: Final = {"v3": "urn:hl7-org:v3"}
ROOT: Final = "{urn:hl7-org:v3}ClinicalDocument"
_SOCIAL_SECURITY: Final = "2.16.840.1.113883.4.1"
_PERSONS: Final = ("recordTarget", "informant/v3:relatedEntity", "participant/v3:associatedEntity")
"""Where the header names the patient and those around them. Clinicians stand elsewhere, as authors and performers."""

_ORGANISATIONS: Final = ("providerOrganization", "scopingOrganization")


@dataclass(frozen=True, slots=True)
class Header:
    """`encounter` is as the sending system wrote it: it stays inside."""

    title: str
    written: date | None
    version: str
    encounter: str
    people: tuple[Identity, ...]


def header(root: Element) -> Header:
    return Header(
        title=said(first(root, "title")) or first(root, "code").get("displayName") or "Clinical document",
        written=_day(first(root, "effectiveTime")),
        version=first(root, "versionNumber").get("value") or "",
        encounter=":".join(_identifier(first(root, "componentOf/v3:encompassingEncounter/v3:id"))),
        people=_people(root),
    )


def first(element: Element, path: str) -> Element:
    """The first one at this path; an empty element where there is none."""
    found = element.find(f"v3:{path}", NAMESPACES)
    return Element("none") if found is None else found


def said(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _people(root: Element) -> tuple[Identity, ...]:
    """What names the patients and the people around them, then the key of each patient."""
    persons = [person for place in _PERSONS for person in root.iterfind(f"v3:{place}", NAMESPACES)]

    def everywhere(*names: str) -> Iterator[Element]:
        return (one for person in persons for one in _below(person, names))

    around = Identity(
        key="",
        names=tuple(name for one in everywhere("name") for name in _names(one)),
        addresses=tuple(filter(None, map(said, everywhere("streetAddressLine", "city", "county", "postalCode")))),
        telecoms=tuple(one.get("value") or "" for one in everywhere("telecom")),
        dates=tuple(found for one in everywhere("birthTime", "deceasedTime") if (found := _day(one))),
        numbers=tuple(number for one in everywhere("id") if (number := _number(one))),
    )
    roles = root.findall("v3:recordTarget/v3:patientRole", NAMESPACES)
    return (around, *(Identity(key=_key(role)) for role in roles or [root]))


def _key(role: Element) -> str:
    """The medical record number, in most systems the first id; the social security number only where there is no other;
    else name and birth. Documents that say nothing count as those of one person."""
    found = [(one.get("root") == _SOCIAL_SECURITY, number) for one in _ids(role) if (number := _number(one))]
    if found:
        return min(found, key=lambda one: one[0])[1]
    born = first(role, "patient/v3:birthTime").get("value") or ""
    return " ".join(filter(None, (said(first(role, "patient/v3:name")), born))) or "unknown"


def _ids(role: Element) -> list[Element]:
    return role.findall("v3:id", NAMESPACES)


def _number(identifier: Element) -> str:
    """The extension, or a root that is a UUID rather than the number of a register."""
    root = identifier.get("root") or ""
    return identifier.get("extension") or (root if "-" in root else "")


def _below(person: Element, names: tuple[str, ...]) -> Iterator[Element]:
    """Descendants with one of these names, but for those of an organisation."""
    for child in person:
        name = child.tag.rpartition("}")[2]
        if name in names:
            yield child
        elif name not in _ORGANISATIONS:
            yield from _below(child, names)


def _names(name: Element) -> Iterator[str]:
    given, family = (
        " ".join(said(one) for one in name.iterfind(f"v3:{part}", NAMESPACES)).strip() for part in ("given", "family")
    )
    if given and family:
        yield from (f"{given} {family}", f"{family}, {given}")
    elif whole := given or family or said(name):
        yield whole


def _identifier(found: Element) -> tuple[str, ...]:
    return tuple(part for part in (found.get("root"), found.get("extension")) if part)


def _day(found: Element) -> date | None:
    """Of an HL7 time, YYYYMMDD and more."""
    value = found.get("value") or first(found, "low").get("value") or ""
    try:
        return datetime.strptime(value[:8], "%Y%m%d").date()  # noqa: DTZ007 - a day, as the place wrote it
    except ValueError:
        return None
