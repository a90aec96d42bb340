"""Lockout and constant offers in a whole node: who is refused what, how they learn it, and what breaks closed."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from fedrag.assemble import connect
from fedrag.config import CoordinatorConfig
from fedrag.conversation import ask
from fedrag.core.answer import Answer
from fedrag.core.errors import FedragError, IntegrityError, NotFound, Refused
from fedrag.core.exchange import NodeStatus
from fedrag.core.identity import Asker
from fedrag.core.question import AskRequest, PassageFilter, Question
from fedrag.core.wire import ReleaseClass, new_request_id
from fedrag.encoders import ENCODERS
from fedrag.evaluation.made_records import PatientRecord, made_records
from fedrag.evaluation.records_hospital import (
    COORDINATOR,
    EVERY_CLASS,
    NODE,
    SHIPPED,
    Ingested,
    RecordsHospital,
    clinician,
)
from fedrag.http.client import RemoteNode, http_client
from retriever_node import audit, lockout, patient_offers
from retriever_node.cli import app
from retriever_node.lockout import Lockout, unlock
from retriever_node.node import RetrieverNode
from retriever_node.patient_offers import PLACES
from retriever_node.service import create_app
from retriever_node.store import PassageStore

GUIDANCE = "# Gout\n\n## Attack\nIn an attack of gout colchicine is given early.\n"
RULES = '[[rules]]\nname = "guidance"\nclasses = ["protocol"]\nrelease = "passage"\n'
OPEN = replace(SHIPPED, quota="share_per_30_days = 1.0", other_rules=RULES)
QUESTION = "What is given in an attack of gout?"
ANN = clinician("ann")


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    folder = tmp_path_factory.mktemp("records")
    guidance = folder / "guidance"
    guidance.mkdir()
    (guidance / "gout.md").write_text(GUIDANCE, encoding="utf-8")
    return Ingested.of(folder, made_records(60, 1), "hashing", ENCODERS.build("hashing"), guidance)


@pytest.fixture
def hospital(ingested: Ingested) -> Iterator[RecordsHospital]:
    with ingested.serving(OPEN) as made:
        yield made


def gout_again(number: int) -> str:
    """The same question, in hardly other words."""
    words = (
        "Which medicine calms an attack of gout in the big toe of somebody with kidney disease who takes furosemide?"
    )
    return f"{words} ward{number}"


def lock(hospital: RecordsHospital, asker: Asker = ANN) -> None:
    for number in range(8):
        hospital.ask(asker, gout_again(number))


def classes(hospital: RecordsHospital, asker: Asker = ANN) -> list[str]:
    offers = hospital.ask(asker, "Does anyone swim every morning?")
    return sorted({one.release_class for one in hospital.take(asker, offers).passages})


def test_the_eighth_wording_closes_records_and_leaves_guidance_open(hospital: RecordsHospital) -> None:
    """With a notice; for nobody else; and for all of records, whatever the question."""
    for number in range(7):
        assert hospital.ask(ANN, gout_again(number)).notices == ()
    assert hospital.ask(ANN, gout_again(7)).notices == ("locked",)
    assert classes(hospital) == ["protocol"]
    assert classes(hospital, clinician("bob")) == ["patient", "protocol"]


def test_where_there_are_records_alone_the_locked_asker_is_refused(ingested: Ingested) -> None:
    """By a code that does not depend on content, every time; the lock is on disk though the request was refused."""
    with ingested.serving(replace(OPEN, other_rules="")) as hospital:
        for number in range(7):
            hospital.ask(ANN, gout_again(number))
        for text in (gout_again(7), "Something else", QUESTION):
            with pytest.raises(Refused) as caught:
                hospital.ask(ANN, text)
            assert caught.value.code == "locked"


def test_handles_from_before_the_lock_open_no_more(hospital: RecordsHospital) -> None:
    """Text was not yet given; it is not given now."""
    before = hospital.ask(ANN, QUESTION)
    lock(hospital)
    with pytest.raises(Refused) as caught:
        hospital.take(ANN, before)
    assert caught.value.code == "locked"


def test_an_administrator_unlocks_by_name_and_the_log_says_so(hospital: RecordsHospital, tmp_path: Path) -> None:
    """On the command line, beside a running node."""
    lock(hospital)
    home = str(next(Path(path).parent for path in _files(hospital.node)))
    found = json.loads(CliRunner().invoke(app, ["lockout", "list", "--home", home, "--json"]).stdout)
    (held,) = found["locks"]
    assert held["collection"] == "records"
    done = CliRunner().invoke(app, ["lockout", "unlock", "--home", home, held["asker"], "--by", "Dr. Who"])
    assert done.exit_code == 0
    assert classes(hospital) == ["patient", "protocol"]
    with hospital.node.state.reading() as connection:
        logged = [json.loads(line) for line in audit.lines(connection)]
    kinds = [(one["kind"], one.get("by", ""), one.get("detail", "")) for one in logged]
    assert ("locked", "", held["asker"]) in kinds
    assert ("unlocked", "Dr. Who", held["asker"]) in kinds
    again = CliRunner().invoke(app, ["lockout", "unlock", "--home", home, held["asker"], "--by", "x"])
    assert isinstance(again.exception, NotFound)


def _files(node: RetrieverNode) -> list[str]:
    with node.state.reading() as connection:
        return [row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main"]


@pytest.mark.parametrize(
    "text",
    [
        made_records(60, 1)[0].notes[0],
        made_records(70, 1)[69].notes[0],
        "qqq zzz",
        "patients who had a relapse " * 50,
    ],
    ids=["somebody's whole note", "a note from elsewhere", "words of nothing", "a long one"],
)
def test_offers_of_records_are_as_many_and_as_long_whatever_is_asked(ingested: Ingested, text: str) -> None:
    """Equal to the byte, but for handles and receipt, which are random and of one length."""
    with ingested.serving(replace(OPEN, other_rules="")) as hospital:
        offers = hospital.ask(ANN, text)
    assert [one.rank for one in offers.offers] == list(range(1, PLACES + 1))
    assert {(one.probability, one.similarity, one.sketch, len(one.handle)) for one in offers.offers} == {
        (offers.offers[0].probability, None, None, len(offers.offers[0].handle))
    }
    assert len(offers.model_dump_json()) == len(_reference(ingested))


def _reference(ingested: Ingested) -> str:
    with ingested.serving(replace(OPEN, other_rules="")) as hospital:
        return hospital.ask(ANN, "What is the plan?").model_dump_json()


def test_dates_of_records_cannot_be_asked_for(hospital: RecordsHospital) -> None:
    """Redaction took them out of the text; a filter would put them back. Who limits dates is offered no records."""
    wanted = PassageFilter(release_classes=(ReleaseClass.PATIENT,), effective_from="2025-01-01")
    assert hospital.ask(ANN, QUESTION, wanted).offers == ()


@pytest.mark.parametrize(
    "wanted",
    [None, PassageFilter(), PassageFilter(release_classes=("public", "protocol"))],
    ids=["none", "empty", "others"],
)
def test_who_does_not_name_records_neither_finds_one_nor_is_counted(hospital: RecordsHospital, wanted) -> None:
    """The same words find records once their class is named; without, nothing was asked that could lock anybody."""
    for _ in range(20):
        named = hospital.ask(ANN, QUESTION, wanted)
    assert all(one.similarity is not None for one in named.offers)
    assert named.notices == ()
    with hospital.node.state.reading() as connection:
        assert connection.execute("SELECT count(*) FROM asked").fetchone() == (0,)
    assert any(one.similarity is None for one in hospital.ask(ANN, QUESTION).offers)


def put(ingested: Ingested, node: RetrieverNode, text: str, passages: int = 5) -> Answer:
    """Over the wire: signed, through the service, merged and reasoned over."""
    node = replace(node, clock=time.time, ledger_clock=time.time, lockout=replace(node.lockout, clock=time.time))
    client = http_client(transport=httpx2.ASGITransport(app=create_app(node)))
    remote = RemoteNode(NODE, f"http://{NODE}", node.signer.public_key, COORDINATOR, ingested.coordinator, client)
    config = CoordinatorConfig.model_validate(
        {"coordinator": COORDINATOR, "encoder": {"name": "hashing"}, "routing": {"name": "broadcast"}}
    )
    coordinator = connect(config, lambda: {NODE: remote}, ingested.issuer)

    async def once() -> Answer:
        await coordinator.descriptions.refresh()
        answered = await ask(
            AskRequest(question=Question(text=text), passages=passages, filter=EVERY_CLASS),
            new_request_id(),
            ANN,
            config.limits,
            "broadcast",
            coordinator.federation(),
        )
        return getattr(answered, "answer", answered)

    return asyncio.run(once())


def test_the_answer_tells_an_asker_that_records_are_locked(ingested: Ingested, hospital: RecordsHospital) -> None:
    """And decoys leave no gap in the evidence: guidance and a patient's records are both there before."""
    before = put(ingested, hospital.node, QUESTION)
    found = [one.passage.release_class for one in before.evidence.passages]
    assert ReleaseClass.PROTOCOL in found
    assert ReleaseClass.PATIENT in found
    lock(hospital, ANN)
    after = put(ingested, hospital.node, QUESTION)
    assert [one.code for one in after.notices] == ["locked"]
    assert {one.passage.release_class for one in after.evidence.passages} == {ReleaseClass.PROTOCOL}
    assert after.coverage[0].status is NodeStatus.ANSWERED


def test_in_the_place_of_a_decoy_the_next_best_passage_wins(ingested: Ingested, hospital: RecordsHospital) -> None:
    """A patient with one note fills one of three places; the others outrank guidance until they open to nothing."""
    alone = next(one for one in made_records(60, 1) if len(one.notes) == 1)
    answer = put(ingested, hospital.node, alone.notes[0].split(", ", 1)[1], passages=2)
    assert [one.passage.release_class for one in answer.evidence.passages] == [
        ReleaseClass.PATIENT,
        ReleaseClass.PROTOCOL,
    ]


class Broken(Exception):
    """Its words are a patient's."""


def broken(*_arguments: object, **_named: object) -> None:
    raise Broken("swims every morning")


def damaged(*_arguments: object, **_named: object) -> None:
    raise IntegrityError("a record of the lockout was changed", code="lockout_damaged")


@pytest.mark.parametrize("error", [broken, damaged], ids=["exception", "damaged record"])
@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (Lockout, "recall"),
        (Lockout, "count"),
        (Lockout, "locked"),
        (Lockout, "_sketches"),
        (lockout.audit, "note"),
        (patient_offers, "told_probability"),
        (patient_offers, "releasable"),
        (patient_offers, "search"),
        (PassageStore, "provenance"),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_whatever_breaks_in_the_lockout_nothing_leaves(
    ingested: Ingested, hospital: RecordsHospital, monkeypatch, capsys, owner, step, error
) -> None:
    """Over the wire no text of any class, no word of the error; the hospital's own log has a code."""
    for number in range(7):
        hospital.ask(ANN, gout_again(number))
    monkeypatch.setattr(owner, step, error)
    text = gout_again(8)  # the one that locks: it comes by every step
    answer = put(ingested, hospital.node, text)
    assert answer.evidence.passages == ()
    assert answer.coverage[0].status is NodeStatus.FAILED
    logged = capsys.readouterr()
    said = logged.out + logged.err
    assert "lockout_damaged" in said if error is damaged else "Broken" in said or "internal" in said
    assert "swims every morning" not in said + answer.model_dump_json()


def test_damaged_and_full_state_are_denials_with_their_codes(
    ingested: Ingested, hospital: RecordsHospital, capsys
) -> None:
    """A record changed on disk, then a disk without room: zero bytes of text, and why stands in the log."""
    hospital.ask(ANN, gout_again(0))
    with hospital.node.state.transaction() as connection:
        connection.execute("UPDATE asked SET sketch = x'00'")
    answer = put(ingested, hospital.node, gout_again(1))
    assert answer.evidence.passages == ()
    assert "lockout_damaged" in capsys.readouterr().out
    with hospital.node.state.transaction() as connection:
        unlock_all = connection.execute("DELETE FROM asked").rowcount
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    assert unlock_all
    askers = [clinician(f"asker-{number}") for number in range(300)]
    with pytest.raises(FedragError) as caught:
        list(map(hospital.ask, askers, map(gout_again, range(300))))
    assert caught.value.code == "state_full"


def test_a_stolen_record_of_another_node_is_no_record(hospital: RecordsHospital) -> None:
    """Keys are the node's own: who copies a table gets questions of nobody."""
    hospital.ask(ANN, QUESTION)
    other = replace(hospital.node.lockout, key=b"x" * 32)
    stranger: PatientRecord = made_records(1, 1)[0]
    with hospital.node.state.transaction() as connection:
        (row,) = connection.execute("SELECT asker, collection, generation, policy FROM asked").fetchall()
        of = lockout.AskedOf(row[1], row[2], row[3])
        vector = hospital.node.encoder.encode_queries([QUESTION])[0]
        asked = lockout.Asked(vector, QUESTION, EVERY_CLASS)
        assert other.recall(connection, row[0], of, asked) is None
        assert hospital.node.lockout.recall(connection, row[0], of, asked) is not None
        with pytest.raises(NotFound):
            unlock(connection, stranger.id)
