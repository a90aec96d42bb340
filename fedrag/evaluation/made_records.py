"""Records of patients who never were, made by chance from lists of our own: what attacks are tried on.

Each patient has one condition of thirty, and by chance an age, a second condition, a circumstance, and one to three
visits with findings, figures and a plan. Notes of one condition are alike, as in a clinic; hardly two are equal.
"""

# ruff: noqa: SIM905 - lists as one reads them

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

_VISITS: Final = 3
_SHORTEST_NOTE: Final = 300
_FACT_WORDS: Final = 6
_FIRST: Final = (
    "Aldin Berthe Corvin Dagny Edda Fenno Gisla Hauke Imke Jorun Kaspar Linnea Malte Nerea Oda Pelle Quint Runa Sverre "
    "Thilde Ulf Vesna Wanja Yorick Zelda"
).split()
_FAMILY: Final = (
    "Abelgard Brakvist Cederlund Dornhoff Eikeland Falkmeer Grontved Hasselby Ingstrup Jorvik Kvamme Lundqvist "
    "Moorhage Nordhus Oxholm Pilgaard Quistrup Ravnholt Skovgard Torsvik Ulvedal Vintermark Westerby"
).split()

_CONDITIONS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("heart failure", "breathless on stairs with swollen ankles", "furosemide 40 mg", "ejection fraction {n} percent"),
    ("atrial fibrillation", "palpitations since the weekend", "apixaban 5 mg", "ventricular rate {n} per minute"),
    ("type 2 diabetes", "thirst and blurred sight", "metformin 1000 mg", "glycated haemoglobin {n} mmol per mol"),
    ("community acquired pneumonia", "cough with rusty sputum and fever", "amoxicillin 1 g", "C-reactive protein {n}"),
    ("asthma", "wheezing at night", "budesonide 200 micrograms", "peak flow {n} percent of predicted"),
    ("chronic obstructive lung disease", "a morning cough for years", "tiotropium 18 micrograms", "FEV1 {n} percent"),
    ("ulcerative colitis", "bloody stools six times a day", "mesalazine 4 g", "calprotectin {n}"),
    ("gout", "a red hot big toe", "colchicine 500 micrograms", "uric acid {n} micromol per litre"),
    ("rheumatoid arthritis", "stiff fingers until noon", "methotrexate 15 mg", "rheumatoid factor {n}"),
    ("hypothyroidism", "tiredness and cold hands", "levothyroxine 75 micrograms", "TSH {n} milliunits"),
    ("hyperthyroidism", "weight loss and tremor", "carbimazole 20 mg", "free T4 {n}"),
    ("migraine", "a throbbing headache with zigzag lines", "sumatriptan 50 mg", "headache days in the month {n}"),
    ("epilepsy", "a seizure while shopping", "levetiracetam 500 mg", "drug level {n}"),
    ("ischaemic stroke", "a weak left arm since breakfast", "clopidogrel 75 mg", "stroke score {n}"),
    ("deep vein thrombosis", "a swollen calf after a flight", "rivaroxaban 15 mg", "D-dimer {n}"),
    ("pulmonary embolism", "sudden pain on breathing in", "edoxaban 60 mg", "troponin {n}"),
    ("iron deficiency anaemia", "pallor and brittle nails", "ferrous sulphate 200 mg", "ferritin {n}"),
    ("chronic kidney disease", "itching and poor appetite", "ramipril 5 mg", "filtration rate {n} ml per minute"),
    ("kidney stones", "colic from flank to groin", "tamsulosin 400 micrograms", "stone of {n} mm"),
    ("urinary tract infection", "burning on passing water", "nitrofurantoin 100 mg", "leucocytes {n} per field"),
    ("depression", "early waking and no joy", "sertraline 50 mg", "depression score {n}"),
    ("osteoporosis", "a broken wrist after a stumble", "alendronate 70 mg", "bone density score minus {n}"),
    ("hip osteoarthritis", "groin pain on walking", "paracetamol 1 g", "walking distance {n} metres"),
    ("psoriasis", "silver scales on both elbows", "calcipotriol ointment", "body surface affected {n} percent"),
    ("cellulitis", "a hot red shin", "flucloxacillin 1 g", "white cells {n}"),
    ("coeliac disease", "bloating after bread", "a diet without gluten", "transglutaminase antibodies {n}"),
    ("gallstones", "pain under the ribs after fat meals", "diclofenac 50 mg", "alkaline phosphatase {n}"),
    ("diverticulitis", "pain in the lower left belly", "co-amoxiclav 625 mg", "wall thickness {n} mm"),
    ("parkinson disease", "a resting tremor of one hand", "levodopa 100 mg", "motor score {n}"),
    ("multiple sclerosis", "a numb band around the waist", "interferon beta", "lesions on imaging {n}"),
)
"""Condition, complaint, medicine, finding."""

_CIRCUMSTANCES: Final = (
    "lives alone on the third floor|keeps bees|drives a night bus|sings in a choir|works in a bakery|nurses a brother"
    "|came back from Madeira|retired from the shipyard|teaches at a school|breeds rabbits|plays the cello|builds organs"
    "|repairs clocks|runs a ferry|is writing a book|has two small children|sails at weekends|grows tomatoes"
    "|works shifts|swims every morning|paints houses|lost a parent in spring|moved here in autumn|is learning Welsh"
).split("|")
_ALLERGIES: Final = ("penicillin", "latex", "nuts", "ibuprofen", "wasp stings", "contrast medium", "none known")
_PLANS: Final = (
    "review in two weeks|repeat the blood tests in a month|refer to the specialist clinic|continue unchanged"
    "|increase the dose|stop the medicine if a rash appears|ultrasound next week|physiotherapy twice a week"
    "|home visits by the nurse|telephone call on Friday"
).split("|")
_COURSE: Final = (
    "improving slowly|worse since the last visit|unchanged for months|new this week|better in the mornings"
    "|relapsing for the third time|well controlled until now|first noticed by the family"
).split("|")


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """A patient with what is known to name them, and a note of each visit. `facts`: what an asker could know of them
    from elsewhere; no name is among them."""

    id: str
    given: str
    family: str
    born: date
    condition: str
    facts: tuple[str, ...]
    notes: tuple[str, ...]

    def bundle(self) -> dict[str, object]:
        """A FHIR R4 bundle of the patient and the notes of all visits."""
        patient: dict[str, object] = {
            "resourceType": "Patient",
            "id": self.id,
            "name": [{"given": [self.given], "family": self.family}],
            "birthDate": self.born.isoformat(),
        }
        notes = (
            {
                "resourceType": "DocumentReference",
                "id": f"note-{self.id}-{number}",
                "subject": {"reference": f"Patient/{self.id}"},
                "description": "Visit note",
                "content": [{"attachment": {"contentType": "text/plain", "data": _base64(note)}}],
            }
            for number, note in enumerate(self.notes)
        )
        return {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": one} for one in (patient, *notes)],
        }


def made_records(number: int, seed: int) -> tuple[PatientRecord, ...]:
    """So many patients; the same seed makes the same ones, and a longer list begins with the shorter."""
    return tuple(_record(at, np.random.default_rng((seed, at))) for at in range(number))


class HasBundle(Protocol):
    @property
    def id(self) -> str: ...

    def bundle(self) -> dict[str, object]: ...


def clinical_notes(path: Path) -> tuple[PatientRecord, ...]:
    """The visits of the data package `clinical_notes` whose notes are long enough to tell people apart, in an order of
    their ids' hashes; of each patient what the package tells."""
    found = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        record = json.loads(line) if line.strip() else {}
        note = str(record.get("note", ""))
        if len(note) >= _SHORTEST_NOTE:
            found.append(_visit(record, note))
    return tuple(sorted(found, key=lambda one: hashlib.sha256(one.id.encode()).digest()))


def _visit(record: Mapping[str, Any], note: str) -> PatientRecord:
    patient = record.get("patient") or {}
    names = {str(one["kind"]): str(one["value"]) for one in record.get("known_identifiers", ())}
    given, family = names.get("patient_first_name", ""), names.get("patient_family_name", "")
    complaint = str(patient.get("chief_complaint") or "a visit")
    who = f"{patient.get('age') or 'an adult'} {patient.get('gender') or ''}".strip()
    sentences = [one.strip() for one in note.replace("\n", " ").split(". ") if len(one.split()) >= _FACT_WORDS]
    facts = (f"{who} with {complaint}", *sentences[:2])
    facts = (*facts, *["nothing more is known"] * (3 - len(facts)))
    key = f"visit-{record['doc_id']}".lower()
    return PatientRecord(key, given, family, date(1960, 1, 1), complaint, facts, (note,))


def write_bundles(records: Iterable[HasBundle], folder: Path) -> None:
    """One file for each patient."""
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        (folder / f"{record.id}.json").write_text(json.dumps(record.bundle()), encoding="utf-8")


def _record(at: int, dice: np.random.Generator) -> PatientRecord:
    def one_of(choices: Sequence[str]) -> str:
        return choices[int(dice.integers(len(choices)))]

    condition, complaint, medicine, finding = _CONDITIONS[int(dice.integers(len(_CONDITIONS)))]
    second = _CONDITIONS[int(dice.integers(len(_CONDITIONS)))]
    given, family, circumstance, allergy = one_of(_FIRST), one_of(_FAMILY), one_of(_CIRCUMSTANCES), one_of(_ALLERGIES)
    age, who = int(dice.integers(19, 90)), one_of(("woman", "man"))
    weight = int(dice.integers(46, 120))
    notes: list[str] = []
    figures: list[str] = []
    for number in range(int(dice.integers(1, _VISITS + 1))):
        figures.append(finding.format(n=int(dice.integers(2, 99))))
        pressure, pulse = int(dice.integers(98, 190)), int(dice.integers(48, 120))
        about = f"{given} {family}, a {age}-year-old {who},"
        came = (
            f"{about} came with {complaint}; {one_of(_COURSE)}." if not number else f"{about} again: {one_of(_COURSE)}."
        )
        note = (
            f"{came} Diagnosis: {condition}. Also known: {second[0]}, treated with {second[2]}. "
            f"The patient {circumstance}. Allergies: {allergy}. Findings: {figures[-1]}, blood pressure {pressure}, "
            f"pulse {pulse}, weight {weight} kg. Treated with {medicine}. Plan: {one_of(_PLANS)}."
        )
        notes.append(note)
    facts = (
        f"{age}-year-old {who} with {condition}",
        f"also has {second[0]}",
        circumstance,
        f"allergy: {allergy}",
        figures[0],
    )
    born = date(2025 - age, 1 + int(dice.integers(12)), 1 + int(dice.integers(28)))
    return PatientRecord(f"made-{at:05d}", given, family, born, condition, facts, tuple(notes))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
