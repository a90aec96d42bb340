"""Population questions: "how many patients with X have Y", and how hospitals add up an answer that none shows alone.

key         the question, and who asks      → takes part: its key for the round, its floor and its noise
mask        everyone's keys                 → its noisy counts, masked
survivors   whose counts arrived            → its signature of that set
seeds       everyone's signatures           → what unmasks the sum

docs/population-counts.md says what an answer tells about a patient.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from fedrag.core.exchange import NodeOutcome
from fedrag.core.identity import CompactToken
from fedrag.core.masked_sums import MaskedVector, Part, RoundKey, Seeds
from fedrag.core.question import Text
from fedrag.core.statistics import Agreed, Agreement, Round, Step, SurvivorsToSign
from fedrag.core.wire import NUMBER, Base64, Count, Finite, NodeId, RequestId, Wire

UNITS: Final = 4
"""Counts are added in quarters of a patient."""
MAXIMUM_PATIENTS: Final = 1 << 32
"""Above what any hospital may add."""
OLDEST: Final = 90
"""Who is older is of this age: nobody is told apart by it."""
_MAXIMUM_CONCEPTS: Final = 3


class ConceptKind(StrEnum):
    CONDITION = "condition"
    MEDICATION = "medication"
    PROCEDURE = "procedure"
    OBSERVATION = "observation"
    ALLERGY = "allergy"
    IMMUNIZATION = "immunization"


class Sex(StrEnum):
    FEMALE = "female"
    MALE = "male"
    OTHER = "other"


def _words(text: str) -> str:
    """In one line; no control characters."""
    if not text.isprintable():
        raise ValueError("not printable text")
    return " ".join(text.split())


_Words = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_words)]


class Concept(Wire):
    """What stands coded in a record, by its code or by its label, of any kind where none is named.

    `system` is `snomed`, `rxnorm`, `loinc`, `icd10cm`, `icd9cm`, `cvx`, `cpt`, or a code system's own address.
    """

    kind: ConceptKind | None = None
    code: Annotated[str, StringConstraints(pattern=r"^[\w.:/^-]{1,50}$")] | None = None
    system: Annotated[str, StringConstraints(pattern=r"^[\w.:/^-]{1,200}$")] | None = None
    label: _Words | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Concept":
        if (self.code is None) == (self.label is None):
            raise ValueError("a concept has either a code or a label")
        if self.system is not None and self.code is None:
            raise ValueError("a system goes with a code")
        return self


class AgeBand(Wire):
    """Years reached in the year of the question, both ends included; 90 stands for everyone older."""

    at_least: Annotated[int, Field(ge=0, le=OLDEST), NUMBER] = 0
    at_most: Annotated[int, Field(ge=0, le=OLDEST), NUMBER] = OLDEST

    @model_validator(mode="after")
    def _in_order(self) -> "AgeBand":
        if self.at_least > self.at_most:
            raise ValueError("at_least is above at_most")
        return self


class PopulationQuestion(Wire):
    """Patients with all of `having`, of this sex and age; and how many of them have all of `also` too."""

    having: Annotated[tuple[Concept, ...], Field(min_length=1, max_length=_MAXIMUM_CONCEPTS)]
    also: Annotated[tuple[Concept, ...], Field(max_length=_MAXIMUM_CONCEPTS)] = ()
    sex: Sex | None = None
    age: AgeBand | None = None

    @property
    def cells(self) -> int:
        """Numbers of one hospital: patients with `having`; where `also` is asked, those with both and those without."""
        return 2 if self.also else 1


class PopulationRequest(Wire):
    """`POST /v1/populations`: either the question as such, or a sentence of docs/population-counts.md's grammar."""

    question: PopulationQuestion | None = None
    text: Text | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "PopulationRequest":
        if (self.question is None) == (self.text is None):
            raise ValueError("either a question or a text")
        return self


Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
_BY_HOSPITAL: Final = Field(max_length=10_000, json_schema_extra={"additionalProperties": False})


class CountRound(Round):
    """Begins a round of this question for this asker."""

    question: PopulationQuestion
    token: CompactToken | None = None


class CountEntry(Part):
    """A hospital that takes part, and what it adds to each number: patients above `floor`, and noise of standard
    deviation `sigma` patients.

    One answer costs a patient of this hospital (epsilon, delta). `complete`: so few questions were answered here that
    no patient's budget can be spent; otherwise those asked about most may be left out of the count.
    """

    key: RoundKey
    floor: Annotated[int, Field(ge=1, le=MAXIMUM_PATIENTS), NUMBER]
    sigma: Positive
    epsilon: Positive
    delta: Positive
    complete: bool


class CountKeys(Round):
    """`identities`: the public keys by which each hospital is known."""

    keys: Annotated[dict[NodeId, RoundKey], _BY_HOSPITAL]
    identities: Annotated[dict[NodeId, Base64], _BY_HOSPITAL]


_FAMILY: Final = "populations"
COUNT_KEY: Final = Step("key", CountRound, CountEntry, _FAMILY)
COUNT_MASK: Final = Step("mask", CountKeys, MaskedVector, _FAMILY)
COUNT_SURVIVORS: Final = Step("survivors", SurvivorsToSign, Agreement, _FAMILY)
COUNT_SEEDS: Final = Step("seeds", Agreed, Seeds, _FAMILY)
COUNT_STEPS: Final = (COUNT_KEY, COUNT_MASK, COUNT_SURVIVORS, COUNT_SEEDS)


class Estimate(Wire):
    """A number that noise was added to. The true one lies in [low, high] with probability 0.95 at least.

    `hidden`: so many patients more than `value` may be behind floors; `high` allows for them.
    """

    value: Annotated[Finite, Field(ge=0)]
    low: Annotated[Finite, Field(ge=0)]
    high: Annotated[Finite, Field(ge=0)]
    hidden: Count = 0


class PopulationAnswer(Wire):
    """How many patients, over all hospitals that counted together.

    Args:
        understood: the question in words, as it was put to the hospitals.
        patients: with `having`; None where there is no sum, `not_counted` then says why; `with_also`: of these with
            `also` too; `share`: the one of the other, None where it is not sure that there is any patient.
        hospitals: how many counted.
        floor: the highest of theirs. A hospital with fewer such patients adds none.
        epsilon, delta: the most that this answer tells about one patient of one hospital.
        complete: no patient was left out because their budget was spent.
    """

    id: RequestId
    question: PopulationQuestion
    understood: str
    patients: Estimate | None
    with_also: Estimate | None
    share: Estimate | None
    hospitals: Count
    floor: Count
    epsilon: Annotated[Finite, Field(ge=0)]
    delta: Annotated[Finite, Field(ge=0)]
    complete: bool
    not_counted: str | None = None
    coverage: tuple[NodeOutcome, ...]
    notices: tuple[str, ...]
    answered_at: datetime
