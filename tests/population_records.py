"""Synthetic patients for counts: made here, about nobody."""

import json
from dataclasses import dataclass

SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
FIBRILLATION = ("49436004", "Atrial fibrillation (disorder)")
ASTHMA = ("195967001", "Asthma (disorder)")
APIXABAN = ("1364445", "apixaban 5 MG Oral Tablet")
MAY_COUNT = """
version = 1
[[rules]]
name = "counts"
classes = ["patient"]
release = "count"
floor = {floor}
"""


@dataclass(frozen=True)
class Person:
    """One synthetic patient: `number` makes the record number."""

    number: str
    conditions: tuple[tuple[str, str], ...] = ()
    medicines: tuple[tuple[str, str], ...] = ()
    sex: str = "female"
    born: int = 1960


def coded(system: str, concept: tuple[str, str]) -> dict[str, object]:
    return {"coding": [{"system": system, "code": concept[0], "display": concept[1]}], "text": concept[1]}


def bundle(*people: Person) -> str:
    """FHIR R4, with a resource for each thing a person has."""
    entries: list[dict[str, object]] = []
    for one in people:
        about = {"subject": {"reference": f"Patient/{one.number}"}}
        entries.append(
            {
                "resourceType": "Patient",
                "id": one.number,
                "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": f"MR-{one.number}"}],
                "gender": one.sex,
                "birthDate": f"{one.born}-06-01",
            }
        )
        entries += [
            {"resourceType": "Condition", "id": f"c{number}-{one.number}", "code": coded(SNOMED, concept), **about}
            for number, concept in enumerate(one.conditions)
        ]
        entries += [
            {
                "resourceType": "MedicationRequest",
                "id": f"m{number}-{one.number}",
                "status": "active",
                "medicationCodeableConcept": coded(RXNORM, concept),
                **about,
            }
            for number, concept in enumerate(one.medicines)
        ]
    whole = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in entries]}
    return json.dumps(whole)


def people(prefix: str, count: int, **of: object) -> tuple[Person, ...]:
    return tuple(Person(f"{prefix}-{number:04}", **of) for number in range(count))  # type: ignore[arg-type]
