"""Chains of thought about records of patients: an asker learns no more by them than by releases.

Oracles: what the hospital's own model was given to read, over a whole attack; where the controls are taken away the
same questions read more.
"""

from dataclasses import dataclass, field, replace

import pytest

from fedrag.core.deadline import Deadline
from fedrag.core.errors import Refused
from fedrag.core.exchange import Processor, ProcessorPlace
from fedrag.core.question import Question
from fedrag.core.traces import LocalTask, LocalTrace, TraceRequest, TraceStep
from fedrag.core.wire import new_request_id
from fedrag.encoders import ENCODERS
from fedrag.encoders.remembering import Remembering
from fedrag.evaluation.made_records import made_records
from fedrag.evaluation.records_hospital import (
    COORDINATOR,
    EVERY_CLASS,
    NODE,
    NONE,
    SHIPPED,
    Controls,
    Ingested,
    RecordsHospital,
    clinician,
)
from fedrag.redaction import pattern_detector
from retriever_node.config import TracesConfig
from retriever_node.redaction import Redaction
from retriever_node.traces import SourceReasoning, redaction_for

PATIENTS = 60
CONTROLS = replace(SHIPPED, quota="share_per_30_days = 0.02")
TRACES = TracesConfig.model_validate({"reasoner": {"name": "recorded"}})


@dataclass
class Parrot:
    """A model that repeats all it was given: what an attacker would wish for."""

    seen: list[LocalTask] = field(default_factory=list)

    def trace(self, task: LocalTask, deadline: Deadline) -> LocalTrace:
        self.seen.append(task)
        text = "\n".join(one.text for one in task.passages)
        return LocalTrace(choice=None, answer=text[:8000], steps=(TraceStep(text=text[:8000]),))

    def close(self) -> None:
        return

    @property
    def texts(self) -> set[str]:
        return {one.text for task in self.seen for one in task.passages}


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    encoder = Remembering(ENCODERS.build("hashing"))
    return Ingested.of(tmp_path_factory.mktemp("records"), made_records(PATIENTS, 1), "hashing", encoder)


def reasoning(hospital: RecordsHospital, model: Parrot) -> SourceReasoning:
    redaction = redaction_for(hospital.node, TRACES.demonstrations_class, Redaction(pattern_detector()))
    return SourceReasoning.around(hospital.node, model, TRACES, (), redaction)


def ask(hospital: RecordsHospital, source: SourceReasoning, text: str, who: str = "ann"):
    request = TraceRequest(
        request_id=new_request_id(),
        coordinator=COORDINATOR,
        node=NODE,
        question=Question(text=text[:4000]),
        filter=EVERY_CLASS,
        processor=Processor(model="local-model", place=ProcessorPlace.TRUST_DOMAIN),
        deadline_ms=60_000.0,
        token=hospital.issuer.token(clinician(who), NODE),
    )
    return source.trace(request, Deadline.after_ms(60_000))


def attack(ingested: Ingested, controls: Controls) -> tuple[float, Parrot]:
    """The share of the collection whose text the model read for one asker that asks for patient after patient."""
    model = Parrot()
    with ingested.serving(controls) as hospital:
        source = reasoning(hospital, model)
        for record in made_records(PATIENTS, 1):
            try:
                ask(hospital, source, record.notes[0])
            except Refused:
                continue
        return len(model.texts) / hospital.passages, model


def test_an_asker_draws_no_more_out_of_traces_than_of_releases(ingested: Ingested) -> None:
    """At most 2 % of the collection under the shipped rule; without controls nearly all that was asked for."""
    held_back, _ = attack(ingested, CONTROLS)
    wide_open, _ = attack(ingested, NONE)
    assert 0 < held_back <= 0.02
    assert wide_open > 0.2


def test_one_question_reads_records_of_one_patient(ingested: Ingested) -> None:
    """However many places there are; and what each chain of thought says of it is true: somewhere several passages of
    one patient were read, nowhere those of two."""
    with ingested.serving(NONE) as hospital:
        source = reasoning(hospital, Parrot())
        made = [ask(hospital, source, record.notes[0]) for record in made_records(PATIENTS, 1)[:20]]
    assert {one.patients for one in made} <= {0, 1}
    assert max(one.passages for one in made) > 1


def test_names_never_leave_in_a_trace(ingested: Ingested) -> None:
    """The model repeats all it read: no patient's name or date of birth is in what leaves."""
    with ingested.serving(NONE) as hospital:
        source = reasoning(hospital, Parrot())
        for record in made_records(PATIENTS, 1)[:15]:
            said = ask(hospital, source, record.notes[0]).model_dump_json()
            assert record.family not in said
            assert str(record.born) not in said


def test_asking_one_thing_in_other_words_locks(ingested: Ingested) -> None:
    """As for offers: after seven near-duplicates nothing of records is read any more."""
    record = made_records(PATIENTS, 1)[5]
    model = Parrot()
    with ingested.serving(replace(NONE, lockout=SHIPPED.lockout)) as hospital:
        source = reasoning(hospital, model)
        codes = []
        for at in range(10):
            try:
                ask(hospital, source, f"{record.notes[0]} {'please ' * at}")
                codes.append("")
            except Refused as refused:
                codes.append(refused.code)
    assert codes == [""] * 7 + ["locked"] * 3
    assert len(model.seen) == 7


def test_the_same_question_again_is_replayed_free(ingested: Ingested) -> None:
    """What it reads was given before; the chain of thought itself counts anew."""
    record = made_records(PATIENTS, 1)[5]
    model = Parrot()
    with ingested.serving(CONTROLS) as hospital:
        source = reasoning(hospital, model)
        first = ask(hospital, source, record.notes[0])
        for _ in range(10):
            again = ask(hospital, source, record.notes[0])
            assert (again.answer, again.passages) == (first.answer, first.passages)
