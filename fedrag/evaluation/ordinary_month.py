"""An ordinary month of a clinician's questions, and which of them the controls of a hospital get in the way of.

What is ordinary:

* 20 patients a working day, 21 working days. Clinicians have .57 questions a patient and follow up 51 % of them (Del
  Fiol, Workman and Gorman 2014, a review of 72 studies): 6 questions a day, 126 a month. They are about medicine; they
  are put to literature and guidance, by the filter of the request.
* Records held elsewhere are looked up in 6.8 % of visits (Johnson and others 2011, a regional exchange): for 29 of the
  420 patients, at the hospital that the patient names. It is one of four such hospitals, or in the hardest month always
  this one.
* About a patient there is a first question and on average one more, by a geometric law, on another aspect. Of all
  questions about records 15 % are asked again in the same words on a later day, and 15 % in other words: assumed.

A question is affected when it is not given exactly what the same question is given without the controls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fedrag.core.errors import Refused
from fedrag.core.question import PassageFilter
from fedrag.core.wire import ReleaseClass
from fedrag.evaluation.made_records import PatientRecord
from fedrag.evaluation.records_hospital import EVERY_CLASS, RecordsHospital, clinician

WORKING_DAYS: Final = 21
QUESTIONS_A_DAY: Final = 6
LOOKED_UP: Final = 29
HOSPITALS: Final = 4
_FOLLOWED_UP: Final = 0.5
_AGAIN: Final = 0.15
_CALENDAR: Final = tuple(day for day in range(30) if day % 7 < 5)[:WORKING_DAYS]
_OF_MEDICINE: Final = PassageFilter(release_classes=(ReleaseClass.PUBLIC, ReleaseClass.PROTOCOL))
_FIRST: Final = ("What was found at the last visit?", "How is it treated?", "What is the plan?")
_MORE: Final = (
    "Which allergies are known?",
    "Which other diseases are known, and their treatment?",
    "What were blood pressure and weight?",
    "How has it been going since?",
)
_OTHER_WORDS: Final = ("Please tell me about the {}", "I am treating a {}", "Records of the {}", "Known here: {}")


@dataclass(frozen=True, slots=True)
class Put:
    """A question, on which day of thirty, and whether it is about a patient's records."""

    day: int
    text: str
    of_records: bool


@dataclass(frozen=True, slots=True)
class Month:
    """Numbers of questions, and of those among them that were affected; `codes`: of denials, how often."""

    questions: int
    of_records: int
    affected: int
    codes: Mapping[str, int]

    @property
    def unaffected(self) -> float:
        """Of all questions, in [0, 1]."""
        return 1 - self.affected / self.questions

    @property
    def unaffected_of_records(self) -> float:
        return 1 - self.affected / self.of_records if self.of_records else 1.0


def ordinary_month(patients: Sequence[PatientRecord], dice: np.random.Generator, *, all_here: bool) -> tuple[Put, ...]:
    """In order of days. `patients`: those of the hospital, of whom some are the clinician's too."""
    looked_up = LOOKED_UP if all_here else round(LOOKED_UP / HOSPITALS)
    questions = [
        Put(day, f"What is recommended in {_one(patients, dice).condition}, question {number} of {day}?", False)
        for day in _CALENDAR
        for number in range(QUESTIONS_A_DAY)
    ]
    for at in dice.permutation(len(patients))[:looked_up]:
        questions += _about(patients[at], int(dice.choice(_CALENDAR)), dice)
    return tuple(sorted(questions, key=lambda put: put.day))


def live(hospital: RecordsHospital, month: Sequence[Put], name: str) -> list[frozenset[str] | str]:
    """What each question was given: texts, or the code of a denial. Thirty days pass."""
    given: list[frozenset[str] | str] = []
    today = 0
    asker = clinician(name)
    for put in month:
        hospital.days.pass_by(put.day - today)
        today = put.day
        try:
            offers = hospital.ask(asker, put.text, wanted=EVERY_CLASS if put.of_records else _OF_MEDICINE)
            texts = hospital.take(asker, offers).passages if offers.offers else ()
            given.append(frozenset(one.text for one in texts))
        except Refused as refused:
            given.append(refused.code)
    hospital.days.pass_by(30 - today)
    return given


def compared(
    month: Sequence[Put], given: Sequence[frozenset[str] | str], without: Sequence[frozenset[str] | str]
) -> Month:
    affected = [mine for mine, other in zip(given, without, strict=True) if mine != other]
    codes = [one for one in affected if isinstance(one, str)]
    return Month(
        questions=len(month),
        of_records=sum(put.of_records for put in month),
        affected=len(affected),
        codes={code: codes.count(code) for code in sorted(set(codes))},
    )


def together(months: Sequence[Month]) -> Month:
    codes: dict[str, int] = {}
    for month in months:
        for code, number in month.codes.items():
            codes[code] = codes.get(code, 0) + number
    return Month(
        sum(month.questions for month in months),
        sum(month.of_records for month in months),
        sum(month.affected for month in months),
        codes,
    )


def _about(patient: PatientRecord, day: int, dice: np.random.Generator) -> list[Put]:
    who = f"{patient.facts[0]}, {patient.facts[1]}, {patient.facts[2]}"
    asked = [_FIRST[int(dice.integers(len(_FIRST)))]]
    while dice.random() < _FOLLOWED_UP and len(asked) <= len(_MORE):
        asked.append(_MORE[len(asked) - 1])
    made = [Put(day, f"The {who}. {aspect}", True) for aspect in asked]
    for put in list(made):
        later = int(dice.integers(day, 30))
        if dice.random() < _AGAIN:
            made.append(Put(later, put.text, True))
        if dice.random() < _AGAIN:
            opening = _OTHER_WORDS[int(dice.integers(len(_OTHER_WORDS)))].format(who)
            made.append(Put(later, f"{opening}. {put.text.rsplit('. ', 1)[1]}", True))
    return made


def _one(patients: Sequence[PatientRecord], dice: np.random.Generator) -> PatientRecord:
    return patients[int(dice.integers(len(patients)))]
