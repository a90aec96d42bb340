"""The person of a Patient resource, and what else in a record names them."""

from collections.abc import Iterable
from typing import Final

from retriever_node.fhir.datatypes import Resource, as_date, part, parts, string, strings
from retriever_node.patients import Identity

_MOTHERS_NAME: Final = "patient-mothersMaidenName"
_BIRTH_PLACE: Final = "patient-birthPlace"


def identity(patient: Resource, others: Iterable[Resource] = (), key: str = "") -> Identity:
    """`others` are RelatedPerson resources: the names of relatives identify too. The key is the medical record number,
    which is the same in every format the hospital writes, else the id."""
    ids = (string(patient.get("id")), key)
    extensions = parts(patient.get("extension"))
    people = (patient, *parts(patient.get("contact")), *others)
    numbers = [string(one.get("value")) for person in (patient, *others) for one in parts(person.get("identifier"))]
    places = [part(one, "valueAddress") for one in extensions if string(one.get("url")).endswith(_BIRTH_PLACE)]
    addresses = [*places, *(one for person in people for one in parts(person.get("address")))]
    return Identity(
        key=_record_number(patient) or key or string(patient.get("id")),
        names=(
            *(name for person in people for one in parts(person.get("name")) for name in _names(one)),
            *(string(one.get("valueString")) for one in extensions if string(one.get("url")).endswith(_MOTHERS_NAME)),
        ),
        dates=tuple(found for name in ("birthDate", "deceasedDateTime") if (found := as_date(patient.get(name)))),
        addresses=tuple(
            line
            for one in addresses
            for line in (
                *strings(one.get("line")),
                string(one.get("city")),
                string(one.get("district")),
                *_postal(string(one.get("postalCode"))),
                string(one.get("text")),
            )
            if line
        ),
        telecoms=tuple(string(one.get("value")) for person in people for one in parts(person.get("telecom"))),
        numbers=tuple(dict.fromkeys((*numbers, *(one for one in ids if any(map(str.isdecimal, one)))))),
    )


def _names(name: Resource) -> tuple[str, ...]:
    """Given and family name together, so that they are found as one, and the text as written."""
    given, family = " ".join(strings(name.get("given"))), string(name.get("family"))
    both = (f"{given} {family}", f"{family}, {given}") if given and family else (given or family,)
    return tuple(text for text in (*both, string(name.get("text"))) if text)


def _postal(code: str) -> tuple[str, ...]:
    return (code, code[:5]) if len(code) > 5 and code[:5].isdecimal() else (code,)


def _record_number(patient: Resource) -> str:
    for one in parts(patient.get("identifier")):
        if any(string(coding.get("code")) == "MR" for coding in parts(part(one, "type").get("coding"))):
            return string(one.get("value"))
    return ""
