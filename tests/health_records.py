"""Hand-made health records for tests, and where the real ones are: nothing in them is about anyone."""

import base64
import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

IDENTIFIERS = (
    "Quillon", "Brakspear", "Ottoline", "Fennimore", "1951-11-23", "11/23/1951", "1951", "999-31-7755", "999317755",
    "MRN-88123", "88123", "pat-777", "14 Cobblers Yard", "Cobblers", "Wexcombe", "04422", "555-302-9944", "3029944",
    "q.brakspear@example.org", "enc-555", "S7712345",
)  # fmt: skip
"""Whatever names the patient of `bundle` and `clinical_document`, and ids of the record itself."""


def concept(words: str, code: str = "1") -> dict:
    return {"coding": [{"system": "http://snomed.info/sct", "code": code, "display": words}], "text": words}


def to(kind: str, name: str) -> dict:
    return {"reference": f"{kind}/{name}"}


def attached(text: str | bytes, kind: str = "text/plain") -> dict:
    raw = text.encode() if isinstance(text, str) else text
    return {"contentType": kind, "data": base64.b64encode(raw).decode()}


PATIENT = {
    "resourceType": "Patient",
    "id": "pat-777",
    "identifier": [
        {"type": {"coding": [{"code": "MR"}]}, "value": "MRN-88123"},
        {"type": {"coding": [{"code": "SS"}]}, "value": "999-31-7755"},
        {"value": "S7712345"},
    ],
    "name": [{"given": ["Quillon", "J"], "family": "Brakspear"}],
    "contact": [{"name": {"text": "Ottoline Brakspear"}}],
    "birthDate": "1951-11-23",
    "telecom": [{"value": "555-302-9944"}, {"value": "q.brakspear@example.org"}],
    "address": [{"line": ["14 Cobblers Yard"], "city": "Wexcombe", "postalCode": "04422", "state": "ME"}],
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "Fennimore"}
    ],
}

ENCOUNTER = {
    "resourceType": "Encounter",
    "id": "enc-555",
    "status": "finished",
    "class": {"code": "EMER"},
    "type": [concept("General examination")],
    "subject": {**to("Patient", "pat-777"), "display": "Brakspear, Quillon"},
    "period": {"start": "2019-03-02T10:00:00Z", "end": "2019-03-02T11:00:00Z"},
    "reasonCode": [concept("Chest pain")],
}


def of_visit(kind: str, **fields: object) -> dict:
    return {
        "resourceType": kind,
        "id": f"{kind.lower()}-1",
        "subject": to("Patient", "pat-777"),
        "encounter": to("Encounter", "enc-555"),
        **fields,
    }


def bundle(*resources: dict, patient: bool = True) -> dict:
    whole = (*([PATIENT] if patient else []), ENCOUNTER, *resources)
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in whole]}


def written(value: object) -> bytes:
    return json.dumps(value).encode()


def ndjson(*resources: object) -> bytes:
    return b"\n".join(map(written, resources))


def clinical_document(body: str, *, title: str = "Discharge summary", more: str = "") -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
  <id root="1.2.3" extension="doc-1"/><code displayName="Discharge summary"/><title>{title}</title>
  <effectiveTime value="201903051200-0500"/><versionNumber value="2"/>
  <recordTarget><patientRole>
    <id root="2.16.840.1.113883.4.1" extension="999-31-7755"/><id root="1.2.4" extension="MRN-88123"/>
    <addr><streetAddressLine>14 Cobblers Yard</streetAddressLine><city>Wexcombe</city>
      <postalCode>04422</postalCode></addr>
    <telecom value="tel:+1(555)302-9944"/><telecom value="mailto:q.brakspear@example.org"/>
    <patient><name><given>Quillon</given><given>J</given><family>Brakspear</family></name><birthTime value="19511123"/>
      <guardian><guardianPerson><name>Ottoline Fennimore</name></guardianPerson></guardian></patient>
    <providerOrganization><name>Harbour Clinic</name></providerOrganization>
  </patientRole></recordTarget>
  <componentOf><encompassingEncounter><id root="1.2.5" extension="enc-555"/></encompassingEncounter></componentOf>
  {more}<component>{body}</component>
</ClinicalDocument>""".encode()


def structured(*sections: str) -> str:
    inside = "".join(f"<component>{section}</component>" for section in sections)
    return f"<structuredBody>{inside}</structuredBody>"


def data(*folders: str) -> Path:
    """A folder of the data packages; the test is skipped where there is none."""
    root = os.environ.get("FEDRAG_DATA")
    if not root or not Path(root, *folders).is_dir():
        pytest.skip(f"set FEDRAG_DATA to the data packages ({'/'.join(folders)})")
    return Path(root, *folders)


def real_patients() -> dict[str, dict[str, object]]:
    """Patient id → every identifier of the patients in the FHIR package."""
    with gzip.open(data("synthea_fhir") / "patients_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {one["patient_id"]: one["identifiers"] for one in map(json.loads, lines)}


def words_found(identifiers: Iterator[str] | tuple[str, ...], text: str) -> list[str]:
    """Those of the identifiers that stand in the text as whole words, in any case."""
    return [one for one in identifiers if re.search(rf"(?<![^\W_]){re.escape(one)}(?![^\W_])", text, re.IGNORECASE)]
