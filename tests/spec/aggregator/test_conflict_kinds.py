"""Kinds of conflict, editions, the newer side, relevance to the question; then pairs of sentences in many wordings."""

import logging
from datetime import date

import numpy as np
import pytest

from aggregator.conflicts import find_conflicts
from fedrag.core.answer import ConflictKind
from fedrag.core.errors import ConfigError
from fedrag.encoders import ENCODERS

log = logging.getLogger(__name__)


class Alike:
    """An encoder to which all sentences mean the same."""

    def encode_passages(self, texts):
        return np.tile(np.array([1, 0], dtype=np.float32), (len(texts), 1))


class About:
    """An encoder whose first dimension says whether a sentence is about `word`."""

    def __init__(self, word):
        self.word = word

    def encode_passages(self, texts):
        about = [1.0 if self.word in text else 0.1 for text in texts]
        return np.array([[one, (1 - one * one) ** 0.5] for one in about], dtype=np.float32)


@pytest.fixture
def edition(passage):
    """A passage with title, section, version and effective date."""

    def make(number, node, text, *, version="", effective=None, title="Sore throat", section="Antibiotics"):
        made = passage(number, node, text, title=title, section=section)
        citation = made.passage.citation.model_copy(update={"version": version, "effective_date": effective})
        return made.model_copy(update={"passage": made.passage.model_copy(update={"citation": citation})})

    return make


def kinds(passages):
    return [conflict.kind for conflict in find_conflicts(passages, Alike())]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("First choice for cystitis is nitrofurantoin.", "Trimethoprim is first choice in cystitis."),
        ("The first-line drug for absence seizures is ethosuximide.", "Valproate is first line in absence seizures."),
        ("Gout flares are treated first with colchicine.", "For a gout flare prednisolone is our first choice."),
        ("The test of choice for a kidney stone is ultrasound.", "The test of choice for a kidney stone is CT."),
    ],
)
def test_two_first_choices_for_one_illness_are_a_conflict(passage, one, other):
    """In either order; medicines and procedures."""
    for first, second in ((one, other), (other, one)):
        assert kinds((passage(1, "a", first), passage(2, "b", second))) == [ConflictKind.RECOMMENDATION]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("First choice for cellulitis is flucloxacillin.", "First choice for pneumonia is amoxicillin."),
        ("First choice for cystitis is nitrofurantoin.", "In cystitis our first choice is nitrofurantoin."),
        ("First choice for a clot is apixaban.", "First choice for a clot is a DOAC."),  # the one is the other
        ("First choice for cellulitis is flucloxacillin.", "In allergy first choice for cellulitis is clarithromycin."),
        ("Morphine is first choice for severe pain.", "Paracetamol is first choice for mild pain."),
    ],
)
def test_first_choices_that_do_not_exclude_each_other_are_no_conflict(passage, one, other):
    """Another illness, the same medicine, its class, another severity, an alternative."""
    for first, second in ((one, other), (other, one)):
        assert kinds((passage(1, "a", first), passage(2, "b", second))) == []


OLD = "Most sore throats need no antibiotic. Give phenoxymethylpenicillin for 10 days when the score is high. Drink."
NEW = "Most sore throats need no antibiotic. Give phenoxymethylpenicillin for 5 days when the score is high. Drink."


def test_two_editions_of_one_document_are_shown_with_the_newer_named(edition):
    """By date, in either order, at two hospitals and at one that kept both."""
    early = {"version": "1", "effective": date(2019, 3, 1)}
    late = {"version": "2", "effective": date(2024, 3, 1)}
    for node in ("a", "b"):
        for sides, newer in ((((OLD, early), (NEW, late)), 2), (((NEW, late), (OLD, early)), 1)):
            (first, its), (second, other) = sides
            (found,) = find_conflicts((edition(1, "a", first, **its), edition(2, node, second, **other)), Alike())
            assert (found.kind, found.newer) == (ConflictKind.SUPERSEDED, newer)
            quotes = {found.first.citation: found.first.text, found.second.citation: found.second.text}
            assert "5 days" in quotes[newer]
            assert "10 days" in quotes[3 - newer]


def test_without_dates_versions_tell_which_edition_is_newer(edition):
    """Number by number: 1.10 comes after 1.9."""
    (found,) = find_conflicts((edition(1, "a", NEW, version="1.10"), edition(2, "a", OLD, version="1.9")), Alike())
    assert (found.kind, found.newer) == (ConflictKind.SUPERSEDED, 1)


def test_editions_that_say_the_same_or_cannot_be_told_apart_are_none(edition):
    """The same text; one hospital's two passages without a date; another section."""
    dated = {"effective": date(2019, 3, 1)}, {"effective": date(2024, 3, 1)}
    assert kinds((edition(1, "a", OLD, **dated[0]), edition(2, "b", OLD, **dated[1]))) == []
    assert kinds((edition(1, "a", OLD), edition(2, "a", NEW))) == []
    assert kinds((edition(1, "a", OLD, **dated[0]), edition(2, "a", NEW, section="Children", **dated[1]))) == []


def test_protocols_of_two_hospitals_under_one_title_are_not_editions(edition):
    """They differ and are both in force: the kind is that of the disagreement, and the later date is still named."""
    mine = edition(1, "a", "Penicillin is taken for 10 days here.", effective=date(2019, 1, 1))
    theirs = edition(2, "b", "Our doctors prescribe penicillin for 5 days.", effective=date(2024, 1, 1))
    (found,) = find_conflicts((mine, theirs), Alike())
    assert (found.kind, found.newer) == (ConflictKind.NUMBERS, 2)


def test_no_date_no_newer(passage):
    """Nothing is guessed."""
    (found,) = find_conflicts((passage(1, "a", "Treat for 5 days."), passage(2, "b", "Treat for 9 days.")), Alike())
    assert found.newer is None


def test_relevance_is_the_mean_similarity_of_the_quotes_to_the_question_and_orders_the_conflicts(passage):
    """0.1 for a conflict about feet, 1 for one about the throat, which comes first; without a question all are 1."""
    texts = ("Treat the foot for 5 days.", "Treat the foot for 9 days.", "Rinse the throat for 5 days.")
    passages = (*(passage(n, f"h{n}", text) for n, text in enumerate(texts, start=1)),)
    passages += (passage(4, "h4", "Rinse the throat for 9 days."),)
    question = np.array([1, 0], dtype=np.float32)
    found = find_conflicts(passages, About("throat"), question)
    assert [({one.first.citation, one.second.citation}, round(one.relevance, 3)) for one in found] == [
        ({3, 4}, 1.0),
        ({1, 2}, 0.1),
    ]
    assert {one.relevance for one in find_conflicts(passages, About("throat"))} == {1.0}
    assert find_conflicts(passages, About("throat"), -question)[0].relevance == 0.0


@pytest.mark.parametrize(
    ("one", "other", "conflicting"),
    [
        ("Give 100 mL of 20% glucose.", "Give 200 mL of 10% glucose.", False),  # 20 g
        ("Give 100 mL of 20% glucose.", "Give 100 mL of 10% glucose.", True),
        ("Stop metformin when eGFR falls below 30.", "Metformin is continued while eGFR is 30 or more.", False),
        ("Stop metformin when eGFR falls below 30.", "Metformin is continued while eGFR is 20 or more.", True),
        ("Stop apixaban 48 hours before surgery.", "Apixaban is restarted 48 hours after surgery.", False),
        ("Omit empagliflozin on the day before surgery.", "Stop empagliflozin three days before surgery.", True),
        ("DOACs are not used in gut cancer.", "Rivaroxaban may be used in gut cancer.", True),
        ("Do not drive for four weeks after a stroke.", "Walk every day after a stroke.", False),
    ],
)
def test_strengths_touching_bounds_times_and_classes_of_medicines(passage, one, other, conflicting):
    """In either order."""
    assert bool(kinds((passage(1, "a", one), passage(2, "b", other)))) == conflicting
    assert bool(kinds((passage(1, "a", other), passage(2, "b", one)))) == conflicting


CONFLICTS = (
    (
        "For status epilepticus give levetiracetam 60 mg/kg over 10 minutes.",
        "In status epilepticus, levetiracetam is given at 40 mg/kg over 10 minutes.",
    ),
    (
        "In severe hyperkalaemia give 30 mL of 10% calcium gluconate.",
        "Severe hyperkalaemia: calcium gluconate 10%, 10 mL, is given at once.",
    ),
    (
        "Nausea after surgery is treated with ondansetron 4 mg.",
        "Treat nausea after surgery with ondansetron 8 mg by vein.",
    ),
    (
        "The starting dose of gabapentin for neuropathic pain is 300 mg at night.",
        "Gabapentin for neuropathic pain is started at 100 mg at night.",
    ),
    (
        "For renal colic give diclofenac 75 mg into the muscle; repeat after 30 minutes if needed.",
        "Renal colic is treated with diclofenac 100 mg, and the dose is not repeated.",
    ),
    ("Shingles is treated with aciclovir for seven days.", "Aciclovir for shingles is taken for 10 days."),
    (
        "Antibiotics for a septic joint are continued for six weeks.",
        "In septic arthritis of a joint the antibiotics go on for 2 to 4 weeks.",
    ),
    ("Immobilise a scaphoid fracture for 8 weeks.", "A scaphoid fracture is kept immobile for twelve weeks."),
    (
        "After a first seizure, driving is not allowed for 6 months.",
        "After a first seizure driving is forbidden for twelve months.",
    ),
    (
        "Turn the patient at risk of pressure sores every two hours.",
        "Patients at risk of pressure sores are turned every 4 hours.",
    ),
    (
        "Lithium levels are checked every 3 months once stable.",
        "Once stable, lithium levels are checked every six months.",
    ),
    ("Change the peripheral cannula every 72 hours.", "A peripheral cannula is changed every 96 hours."),
    (
        "Start oxygen in heart attack only if saturation falls below 90%.",
        "In a heart attack oxygen is started when saturation is under 94%.",
    ),
    (
        "Platelets are transfused before lumbar puncture if the count is below 40.",
        "Before lumbar puncture transfuse platelets when the count is less than 50.",
    ),
    (
        "Ring the critical care team when lactate reaches 4 mmol/L or more.",
        "Critical care is rung when the lactate is 2 mmol/L or more.",
    ),
    (
        "Bisphosphonates may be given down to an eGFR of 30 mL/min/1.73 m2.",
        "Do not give bisphosphonates when eGFR is below 35 mL/min/1.73 m2.",
    ),
    (
        "Offer statins to people with a ten-year risk of 10% or more.",
        "Statins are offered when the ten-year risk is 20% or more.",
    ),
    (
        "If sodium is below 125 mmol/L stop the thiazide.",
        "The thiazide is stopped only when sodium is below 120 mmol/L.",
    ),
    ("Stop clopidogrel five days before hip surgery.", "Clopidogrel is stopped seven days before hip surgery."),
    ("Omit empagliflozin on the day before an operation.", "Stop empagliflozin three days before an operation."),
    (
        "The first dose of enoxaparin is given 6 hours after the caesarean.",
        "After a caesarean, the first enoxaparin dose is given 12 hours after birth.",
    ),
    (
        "Offer the whooping cough vaccine from 16 weeks of pregnancy.",
        "The whooping cough vaccine is offered between 28 and 36 weeks of pregnancy.",
    ),
    (
        "Repeat the troponin 3 hours after the first sample.",
        "The second troponin is taken 6 hours after the first sample.",
    ),
    (
        "Cranberry juice is recommended to prevent bladder infection.",
        "We do not recommend cranberry juice against bladder infection.",
    ),
    (
        "Give dexamethasone with the first antibiotic in bacterial meningitis.",
        "Dexamethasone is not given in bacterial meningitis here.",
    ),
    (
        "Children with chickenpox should not receive ibuprofen.",
        "A child with chickenpox may be given ibuprofen for fever.",
    ),
    ("Breastfeeding continues during mastitis.", "During mastitis breastfeeding is stopped until the fever has gone."),
    (
        "DOACs are not used in people with antiphospholipid syndrome.",
        "Apixaban may be used in people with antiphospholipid syndrome.",
    ),
    ("NSAIDs are avoided after bariatric surgery.", "After bariatric surgery ibuprofen can be taken for pain."),
    ("Eat a light breakfast before coronary angiography.", "Nothing may be eaten before coronary angiography."),
    (
        "Patients may shower on the second day after a sternotomy.",
        "Do not shower in the first week after a sternotomy.",
    ),
    ("Aspirin is withheld before cataract surgery.", "Continue aspirin for cataract surgery."),
    (
        "First choice for uncomplicated cystitis is nitrofurantoin 100 mg twice daily for three days.",
        "Trimethoprim 200 mg twice daily for three days is first choice in uncomplicated cystitis.",
    ),
    (
        "The first-line drug for absence seizures is ethosuximide.",
        "Sodium valproate is the first-line drug for absence seizures.",
    ),
    ("Gout flares are treated first with colchicine.", "For a gout flare prednisolone is our first choice."),
    ("In eclampsia the first drug is magnesium sulfate.", "In eclampsia the first drug is diazepam."),
)
LOOK_ALIKES = (
    (
        "Give adrenaline 0.5 mL of 1 in 1,000 into the thigh.",
        "Adrenaline 500 micrograms is given into the thigh muscle.",
    ),
    ("Give 100 mL of 20% glucose.", "Give 200 mL of 10% glucose."),
    ("Levothyroxine is taken 30 minutes before breakfast.", "Take levothyroxine half an hour before breakfast."),
    ("Repeat creatinine after 2 weeks.", "Creatinine is repeated at 14 days."),
    (
        "Paracetamol 1 g every 6 hours, at most 4 g in a day.",
        "Paracetamol 1 g four times daily, never more than 4 g in 24 hours.",
    ),
    ("Do not give trimethoprim with methotrexate.", "Trimethoprim is avoided in people who take methotrexate."),
    (
        "Never restart clozapine at the full dose after a gap of 48 hours.",
        "After 48 hours without clozapine it must not be restarted at the full dose.",
    ),
    ("Stop metformin when eGFR falls below 30.", "Metformin is continued while eGFR is 30 or more."),
    ("Treat a septic joint for 4 to 6 weeks.", "Treat a septic joint for six weeks."),
    ("Give ceftriaxone 2 g for meningitis.", "Give a child with meningitis ceftriaxone 80 mg/kg."),
    ("Vitamin D 400 units daily for breastfed babies.", "Adults take vitamin D 800 units daily."),
    ("ACE inhibitors are first choice for high blood pressure under 55.", "ACE inhibitors are not used in pregnancy."),
    ("Ibuprofen 400 mg three times daily helps a sprain.", "People with a kidney transplant do not take ibuprofen."),
    ("In dialysis patients the haemoglobin target is 100 to 120 g/L.", "Transfuse at a haemoglobin of 70 g/L."),
    (
        "Vancomycin 125 mg by mouth four times daily for C. difficile.",
        "Vancomycin is given intravenously at 15 mg/kg for MRSA.",
    ),
    ("The loading dose of phenytoin is 20 mg/kg.", "The maintenance dose of phenytoin is 5 mg/kg daily."),
    ("Mild asthma: four puffs of salbutamol.", "Severe asthma: ten puffs of salbutamol."),
    ("Enoxaparin 40 mg daily prevents clots after surgery.", "A clot is treated with enoxaparin 1.5 mg/kg daily."),
    (
        "Give dalteparin 5,000 units daily if eGFR is above 30.",
        "If eGFR is below 15, give dalteparin 2,500 units daily.",
    ),
    ("Stop apixaban 24 hours before a minor procedure.", "Apixaban is stopped 48 hours before major surgery."),
    ("Stop apixaban 48 hours before surgery.", "Apixaban is restarted 48 hours after surgery."),
    ("Low INR: give an extra dose of warfarin.", "High INR: omit a dose of warfarin."),
    ("If the swab is positive, isolate for 5 days.", "If the swab is negative, isolation is not needed."),
    ("Give oxygen if saturation is below 92%.", "Do not give oxygen if saturation is above 96%."),
    ("Give bisoprolol 2.5 mg for heart failure.", "Give carvedilol 3.125 mg for heart failure."),
    ("Amoxicillin is taken for five days for a chest infection.", "Doxycycline is taken for seven days for acne."),
    ("Check sodium every 4 hours in severe hyponatraemia.", "Check glucose every hour in ketoacidosis."),
    ("Keep the leg raised for 20 minutes, three times a day.", "Walk for 10 minutes, three times a day."),
    ("The clinic is open from 9 to 5.", "The clinic is reached by telephone from 8 to 6."),
    ("Remove the stitches of the face after 5 days.", "Stitches of the leg are removed after 12 days."),
    ("Wash the wound with tap water.", "Do not rub the wound with a towel."),
    ("Do not drive for four weeks after a stroke.", "Walk every day after a stroke."),
    ("First choice for cellulitis is flucloxacillin.", "First choice for pneumonia is amoxicillin."),
    (
        "Flucloxacillin is first choice; clarithromycin is given in penicillin allergy.",
        "In penicillin allergy, clarithromycin is first choice for cellulitis.",
    ),
    (
        "Morphine is first choice for severe pain after surgery.",
        "Paracetamol is first choice for mild pain after surgery.",
    ),
    (
        "Labetalol is the first drug for high blood pressure in pregnancy.",
        "Amlodipine is the first drug for high blood pressure at 55 and over.",
    ),
    ("Nobody died and no harm was done in the trial of 120 patients.", "The trial of 340 patients found less harm."),
    ("Aspirin 75 mg is taken for life.", "Clopidogrel is taken for 12 months."),
)


@pytest.mark.model
def test_pairs_in_many_wordings(passage):
    """At least nine in ten found are real, eight in ten real are found: written before the rules were changed."""
    try:
        encoder = ENCODERS.build("minilm")
    except ConfigError:
        pytest.skip("all-MiniLM-L6-v2 is not here: run fedrag setup")

    def found(one, other):
        return bool(find_conflicts((passage(1, "a", one), passage(2, "b", other)), encoder))

    real = sum(found(*pair) for pair in CONFLICTS)
    false = sum(found(*pair) for pair in LOOK_ALIKES)
    log.info("conflicts: %d of %d found, %d of %d look-alikes", real, len(CONFLICTS), false, len(LOOK_ALIKES))
    assert real / (real + false) >= 0.9
    assert real / len(CONFLICTS) >= 0.8
