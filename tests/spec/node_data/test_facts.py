"""What stands coded in records about a patient: read from FHIR and C-CDA, found by code and label, gone with the
record."""

import dataclasses
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from health_records import PATIENT, bundle, clinical_document, concept, of_visit, structured

from fedrag.core.populations import AgeBand, Concept, ConceptKind
from fedrag.encoders import ENCODERS
from retriever_node.documents import Document, PassageDraft
from retriever_node.facts import BORN, Fact, in_band, states
from retriever_node.readers import read_folder
from retriever_node.store import PassageStore

MR = "MRN-88123"


def read(folder: Path, name: str, content: bytes) -> list[Document]:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return [one for one in read_folder(folder, "c", {}, key=b"k" * 32) if isinstance(one, Document)]


def labels(documents: list[Document]) -> set[tuple[str, str]]:
    return {(fact.kind, fact.label) for one in documents for fact in one.facts if fact.label}


def test_fhir_states_what_is_so_and_nothing_else(tmp_path: Path) -> None:
    """What is refuted, entered in error, not done, planned or a relative's is no fact of the patient."""
    status = {"coding": [{"code": "refuted"}]}
    resources = (
        of_visit("Condition", code=concept("Asthma (disorder)", "195967001")),
        of_visit("Condition", code=concept("Measles"), verificationStatus=status),
        of_visit("Condition", code=concept("Mumps"), verificationStatus={"coding": [{"code": "entered-in-error"}]}),
        of_visit("MedicationRequest", status="stopped", medicationCodeableConcept=concept("apixaban 5 MG")),
        of_visit("MedicationRequest", status="active", medicationReference={"reference": "#m"},
                 contained=[{"resourceType": "Medication", "id": "m", "code": concept("warfarin")}]),
        of_visit("MedicationRequest", status="active", intent="proposal", medicationCodeableConcept=concept("insulin")),
        of_visit("MedicationStatement", status="not-taken", medicationCodeableConcept=concept("aspirin")),
        of_visit("MedicationRequest", status="active", doNotPerform=True, medicationCodeableConcept=concept("heparin")),
        of_visit("Procedure", status="completed", code=concept("Appendectomy")),
        of_visit("Procedure", status="not-done", code=concept("Tonsillectomy")),
        of_visit("Immunization", status="completed", vaccineCode=concept("Influenza")),
        of_visit("AllergyIntolerance", patient={"reference": "Patient/pat-777"}, code=concept("Peanut")),
        of_visit("Observation", status="final", code=concept("Blood pressure"),
                 component=[{"code": concept("Systolic"), "valueQuantity": {"value": 120}}]),
        of_visit("FamilyMemberHistory", status="completed", condition=[{"code": concept("Cancer")}]),
    )  # fmt: skip
    found = read(tmp_path / "c", "a.json", json.dumps(bundle(*resources)).encode())
    assert labels(found) == {
        ("condition", "Asthma (disorder)"), ("medication", "apixaban 5 MG"), ("medication", "warfarin"),
        ("procedure", "Appendectomy"), ("immunization", "Influenza"), ("allergy", "Peanut"),
        ("observation", "Blood pressure"), ("observation", "Systolic"),
    }  # fmt: skip
    facts = {fact for one in found for fact in one.facts}
    assert Fact("condition", "snomed", "195967001", "Asthma (disorder)") in facts
    assert Fact(BORN, code="1951") in facts
    assert all(one.patients == (MR,) for one in found)


SECTION = """<section><code code="{code}"/><title>{code}</title><text>words</text>{entries}</section>"""
PROBLEM = """<entry><act classCode="ACT" moodCode="EVN"><entryRelationship typeCode="SUBJ">
<observation moodCode="EVN"{more}><value code="{code}" codeSystem="2.16.840.1.113883.6.96" displayName="{label}"/>
</observation></entryRelationship></act></entry>"""
MEDICINE = """<entry><substanceAdministration moodCode="{mood}"><consumable><manufacturedProduct><manufacturedMaterial>
<code code="1" codeSystem="2.16.840.1.113883.6.88" displayName="{label}">
<translation code="9" codeSystem="2.16.840.1.113883.6.96" displayName="{label} (product)"/></code>
</manufacturedMaterial></manufacturedProduct></consumable>
<entryRelationship typeCode="SUBJ"><act moodCode="INT"><code code="x"/></act></entryRelationship>
</substanceAdministration></entry>"""
PROCEDURE = """<entry><procedure moodCode="{mood}">
<code code="5" codeSystem="2.16.840.1.113883.6.96" displayName="{label}"/></procedure></entry>"""


def test_a_clinical_document_states_the_same(tmp_path: Path) -> None:
    """Sections say of which kind their entries are; what is denied, planned or a relative's states nothing; the patient
    is the one of the FHIR record."""
    problems = PROBLEM.format(code="195967001", label="Asthma", more="") + PROBLEM.format(
        code="2", label="Measles", more=' negationInd="true"'
    )
    document = clinical_document(
        structured(
            SECTION.format(code="11450-4", entries=problems),
            SECTION.format(code="10160-0", entries=MEDICINE.format(mood="INT", label="apixaban")),
            SECTION.format(
                code="47519-4",
                entries=PROCEDURE.format(mood="EVN", label="Appendectomy")
                + PROCEDURE.format(mood="INT", label="Tonsillectomy"),
            ),
            SECTION.format(code="10157-6", entries=PROBLEM.format(code="3", label="Cancer", more="")),
        )
    )
    found = read(tmp_path / "c", "a.xml", document)
    assert labels(found) == {
        ("condition", "Asthma"), ("medication", "apixaban"), ("medication", "apixaban (product)"),
        ("procedure", "Appendectomy"),
    }  # fmt: skip
    facts = {fact for one in found for fact in one.facts}
    assert {Fact("condition", "snomed", "195967001", "Asthma"), Fact(BORN, code="1951")} <= facts
    assert [one.patients for one in found] == [(MR,)]


def test_a_document_of_two_patients_states_nothing(tmp_path: Path) -> None:
    """It cannot be told whose an entry is."""
    two = clinical_document(
        structured(SECTION.format(code="11450-4", entries=PROBLEM.format(code="1", label="Asthma", more=""))),
        more='<recordTarget><patientRole><id root="1.2.4" extension="MR-2"/></patientRole></recordTarget>',
    )
    assert [one.facts for one in read(tmp_path / "c", "a.xml", two)] == [()]


FACT = Fact("condition", "snomed", "49436004", "Atrial fibrillation (disorder)")
TABLET = Fact("medication", "rxnorm", "1364445", "apixaban 5 MG Oral Tablet")


@pytest.mark.parametrize(
    ("fact", "concept", "same"),
    [
        (FACT, Concept(label="ATRIAL  fibrillation"), True),
        (FACT, Concept(kind=ConceptKind.CONDITION, label="atrial-fibrillation"), True),
        (FACT, Concept(label="fibrillation"), False),
        (FACT, Concept(kind=ConceptKind.MEDICATION, label="atrial fibrillation"), False),
        (FACT, Concept(code="49436004"), True),
        (FACT, Concept(code="49436004", system="icd10cm"), False),
        (FACT, Concept(code="4943600"), False),
        (TABLET, Concept(label="Apixaban"), True),
        (TABLET, Concept(label="apixaban oral"), True),
        (TABLET, Concept(label="apixabans"), False),
        (Fact("condition", label="Ménière’s disease"), Concept(label="meniere s disease"), True),
        (Fact("sex", code="female"), Concept(code="female"), False),
        (Fact("condition", code="1"), Concept(label="?"), False),
    ],
)
def test_a_concept_finds_a_fact_by_the_documented_rule(fact, concept, same) -> None:
    """Codes as they are; labels word by word; of medicines every word asked for."""
    assert states(fact, concept) is same


@pytest.mark.parametrize(
    ("born", "band", "inside"),
    [
        ("1985", AgeBand(at_least=40, at_most=49), True), ("1976", AgeBand(at_least=40, at_most=49), False),
        ("1986", AgeBand(at_least=41, at_most=49), False), ("1900", AgeBand(at_least=90), True),
        ("1935", AgeBand(at_most=89), False), ("2030", AgeBand(at_most=0), True),
    ],
)  # fmt: skip
def test_an_age_is_that_of_the_year(born, band, inside) -> None:
    """In 2026; 90 stands for everyone older, so that nobody is picked out by being the oldest."""
    assert in_band(Fact(BORN, code=born), band, 2026) is inside


@pytest.fixture
def store(tmp_path: Path):
    with closing(PassageStore.open(tmp_path / "passages.sqlite", ENCODERS.build("hashing").identity)) as opened:
        yield opened


def put(store: PassageStore, name: str, patients: tuple[str, ...], facts: tuple[Fact, ...], collection="c") -> None:
    document = Document(collection, name, name, "T", "", None, (), "0" * 64, name, patients=patients, facts=facts)
    store.put(document, [PassageDraft("T", "S", 0, 4, "text")], ENCODERS.build("hashing").encode_passages(["text"]))


def keys(store: PassageStore, fact: Fact, *collections: str) -> tuple[str, ...]:
    numbers = [number for number, known in store.facts().items() if known == fact]
    return store.patient_keys(store.patients_with(numbers, collections or ("c",)))


def test_a_patient_of_two_files_counts_once_and_goes_with_the_last(store) -> None:
    """Facts are deleted with their record; one that nothing states any more is forgotten altogether."""
    put(store, "one", ("p1",), (FACT, TABLET))
    put(store, "two", ("p1",), (FACT,))
    put(store, "three", ("p2",), (FACT,), collection="d")
    assert keys(store, FACT) == ("p1",)
    assert keys(store, FACT, "c", "d") == ("p1", "p2")
    assert store.forget("c", "one")
    assert keys(store, FACT) == ("p1",)
    assert TABLET not in store.facts().values()
    store.forget("c", "two")
    assert keys(store, FACT) == ()
    put(store, "three", ("p2",), (TABLET,), collection="d")
    assert set(store.facts().values()) == {TABLET}
    assert store.check() == ()


def test_an_altered_fact_is_found(store, tmp_path) -> None:
    """A record whose facts were changed is not what was put."""
    put(store, "one", ("p1",), (FACT,))
    put(store, "two", ("p2",), ())
    with closing(sqlite3.connect(tmp_path / "passages.sqlite")) as other:
        other.execute("UPDATE facts SET code = '1'")
        other.commit()
    assert [(one.code, one.count) for one in store.check()] == [("altered_document", 1)]
    assert store.unsound() == (("c", "one"),)


def test_a_person_without_sex_or_birth_has_no_such_facts(tmp_path: Path) -> None:
    """Nothing is guessed."""
    patient = {name: value for name, value in PATIENT.items() if name not in ("gender", "birthDate")}
    whole = bundle(of_visit("Condition", code=concept("Asthma")), patient=False)
    whole["entry"].append({"resource": patient})
    found = read(tmp_path / "c", "a.json", json.dumps(whole).encode())
    assert {fact.kind for one in found for fact in one.facts} == {"condition"}
    assert dataclasses.replace(FACT, code="") != FACT
