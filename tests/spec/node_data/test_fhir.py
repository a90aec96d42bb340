"""FHIR: what a clinician would read of each encounter, every coded statement, and nothing that names the patient."""

import gzip
import json
from datetime import date

import pytest
from health_records import (
    ENCOUNTER,
    IDENTIFIERS,
    PATIENT,
    attached,
    bundle,
    concept,
    data,
    ndjson,
    of_visit,
    real_patients,
    to,
    words_found,
    written,
)

from retriever_node.documents import Document, Unreadable
from retriever_node.readers import read_folder


def read(root) -> list[Document | Unreadable]:
    return list(read_folder(root, "c", key=b"secret"))


def documents(root) -> list[Document]:
    return [item for item in read(root) if isinstance(item, Document)]


def codes(root) -> list[str]:
    return [item.code for item in read(root) if isinstance(item, Unreadable)]


def lines(folder, *resources: dict, patient: bool = True) -> dict[str, list[str]]:
    """Heading → lines of the one encounter."""
    (made,) = documents(folder({"a.json": written(bundle(*resources, patient=patient))}))
    return {one.heading: one.text.split("\n") for one in made.sections if one.heading != "Encounter"}


def test_an_encounter_is_a_document(folder):
    """Named by day and kind, dated, and known inside by patient and visit; offsets count the text that was made."""
    resources = (
        of_visit("Condition", code=concept("Angina"), onsetDateTime="2019-03-02"),
        of_visit("Procedure", code=concept("Electrocardiogram"), performedDateTime="2019-03-02T10:20:00Z"),
    )
    (made,) = documents(folder({"Brakspear_Quillon.json": written(bundle(*resources))}))
    assert made.title == made.name == "Encounter 2019-03-02: General examination"
    assert made.effective_date == date(2019, 3, 2)
    assert (made.patients, made.encounter) == (("MRN-88123",), "enc-555")
    assert [(one.heading, one.text) for one in made.sections] == [
        ("Encounter", "- 2019-03-02 General examination; emergency; for: Chest pain"),
        ("Conditions", "- 2019-03-02 Angina"),
        ("Procedures", "- 2019-03-02 Electrocardiogram"),
    ]
    text = "\n\n".join(one.text for one in made.sections)
    assert all(text[one.start :].startswith(one.text) for one in made.sections)


LINES = [
    (
        of_visit(
            "Condition",
            code={"text": "High blood pressure", "coding": [{"display": "Hypertension"}]},
            clinicalStatus=concept("", "active"),
            verificationStatus={"coding": [{"code": "provisional"}]},
            severity=concept("Mild"),
            recordedDate="2018",
            abatementDateTime="2019-04-01",
            note=[{"text": "Diet\nfirst."}],
        ),
        "Conditions",
        "- 2018 High blood pressure (Hypertension); active, provisional, Mild; until 2019-04-01; Diet first.",
    ),
    (
        of_visit(
            "Observation",
            code=concept("Hemoglobin"),
            category=[{"coding": [{"code": "laboratory"}]}],
            effectiveDateTime="2019-03-02T10:01:00Z",
            valueQuantity={"value": 11.254, "comparator": "<", "unit": "g/dL"},
            interpretation=[concept("Low")],
            referenceRange=[{"low": {"value": 12.0, "unit": "g/dL"}, "high": {"value": 15.5, "unit": "g/dL"}}],
        ),
        "Laboratory results",
        "- 2019-03-02 Hemoglobin: <11.254 g/dL (Low; reference range: 12.0 to 15.5 g/dL)",
    ),
    (
        of_visit(
            "Observation",
            status="preliminary",
            code=concept("Blood pressure"),
            category=[{"coding": [{"code": "vital-signs"}]}],
            component=[
                {"code": concept("Systolic"), "valueQuantity": {"value": 129.73991234, "unit": "mm[Hg]"}},
                {"code": concept("Diastolic"), "dataAbsentReason": concept("Not asked")},
            ],
        ),
        "Vital signs",
        "- Blood pressure: Systolic 129.74 mm[Hg]; Diastolic no value: Not asked; preliminary",
    ),
    (
        of_visit("Observation", code=concept("Smoker"), effectivePeriod={"start": "2019-01"}, valueBoolean=False),
        "Observations",
        "- 2019-01 Smoker: no",
    ),
    (
        of_visit(
            "MedicationRequest",
            status="active",
            authoredOn="2019-03-02",
            contained=[{"resourceType": "Medication", "id": "m", "code": concept("Aspirin 75 MG")}],
            medicationReference={"reference": "#m"},
            reasonReference=[to("Condition", "condition-1")],
            dosageInstruction=[
                {
                    "timing": {"repeat": {"frequency": 2, "period": 1.0, "periodUnit": "d"}},
                    "asNeededBoolean": True,
                    "route": concept("Oral"),
                    "doseAndRate": [{"doseQuantity": {"value": 1}}],
                }
            ],
        ),
        "Medications",
        "- 2019-03-02 Aspirin 75 MG; 1 per dose, Oral, twice a day, as needed; active; for: Angina",
    ),
    (
        of_visit(
            "MedicationStatement",
            status="stopped",
            context=to("Encounter", "enc-555"),
            effectivePeriod={"start": "2018-01-01", "end": "2018-02-01"},
            medicationCodeableConcept=concept("Warfarin"),
            dosage=[{"text": "5 mg at night"}],
            statusReason=[concept("Bleeding")],
        ),
        "Medications",
        "- 2018-01-01 Warfarin; 5 mg at night; stopped; stopped because: Bleeding; taken: 2018-01-01 to 2018-02-01",
    ),
    (
        of_visit("MedicationRequest", doNotPerform=True, status="active", medicationCodeableConcept=concept("Codeine")),
        "Medications",
        "- do not give Codeine; active",
    ),
    (
        of_visit("Procedure", status="not-done", code=concept("Biopsy"), outcome=concept("Refused")),
        "Procedures",
        "- Biopsy; not-done; outcome: Refused",
    ),
    (
        of_visit(
            "AllergyIntolerance",
            code=concept("Penicillin"),
            criticality="high",
            category=["medication"],
            reaction=[{"manifestation": [concept("Anaphylaxis"), concept("Hives")], "severity": "severe"}],
        ),
        "Allergies",
        "- Penicillin; medication; high criticality; reaction: Anaphylaxis; Hives, severe",
    ),
    (
        of_visit("Immunization", vaccineCode=concept("Influenza vaccine"), occurrenceDateTime="2018-10-01"),
        "Immunizations",
        "- 2018-10-01 Influenza vaccine",
    ),
    (
        of_visit(
            "DiagnosticReport",
            code=concept("Chest X-ray"),
            conclusion="No infiltrate.",
            result=[{"reference": "Observation/elsewhere", "display": "Lung field"}],
        ),
        "Reports",
        "- Chest X-ray; conclusion: No infiltrate.; results: Lung field",
    ),
    (
        of_visit(
            "CarePlan",
            category=[concept("Wound care")],
            status="active",
            addresses=[to("Condition", "condition-1")],
            activity=[{"detail": {"code": concept("Dressing change")}}, {"detail": {"code": concept("Rest")}}],
        ),
        "Care plans",
        "- Wound care; active; for: Angina; activities: Dressing change; Rest",
    ),
    (
        of_visit("FamilyMemberHistory", relationship=concept("Mother"), condition=[{"code": concept("Stroke")}]),
        "Family history",
        "- Mother; Stroke",
    ),
]


@pytest.mark.parametrize(("resource", "heading", "line"), LINES, ids=[line[:30] for _, _, line in LINES])
def test_a_resource_is_a_line(folder, resource, heading, line):
    """Expected lines by hand: day, what it is, how sure, value with unit, range and meaning, why, until when."""
    angina = of_visit("Condition", code=concept("Angina"))
    resource = {**resource, "id": "the-one"}
    assert line in lines(folder, angina, resource)[heading]


def test_lines_stand_in_order_of_time_and_withdrawn_ones_do_not(folder):
    """Oldest first, without a day last, twice the same once; entered in error is not said at all."""
    days = ("2019-03-03", "2019-03-01", "", "2019-03-02", "2019-03-01")
    made = lines(
        folder,
        *(of_visit("Condition", code=concept("Angina"), recordedDate=one, id=str(n)) for n, one in enumerate(days)),
        of_visit("Condition", code=concept("WITHDRAWN"), verificationStatus=concept("x", "entered-in-error")),
        of_visit("Observation", code=concept("WITHDRAWN"), status="entered-in-error"),
    )
    assert made == {
        "Conditions": ["- 2019-03-01 Angina", "- 2019-03-02 Angina", "- 2019-03-03 Angina", "- Angina"],
    }


def test_what_belongs_to_no_encounter_is_a_document_of_its_own(folder):
    """Allergies and goals are often recorded outside visits."""
    allergy = of_visit("AllergyIntolerance", code=concept("Latex"), encounter=None)
    root = folder({"a.json": written(bundle(allergy))})
    assert [made.title for made in documents(root)] == [
        "Encounter 2019-03-02: General examination",
        "Health record: Allergies",
    ]


NOTE = (
    "Mr Brakspear (quillon j. brakspear, DOB 11/23/1951, MRN-88123) of 14 Cobblers Yard, WEXCOMBE came with his wife"
    " Ottoline. Call 555 302 9944.\n\nPlan: rest."
)


@pytest.mark.parametrize(
    "attachment",
    [
        attached(NOTE),
        attached(f"<html><body><p>{NOTE.replace(chr(10) * 2, '</p><p>')}</p></body></html>", "text/html"),
        attached("<p>" + NOTE.replace("\n\n", "<br><p>"), "text/html; charset=utf-8"),
        {"contentType": "text/plain", "url": "Binary/b1"},
    ],
    ids=["plain", "xhtml", "html", "binary"],
)
def test_notes_are_read_without_the_patients_identifiers(folder, attachment):
    """A note is a section of its visit; the clinical part stays, the person is gone."""
    note = of_visit(
        "DocumentReference",
        type=concept("Discharge summary"),
        date="2019-03-02",
        content=[{"attachment": attachment}],
        context={"encounter": [to("Encounter", "enc-555")]},
    )
    binary = {"resourceType": "Binary", "id": "b1", **attached(NOTE)}
    made = lines(folder, note, binary)["Note 2019-03-02: Discharge summary"]
    assert made[0].startswith("Mr [name] ([name], DOB [date], [identifier]) of [address], [address] came with his wife")
    assert made[-1] == "Plan: rest."


def test_notes_that_cannot_be_read_are_counted(folder):
    """Elsewhere, of another type, not what they say: a code each, and the rest of the record is read."""
    contents = (
        {"url": "https://example.org/note.txt", "contentType": "text/plain"},
        attached(b"\x00\x01", "image/png"),
        attached(b"\xff\xfe\xff", "text/plain"),
        {"contentType": "text/plain", "data": "a"},
        attached("<!DOCTYPE p [<!ENTITY a 'b'>]><p>&a;</p>", "application/dicom"),
    )
    note = of_visit("DocumentReference", content=[{"attachment": one} for one in contents])
    root = folder({"a.json": written(bundle(note))})
    assert [(item.code, item.reason[:2]) for item in read(root) if isinstance(item, Unreadable)] == [
        ("bad_attachment", "2 "),
        ("external_attachment", "1 "),
        ("unsupported_attachment", "2 "),
    ]
    assert len(documents(root)) == 1


def everything() -> dict:
    """A record in which every free text names the patient."""
    said = "Brakspear, Quillon J of Wexcombe, born 1951-11-23, SSN 999-31-7755, MRN-88123, 555-302-9944"
    return bundle(
        *(resource for resource, _, _ in LINES),
        of_visit("Condition", id="pat-777", code={"text": f"Grief of {said}"}, note=[{"text": said}]),
        of_visit("Observation", code=concept("Told"), valueString=said),
        of_visit("DiagnosticReport", code=concept("Report"), conclusion=said, presentedForm=[attached(said)]),
        of_visit("CarePlan", title=said, description=said),
        of_visit("Encounter", id="enc-9", type=[{"text": said}], period={"start": "1951-11-23"}, encounter=None),
        of_visit("Composition", title=said, section=[{"title": said, "text": {"div": f"<div>{said}</div>"}}]),
        of_visit("DocumentReference", description=said, content=[{"attachment": attached(said)}]),
    )


def exported(made: Document) -> str:
    """Whatever may leave the hospital of a document."""
    parts = [made.document_id, made.name, made.title, made.version, str(made.effective_date)]
    return "\n".join([*parts, *(f"{one.heading}\n{one.text}" for one in made.sections)])


def test_no_identifier_of_the_patient_in_anything_that_could_leave(folder):
    """The canaries are all identifiers of the record, its ids and the file's name."""
    made = documents(folder({"Brakspear_Quillon_MRN-88123.json": written(everything())}))
    assert len(made) == 2
    for one in made:
        assert words_found(IDENTIFIERS, exported(one)) == []
        assert one.patients == ("MRN-88123",)
        assert {"999-31-7755", "Fennimore", "04422"} <= set(one.identifiers)


def test_without_the_patients_own_record_free_text_is_withheld(folder):
    """Codes are read; what was typed about someone whose name is unknown is not, and that is said."""
    angina = of_visit("Condition", code=concept("Angina"), note=[{"text": NOTE}], id="angina")
    whole = everything()
    whole["entry"] = [*whole["entry"][1:], {"resource": angina}]
    root = folder({"a.json": written(whole)})
    assert codes(root) == ["unknown_patient"]
    made = documents(root)
    assert "- Angina" in next(one.text for one in made[-1].sections if one.heading == "Conditions")
    born = {"1951", "1951-11-23"}  # the day of a visit, of which nothing says that it is a day of birth
    for one in made:
        assert set(words_found(IDENTIFIERS, exported(one))) <= born
        assert one.patients == ("pat-777",)


def test_families_in_one_file(folder):
    """A mother's name is taken out of her child's record; whose record it is stays apart."""
    child = {"resourceType": "Patient", "id": "child-1", "name": [{"given": ["Tansy"]}], "birthDate": "2019-03-02"}
    note = [{"text": "Tansy, born 2 March 2019, is well, and so is Quillon Brakspear."}]
    asthma = {"resourceType": "Condition", "code": concept("Asthma"), "subject": to("Patient", "child-1"), "note": note}
    made = documents(folder({"a.json": written(bundle(child, asthma))}))
    (of_child,) = (one for one in made if one.patients == ("child-1",))
    assert of_child.sections[0].text == "- Asthma; [name], born [date], is well, and so is [name]."
    assert "Brakspear" not in " ".join(of_child.identifiers)


def test_a_bulk_export_knows_the_patients_of_its_other_files(folder):
    """One file per type of resource: names and visits come from beside, a bad line costs only itself."""
    note = of_visit("DocumentReference", content=[{"attachment": attached(NOTE)}])
    conditions = (of_visit("Condition", code=concept("Angina")), of_visit("Condition", code=concept("Gout"), id="2"))
    root = folder(
        {
            "export/1.Patient.ndjson": ndjson(PATIENT),
            "export/Encounter.000.ndjson": ndjson(ENCOUNTER),
            "export/Condition.ndjson": ndjson(conditions[0]) + b"\n{broken\n\n[1]\n" + ndjson(conditions[1]),
            "export/DocumentReference.ndjson.gz": gzip.compress(ndjson(note)),
        }
    )
    items = read(root)
    assert [(item.path.split("/")[1], item.code) for item in items if isinstance(item, Unreadable)] == [
        ("1.Patient.ndjson", "empty"),
        ("Condition.ndjson", "bad_json"),
        ("Condition.ndjson", "unknown_format"),
    ]
    made = [item for item in items if isinstance(item, Document)]
    assert {one.title for one in made} == {"Encounter 2019-03-02: General examination"}
    assert [one.sections[-1].heading for one in made] == ["Conditions", "Note", "Encounter"]
    assert made[0].sections[-1].text == "- Angina\n- Gout"
    assert all(words_found(IDENTIFIERS, exported(one)) == [] for one in made)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.json", b'{"a": 1}', "unknown_format"),
        ("a.json", b"[1, 2]", "unknown_format"),
        ("a.json", b'{"resourceType": 5}', "unknown_format"),
        ("a.json", b"{", "bad_json"),
        ("a.json", b'{"a": NaN}', "bad_json"),
        ("a.json", b'{"a": 1e99999999999999999999}', "bad_json"),
        ("a.json", b"[" * 100_000, "bad_json"),
        ("a.json", b"  ", "empty"),
        ("a.json", b'{"resourceType": "Organization"}', "empty"),
        ("a.json.gz", b"not gzip", "damaged"),
        ("a.json.gz", gzip.compress(b'{"resourceType": "Bundle"}' * 100, mtime=0)[:-20], "damaged"),
        ("a.ndjson", b'{"a": 1}\n{"a": 2}', "unknown_format"),
        ("a.json", written({**of_visit("Condition", code=concept("x")), "subject": {}}), "no_patient"),
        ("a.json", written({**of_visit("Condition", code=concept("x")), "subject": to("Group", "1")}), "no_patient"),
        ("a.json", b'{"resourceType": "Condition", "code": ' + b"[" * 900 + b"]" * 900 + b"}", "no_patient"),
    ],
)
def test_what_is_no_record(folder, name, content, code):
    """One code per kind of trouble, and no document."""
    items = read(folder({name: content}))
    assert [item.code if isinstance(item, Unreadable) else item for item in items] == [code]


def test_a_bomb_is_given_up_at_the_limit(folder, monkeypatch):
    """Packed files are unpacked up to the limit and no further."""
    monkeypatch.setattr("retriever_node.fhir.bundles.MAXIMUM_FILE_BYTES", 100_000)
    assert codes(folder({"a.json.gz": gzip.compress(b" " * 10_000_000)})) == ["too_large"]


@pytest.mark.parametrize("junk", [None, 5, "x", [], {}, [None], [[1]], {"coding": "x"}, [{"coding": [5]}], True, 1e300])
def test_fields_of_any_shape_are_read_as_far_as_they_go(folder, junk):
    """Replace every field of every resource in turn by something else: nothing is raised and the visit is read."""
    for resource, _, _ in LINES:
        broken = [{**resource, field: junk, "id": f"{field}-{n}"} for n, field in enumerate(resource) if field != "id"]
        items = read(folder({"a.json": written(bundle(*broken))}))
        assert any(isinstance(item, Document) for item in items)


def bundles():
    for path in sorted(data("health_formats", "fhir_r4").iterdir()):
        yield path, json.loads(gzip.decompress(path.read_bytes()))


def test_real_bundles_hold_no_identifier_of_their_patients():
    """Every identifier the data package knows of the patient, and what the Patient resource says beside it."""
    patients = real_patients()
    checked = 0
    by_file: dict[str, list[Document]] = {}
    for item in read(data("health_formats", "fhir_r4")):
        assert isinstance(item, Document), item
        by_file.setdefault(item.source, []).append(item)
    for path, whole in bundles():
        known = patients[path.name.partition(".")[0]]
        person = next(one["resource"] for one in whole["entry"] if one["resource"]["resourceType"] == "Patient")
        canaries = {str(value) for value in known.values() if value}
        canaries |= {one["value"] for one in (*person["identifier"], *person["telecom"])}
        canaries |= {line for one in person["address"] for line in (*one["line"], one["city"])}
        canaries |= {one["resource"]["id"] for one in whole["entry"]}
        for made in by_file[path.name]:
            assert words_found(tuple(canaries), exported(made)) == []
            assert made.patients == (known["medical_record_number"],)
            checked += 1
    assert checked == sum(len(made) for made in by_file.values()) > 150


SAID = {
    "Condition": "code",
    "MedicationRequest": "medicationCodeableConcept",
    "Procedure": "code",
    "Observation": "code",
    "Immunization": "vaccineCode",
    "AllergyIntolerance": "code",
    "DiagnosticReport": "code",
}


def test_real_bundles_lose_no_statement():
    """Walks the JSON by itself: every condition, medication, procedure and observation is said in its own visit."""
    texts: dict[tuple[str, str], str] = {}
    for item in read(data("health_formats", "fhir_r4")):
        assert isinstance(item, Document)
        texts[item.source, item.encounter] = "\n".join(one.text for one in item.sections)
    found = 0
    for path, whole in bundles():
        for entry in whole["entry"]:
            resource = entry["resource"]
            if (field := SAID.get(resource["resourceType"])) is None:
                continue
            visit = resource.get("encounter", {}).get("reference", "").removeprefix("urn:uuid:")
            for coding in resource[field]["coding"]:
                assert coding["display"] in texts[path.name, visit], coding
                found += 1
    assert found > 1000
