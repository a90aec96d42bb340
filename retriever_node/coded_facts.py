"""What a C-CDA document states of its patient in codes. A section says by its own code of which kind its entries are;
what is planned, denied or of a relative states nothing."""

from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from fedrag.core.populations import ConceptKind
from retriever_node.clinical_document import NAMESPACES, first, said
from retriever_node.facts import Fact, codings, of_person

_CONCERN: Final = "v3:act/v3:entryRelationship[@typeCode='SUBJ']/v3:observation"
_MATERIAL: Final = "v3:consumable/v3:manufacturedProduct/v3:manufacturedMaterial/v3:code"
_Places = tuple[tuple[str, str], ...]
"""Statements, and where each is named."""

_PROBLEMS: Final = ((_CONCERN, "v3:value"), ("v3:observation", "v3:value"))
_DIAGNOSES: Final = (("v3:encounter/v3:entryRelationship/v3:act/v3:entryRelationship/v3:observation", "v3:value"),)
_ALLERGENS: Final = ((_CONCERN, "v3:participant/v3:participantRole/v3:playingEntity/v3:code"),)
_MEDICINES: Final = (
    ("v3:substanceAdministration", _MATERIAL),
    ("v3:act/v3:entryRelationship/v3:substanceAdministration", _MATERIAL),
)
_PROCEDURES: Final = (("v3:procedure", "v3:code"), ("v3:observation", "v3:code"), ("v3:act", "v3:code"))
_OBSERVED: Final = (("v3:observation", "v3:code"), ("v3:organizer/v3:component/v3:observation", "v3:code"))

_SECTIONS: Final[Mapping[str, tuple[ConceptKind, _Places]]] = {
    "11450-4": (ConceptKind.CONDITION, _PROBLEMS),
    "46240-8": (ConceptKind.CONDITION, _DIAGNOSES),
    "48765-2": (ConceptKind.ALLERGY, _ALLERGENS),
    "10160-0": (ConceptKind.MEDICATION, _MEDICINES),
    "10183-2": (ConceptKind.MEDICATION, _MEDICINES),
    "29549-3": (ConceptKind.MEDICATION, _MEDICINES),
    "11369-6": (ConceptKind.IMMUNIZATION, _MEDICINES),
    "47519-4": (ConceptKind.PROCEDURE, _PROCEDURES),
    "30954-2": (ConceptKind.OBSERVATION, _OBSERVED),
    "8716-3": (ConceptKind.OBSERVATION, _OBSERVED),
    "29762-2": (ConceptKind.OBSERVATION, _OBSERVED),
}
"""LOINC code of a section → what its entries are."""

_PRESCRIBED: Final = "{urn:hl7-org:v3}substanceAdministration"


def facts_of(root: Element) -> Iterator[Fact]:
    """Of a document about one patient; of several it cannot be told whose an entry is."""
    roles = root.findall("v3:recordTarget/v3:patientRole", NAMESPACES)
    if len(roles) != 1:
        return
    patient = first(roles[0], "patient")
    sex = first(patient, "administrativeGenderCode").get("code") or ""
    yield from of_person(sex, first(patient, "birthTime").get("value") or "")
    for section in root.iter("{urn:hl7-org:v3}section"):
        kind, places = _SECTIONS.get(first(section, "code").get("code") or "", (None, ()))
        for entry in section.iterfind("v3:entry", NAMESPACES):
            if kind and not any(_not_so(one) for one in entry):
                yield from _named(entry, kind, places)


def _not_so(statement: Element) -> bool:
    """What is denied, or has not happened; a prescription is meant to happen and counts."""
    planned = statement.get("moodCode") not in ("EVN", None) and statement.tag != _PRESCRIBED
    return planned or statement.get("negationInd") in ("true", "1")


def _named(entry: Element, kind: ConceptKind, places: _Places) -> Iterator[Fact]:
    for statements, name in places:
        for statement in entry.iterfind(statements, NAMESPACES):
            for concept in statement.iterfind(name, NAMESPACES) if not _not_so(statement) else ():
                every = (concept, *concept.iterfind("v3:translation", NAMESPACES))
                listed = ((_of(one, "codeSystem"), _of(one, "code"), _of(one, "displayName")) for one in every)
                yield from codings(kind, listed, said(first(concept, "originalText")))


def _of(concept: Element, name: str) -> str:
    return concept.get(name) or ""
