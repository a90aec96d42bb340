"""What a FHIR resource states of its patient in codes. What was not done, not so or withdrawn states nothing."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from fedrag.core.populations import ConceptKind
from retriever_node.facts import Fact, codings, of_person
from retriever_node.fhir.datatypes import Resource, code, day, part, parts, string
from retriever_node.fhir.resources import Record

_NOT_SO: Final = frozenset(
    {
        *("entered-in-error", "refuted", "differential", "unconfirmed"),
        *("not-done", "not-taken", "cancelled", "declined", "draft", "preparation", "registered"),
        *("proposal", "plan", "option"),
    }
)
"""Of a status, a verification status or an intent."""
_Concepts = Callable[[Resource, Record], Iterator[Resource]]


def facts_of(resource: Resource, record: Record) -> Iterator[Fact]:
    """Of a condition, medicine, procedure, observation, allergy or vaccination; nothing of other types."""
    found = _KINDS.get(string(resource.get("resourceType")))
    states = {code(resource.get(name)) for name in ("status", "verificationStatus", "intent")}
    if found is None or states & _NOT_SO or resource.get("doNotPerform") is True:
        return
    kind, concepts = found
    record.within = resource
    for one in concepts(resource, record):
        listed = (
            (string(row.get("system")), string(row.get("code")), string(row.get("display"))) for row in _rows(one)
        )
        yield from codings(kind, listed, string(one.get("text")))


def facts_of_person(patient: Resource) -> tuple[Fact, ...]:
    return of_person(string(patient.get("gender")), day(patient.get("birthDate")))


def _rows(concept: Resource) -> tuple[Resource, ...]:
    return parts(concept.get("coding"))


def _named(*names: str) -> _Concepts:
    def concepts(resource: Resource, record: Record) -> Iterator[Resource]:  # noqa: ARG001 - as medicines need it
        yield from (part(resource, name) for name in names)

    return concepts


def _medicine(resource: Resource, record: Record) -> Iterator[Resource]:
    yield part(resource, "medicationCodeableConcept")
    yield part(record.lookup(part(resource, "medicationReference")).get("code"))


def _measured(resource: Resource, record: Record) -> Iterator[Resource]:  # noqa: ARG001 - as medicines need it
    """What was looked at, and of what parts; a value by itself says nothing."""
    yield part(resource, "code")
    yield from (part(one, "code") for one in parts(resource.get("component")))


_KINDS: Final[Mapping[str, tuple[ConceptKind, _Concepts]]] = {
    "Condition": (ConceptKind.CONDITION, _named("code")),
    "AllergyIntolerance": (ConceptKind.ALLERGY, _named("code")),
    "MedicationRequest": (ConceptKind.MEDICATION, _medicine),
    "MedicationStatement": (ConceptKind.MEDICATION, _medicine),
    "MedicationAdministration": (ConceptKind.MEDICATION, _medicine),
    "MedicationDispense": (ConceptKind.MEDICATION, _medicine),
    "Procedure": (ConceptKind.PROCEDURE, _named("code")),
    "Immunization": (ConceptKind.IMMUNIZATION, _named("vaccineCode")),
    "Observation": (ConceptKind.OBSERVATION, _measured),
}
