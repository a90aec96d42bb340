"""What a question loses, and what it keeps."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedrag.redaction import PatternRedactor

REDACTED = [
    # people
    ("Mr. Alan Whitcombe has gout", "[NAME] has gout"),
    ("seen by Dr Okonkwo-Reyes for AF", "seen by [NAME] for AF"),
    ("Can Mrs O'Rourke stop warfarin?", "Can [NAME] stop warfarin?"),
    ("Prof. J. van der Veldt asks about INR", "[NAME] asks about INR"),
    ("a 64-year-old man, Piotr Zielinski, with COPD", "a 64-year-old man, [NAME], with COPD"),
    ("Dosing for a girl called Nandini, 8 kg", "Dosing for a girl called [NAME], 8 kg"),
    ("pt Lucía Márquez on apixaban", "pt [NAME] on apixaban"),
    ("metformin for Tobias K., eGFR 42", "metformin for [NAME], eGFR 42"),
    ("Ana Lopez is 30 weeks pregnant", "[NAME] is 30 weeks pregnant"),
    ("Should Ingrid Halvorsen (eGFR 25) have contrast?", "Should [NAME] (eGFR 25) have contrast?"),
    ("type 2 diabetes, Thomas Wilson, on insulin", "type 2 diabetes, [NAME], on insulin"),
    # people whom only the name model finds
    ("Can Marguerite take ibuprofen with lisinopril?", "Can [NAME] take ibuprofen with lisinopril?"),
    ("Zbigniew denies chest pain", "[NAME] denies chest pain"),
    ("hi , martha . how are you ?", "hi , [NAME] . how are you ?"),
    ("so fernando is a 62 year old male", "so [NAME] is a 62 year old male"),
    ("her daughter Oluwaseun helps her", "her daughter [NAME] helps her"),
    ("Unlike Halvorsen, she agreed", "Unlike [NAME], she agreed"),
    # dates and ages
    ("Encounter 2019-03-02: chest pain", "Encounter [DATE]: chest pain"),
    ("visit 03-02-2019 for gout", "visit [DATE] for gout"),
    ("admitted 03/14/2024 with sepsis", "admitted [DATE] with sepsis"),
    ("stroke on 14.3.24, aspirin?", "stroke on [DATE], aspirin?"),
    ("since 2023-11-05 on dialysis", "since [DATE] on dialysis"),
    ("fell on March 3rd, 2024", "fell on [DATE]"),
    ("operated 5 Feb '23", "operated [DATE]"),
    ("last seen on the 21st of October", "last seen on the [DATE]"),
    ("listed in July 2021 for transplant", "listed in [DATE] for transplant"),
    ("DOB 7-9-61, statin?", "DOB [DATE], statin?"),
    ("date of birth: 1958", "date of birth: [DATE]"),
    ("Is surgery safe in a 94-year-old?", "Is surgery safe in a [AGE]-year-old?"),
    # numbers
    ("MRN 00482915", "MRN [ID]"),
    ("medical record number is KX-20931", "medical record number is [ID]"),
    ("chart #77120-B", "chart [ID]"),
    ("insurance ID: QRS-551209", "insurance ID: [ID]"),
    ("account no. 88213-4410", "account no. [ID]"),
    ("SSN 512-44-9071", "SSN [SSN]"),
    ("social security number 512449071", "social security number [SSN]"),
    ("NHS number 943 476 5919", "NHS number [NHS_NUMBER]"),
    ("card 4539 1488 0343 6467 was charged", "card [CARD] was charged"),
    ("pay to DE89 3704 0044 0532 0130 00", "pay to [ID]"),
    # reachable at
    ("call (212) 555-0142 with results", "call [PHONE] with results"),
    ("phone 617.555.0188 ext 4", "phone [PHONE]"),
    ("+44 20 7946 0321 is her daughter", "[PHONE] is her daughter"),
    ("mobile: 07700 900 123", "mobile: [PHONE]"),
    ("write to m.oduya+gp@mail.example.org today", "write to [EMAIL] today"),
    ("see https://portal.example.org/p?id=3 for notes", "see [URL] for notes"),
    ("from 192.168.14.7", "from [IP]"),
    ("from 2001:db8::7f1 today", "from [IP] today"),
    # places
    ("lives at 48 Larkspur Hill Road, Duluth, MN 55802", "lives at [ADDRESS] [POSTCODE]"),
    ("postcode SW1A 2AA", "postcode [POSTCODE]"),
    ("treated at Harrow Vale Hospital for PE", "treated at [PLACE] for PE"),
    ("seen at St. Brigid's on Monday", "seen at [PLACE] on Monday"),
    ("transferred to Duluth yesterday", "transferred to [PLACE] yesterday"),
    ("a farmer from Tupelo, Mississippi with fever", "a farmer from [PLACE] with fever"),
]

UNTOUCHED = """
BP 120/80, HR 72, SpO2 94% on 2 L: what next?
Amoxicillin 500 mg TDS for 5/7 days, then review in 2/52
CHA2DS2-VASc 4/9 and HAS-BLED 2: anticoagulate?
Parkinson disease with a Foley catheter in situ
Does a 72-year-old with Crohn's disease need a statin?
Meaning of ICD-10 codes E11.9 and I48.91
Platelets 150000, INR 2.3, sodium 128 mmol/L on Warfarin
Titrate 5-10-15 mg over 3 weeks; ratio 10/20/30 mg
Vancomycin 15-20 mg/kg every 8-12 h
What is Guillain Barre Syndrome after Campylobacter?
Wolff Parkinson White syndrome and AF
Factor V Leiden, Protein C, Vitamin D, Hepatitis B
T4 N0 M0 tumour, Gleason 3+4=7, NYHA Class III
Viral load 1000000 copies/ml, CD4 count 350
Mayo Clinic guidelines on Barrett Esophagus
American College of Cardiology 2023 guideline
The Surviving Sepsis Campaign hour-1 bundle
St. John's wort with Sertraline?
Patient had an MI in 2019 and CABG in 2021
Trial NCT01234567 and PMID 12345678
Modified Rankin Scale 2 at 90 days, PHQ-9 score 14
A 5 cm mass at T12; admitted to ICU; seen in Outpatient Clinic
Should Entresto replace Ramipril in HFrEF?
may 10 mg be doubled in a march fracture? 1 in 12 may
Hashimoto Thyroiditis versus Graves Disease
Type 2 Diabetes Mellitus in African American patients from California
Malaria in Kenya and Brazil
Vitamin B12 1000 mcg, B12 5MG
Pre-eclampsia at 28 weeks, Rh negative: Anti-D?
version 2.3.1 of the 1:1000 protocol
Dr. recommended Aspirin 81 mg
record of 1200 ml fluid; plan for 6 weeks; case 2
0.9% saline 500 ml over 15 min x3, weight 92 kg
Stevens-Johnson syndrome on Lamotrigine
Glasgow Coma Scale 13/15
Bariatric surgery and Budd Chiari syndrome
Will a rose allergy or a mark on the skin matter?
He may grant her hope; bill the long brown bag
Wilson disease, Graves ophthalmopathy, Addison crisis
Yes. Well, she is better. Thank you
Pacemaker since 2019, pump 125 ml/h, implant 3.5 mm plate
ICD code 250.00, device size 22 Fr, iris colour, retinal thickness 250
""".strip().splitlines()

HOSTILE = [
    "a", "A", "Aa ", "A. ", "1", "1 ", "1-", "(1) ", "a@", "a.", "a@a.", "St ", "at Aa ", "ID ", "ID # : ", "Jan 1 ",
    "+1 ", "ab:", "Aa'", "Aa-", " ", "\t", "1 Aa ", "patient ", "#", "Aa van der ", "phone 1 (2) ", "Dr Aa Bb ", "0 ",
    "in Aa Bb ", "Aa and Aa of ", "Hospital ", "Aa, Bb ", "00:", "é", "İ",
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), REDACTED)
def test_identifiers_are_replaced_by_their_category_and_counted(text, expected) -> None:
    """Invented people. The counts are those of the tags in the expected text."""
    redacted, counts = PatternRedactor().redact(text)
    assert redacted == expected
    for count in counts:
        assert expected.count(f"[{count.category}]") == count.count
    assert sum(count.count for count in counts) == expected.count("[")


@pytest.mark.parametrize("text", UNTOUCHED)
def test_clinical_look_alikes_stay(text) -> None:
    """A question that loses its score, dose or eponym finds the wrong passages."""
    assert PatternRedactor().redact(text) == (text, ())


@pytest.mark.parametrize(("text", "_"), REDACTED)
def test_redacting_twice_changes_nothing_more(text, _) -> None:
    """Tags are not identifiers."""
    once, _counts = PatternRedactor().redact(text)
    assert PatternRedactor().redact(once) == (once, ())


def test_check_digits_decide() -> None:
    """One digit off: no card, no NHS number, no bank account, so nothing is taken out."""
    text = "values 4539 1488 0343 6468; 9434765918; DE88370400440532013000"
    assert PatternRedactor().redact(text) == (text, ())


def test_a_name_runs_over_its_initials_and_stops_at_the_sentence() -> None:
    """Initials before, between and behind; not the next sentence, and not the drug behind it."""
    for text, expected in (
        ("saw Katarzyna W. Nowak, then left", "saw [NAME], then left"),
        ("with Fernando. Warfarin was stopped", "with [NAME]. Warfarin was stopped"),
        ("gave Fernando Metformin", "gave [NAME] Metformin"),
        ("Anna-Lena Kowalczyk's leg", "[NAME] leg"),
    ):
        assert PatternRedactor().redact(text)[0] == expected


def test_every_category_is_counted_apart() -> None:
    """Two people and a date, sorted by category."""
    _, counts = PatternRedactor().redact("Mr. Lund and Mrs. Lund, seen on 3 May 2024")
    assert [(count.category, count.count) for count in counts] == [("DATE", 1), ("NAME", 2)]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400) | st.text(alphabet="Aa1 .,-/:@#()'’\n+é", max_size=200))
def test_any_text_goes_through_and_what_is_left_is_its_own(text) -> None:
    """Between the tags stands the original, in order; nothing is invented."""
    redacted, counts = PatternRedactor().redact(text)
    position = 0
    kept = redacted
    for count in counts:
        kept = kept.replace(f"[{count.category}]", "\x00")
    for part in kept.split("\x00"):
        found = text.find(part, position)
        assert found >= 0
        position = found + len(part)


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_is_bounded_for_hostile_text(unit) -> None:
    """4,000 characters made to backtrack; catastrophic patterns take seconds, ours some milliseconds."""
    text = (unit * 4000)[:4000]
    started = time.process_time()
    PatternRedactor().redact(text)
    assert time.process_time() - started < 0.5


def test_twice_the_text_takes_about_twice_the_time() -> None:
    """Linear, on prose that holds names, numbers and dates."""
    sentence = (
        "Mr. Lund, 64, seen at Harrow Vale Hospital on 3 May 2024 (MRN 0048291), takes 5 mg of apixaban twice a day. "
    )

    def best(repeats: int) -> float:
        times = []
        for _ in range(5):
            started = time.process_time()
            PatternRedactor().redact(sentence * repeats)
            times.append(time.process_time() - started)
        return min(times)

    assert best(80) < 4 * best(40)
