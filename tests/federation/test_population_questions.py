"""Hospitals count patients together, over the product's own service and client: the sum is right, nobody's own count is
shown, it costs each patient what it says, and whatever goes wrong on the way tells nothing."""

import asyncio
import dataclasses
import hashlib
import io
import json
import re
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import pytest
import uvicorn
from federation_fixtures import Hospital, Workshop
from population_records import APIXABAN, ASTHMA, FIBRILLATION, MAY_COUNT, Person, bundle, people
from rich.console import Console
from typer.testing import CliRunner

from fedrag.api.app import create_app as create_api
from fedrag.cli import app as coordinator_app
from fedrag.cli.count import render
from fedrag.client import Client
from fedrag.config import ApiKey
from fedrag.core.errors import InputError, Refused
from fedrag.core.exchange import NodeStatus
from fedrag.core.identity import Asker
from fedrag.core.masked_sums import MaskedVector, decode_numbers
from fedrag.core.populations import (
    AgeBand,
    Concept,
    ConceptKind,
    CountKeys,
    CountRound,
    PopulationAnswer,
    PopulationQuestion,
    PopulationRequest,
    Sex,
)
from fedrag.core.wire import ReleaseClass, new_request_id
from fedrag.http.client import http_client
from fedrag.population_grammar import parse
from retriever_node import audit, noise, renyi
from retriever_node.assemble import assemble
from retriever_node.cli import app as node_app
from retriever_node.home import NodeHome, open_config
from retriever_node.ingest import ingest
from retriever_node.noise import discrete_gaussian
from retriever_node.service import create_app

AF = Concept(kind=ConceptKind.CONDITION, code=FIBRILLATION[0], system="snomed")
TAKES = Concept(kind=ConceptKind.MEDICATION, label="apixaban")
HAVE, TAKE = PopulationQuestion(having=(AF,)), PopulationQuestion(having=(AF,), also=(TAKES,))
NAMES = ("ash", "birch", "cedar")


def without_noise(sigma: float, sensitivity: int):
    """Stands in for the library: what comes out is what was counted."""
    return (lambda number: number), renyi.gaussian_loss(sensitivity, sigma)


def made_of(name: str) -> tuple[tuple[Person, ...], ...]:
    """30 patients with atrial fibrillation who take apixaban, 20 men who do not, 20 with asthma."""
    return (
        people(f"{name}a", 30, conditions=(FIBRILLATION,), medicines=(APIXABAN,), born=1950),
        people(f"{name}b", 20, conditions=(FIBRILLATION,), sex="male", born=1980),
        people(f"{name}c", 20, conditions=(ASTHMA,)),
    )


@pytest.fixture(scope="module")
def homes(tmp_path_factory) -> Workshop:
    """Four hospitals' homes, made once; every test gets a copy."""
    shop = Workshop(tmp_path_factory.mktemp("homes"))
    for name in (*NAMES, "dale"):
        files = {f"{number}.json": bundle(*group) for number, group in enumerate(made_of(name))}
        shop.hospital(name, files, release_class=ReleaseClass.PATIENT, policy=MAY_COUNT.format(floor=5))
    for node in shop.opened:
        node.store.close()
        node.state.close()
    return dataclasses.replace(shop, opened=[])


@pytest.fixture
def workshop(homes, tmp_path) -> Iterator[Workshop]:
    """The module's keys, this test's own folder."""
    shop = dataclasses.replace(homes, folder=tmp_path, opened=[])
    yield shop
    for node in shop.opened:
        node.store.close()
        node.state.close()


def quiet(made: Hospital, noise=without_noise) -> Hospital:
    """Without a pace, and exact, unless noise is asked for."""
    made.node.populations.sleep = lambda _: None
    made.node.populations.draw = noise
    return made


@pytest.fixture
def copy_of(homes, workshop) -> Callable[[str], Hospital]:
    def copied(name: str) -> Hospital:
        home = NodeHome(workshop.folder / name)
        shutil.copytree(homes.folder / name / "home", home.folder)
        node = assemble(home)
        workshop.opened.append(node)
        return quiet(Hospital(home, node, workshop.remote(name, node.signer, create_app(node))))

    return copied


@pytest.fixture
def three(copy_of) -> list[Hospital]:
    return [copy_of(name) for name in NAMES]


@pytest.fixture
def four(three, copy_of) -> list[Hospital]:
    return [*three, copy_of("dale")]


@pytest.fixture
def hospital(workshop) -> Callable[..., Hospital]:
    """Of these people, in one file each group."""

    def make(name: str, *groups: tuple[Person, ...], floor: int = 5, noise=without_noise, policy: str | None = None):
        files = {f"{number}.json": bundle(*group) for number, group in enumerate(groups)}
        rules = MAY_COUNT.format(floor=floor) if policy is None else policy
        return quiet(workshop.hospital(name, files, release_class=ReleaseClass.PATIENT, policy=rules), noise)

    return make


@pytest.fixture
def count(workshop) -> Callable[..., PopulationAnswer]:
    def put(hospitals, question: PopulationQuestion, asker: str = "dr-test") -> PopulationAnswer:
        coordinator = workshop.coordinator(*(one.remote for one in hospitals))
        return asyncio.run(coordinator.census.count(question, Asker(name=asker), new_request_id()))

    return put


def not_counted(answer: PopulationAnswer) -> bool:
    """Nothing was told, and it says why."""
    return answer.patients is None and bool(answer.not_counted) and answer.epsilon == 0


def kinds(hospital) -> Counter[str]:
    with hospital.node.state.transaction() as connection:
        return Counter(json.loads(line)["kind"] for line in audit.lines(connection))


def losses(hospital) -> Counter[int]:
    """How many patients were in how many counts."""
    with hospital.node.state.transaction() as connection:
        return Counter(row[0] for row in connection.execute("SELECT counts FROM losses"))


def test_the_sum_is_that_of_all_hospitals(three, count) -> None:
    """By hand, with the noise taken away: 3 × 30 of 3 × 50; by code, by label and by sentence the same."""
    for question in (
        TAKE,
        PopulationQuestion(having=(Concept(label="ATRIAL FIBRILLATION"),), also=(Concept(label="apixaban"),)),
        parse("How many patients with atrial fibrillation take apixaban?"),
    ):
        answer = count(three, question)
        assert (answer.with_also.value, answer.patients.value, answer.hospitals) == (90, 150, 3)
        assert answer.share.value == 0.6
        assert answer.with_also.low < 90 < answer.with_also.high
        assert answer.complete
        assert [one.status for one in answer.coverage] == [NodeStatus.ANSWERED] * 3


@pytest.mark.parametrize(
    ("question", "patients"),
    [
        (PopulationQuestion(having=(AF,), sex=Sex.MALE), 60),
        (PopulationQuestion(having=(AF,), age=AgeBand(at_least=60)), 90),
        (PopulationQuestion(having=(AF,), age=AgeBand(at_most=59), sex=Sex.FEMALE), 0),
        (PopulationQuestion(having=(AF, TAKES)), 90),
        (PopulationQuestion(having=(Concept(label="asthma"),)), 60),
        (PopulationQuestion(having=(Concept(kind=ConceptKind.MEDICATION, label="asthma"),)), 0),
    ],
)
def test_limits_and_conjunctions_hold(three, count, question, patients) -> None:
    """Sex, age and several concepts, of one patient all at once."""
    assert count(three, question).patients.value == patients


def test_a_patient_counts_once_at_a_hospital_and_at_each_hospital(hospital, count) -> None:
    """In two files, and in two collections' worth of visits, one patient is one; at another hospital they are one
    more, and the answer says so."""
    same = people("same", 20, conditions=(FIBRILLATION,))
    hospitals = [hospital(name, same, same, people("same", 20, conditions=(ASTHMA,))) for name in NAMES]
    answer = count(hospitals, HAVE)
    assert answer.patients.value == 3 * 20
    assert any("two hospitals" in notice for notice in answer.notices)
    both = PopulationQuestion(having=(AF, Concept(label="asthma")))
    assert count(hospitals, both).patients.value == 3 * 20, "stated in different files of one patient"


@pytest.mark.parametrize(("patients", "adds"), [(10, 0), (0, 0), (11, 1)])
def test_below_the_floor_a_hospital_adds_nothing(three, hospital, count, patients, adds) -> None:
    """With 10 patients exactly as with none, and with 11 a little; the answer says how many may be hidden."""
    few = hospital("few", people("few", patients, conditions=(FIBRILLATION,)), people("x", 1), floor=11)
    answer = count([*three[:2], few], HAVE)
    assert answer.patients.value == 100 + adds
    assert answer.patients.hidden == 4 + 4 + 10
    assert answer.patients.high >= 100 + patients
    assert answer.floor == 11


class Line(httpx2.AsyncBaseTransport):
    """In front of one hospital: remembers every message; from step `dead_from` on nothing comes back."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, messages: list, dead_from: str = "") -> None:
        self.inner, self.messages, self.dead_from = inner, messages, dead_from

    async def handle_async_request(self, request):
        step, body = request.url.path.rpartition("/")[2], await request.aread()
        order = ["key", "mask", "survivors", "seeds"]
        answer = await self.inner.handle_async_request(request)
        content = await answer.aread()
        self.messages.append((request.url.path, body, content))
        if self.dead_from and order.index(step) >= order.index(self.dead_from):
            raise httpx2.ConnectError("dead")
        return httpx2.Response(answer.status_code, headers=answer.headers, content=content)


def wired(workshop, hospitals, messages: list, dead: dict[str, str] | None = None):
    def remote(one):
        line = Line(httpx2.ASGITransport(app=create_app(one.node)), messages, (dead or {}).get(one.node.id, ""))
        made = workshop.remote(one.node.id, one.node.signer, create_app(one.node))
        return type(made)(
            made.id, made.url, made.public_key, made.coordinator, made.signer, http_client(transport=line)
        )

    return workshop.coordinator(*(remote(one) for one in hospitals))


def test_nobody_s_own_count_is_on_the_wire(workshop, three) -> None:
    """What a hospital sends is uniform over all 64-bit numbers: not its count, with its noise or without; and of the
    same size whatever was counted."""
    messages: list = []
    coordinator = wired(workshop, three, messages)
    for question in (TAKE, PopulationQuestion(having=(Concept(label="no such thing"),), also=(TAKES,))):
        asyncio.run(coordinator.census.count(question, Asker(name="dr"), new_request_id()))
    masked = [
        MaskedVector.model_validate_json(content) for path, _, content in messages if path.endswith("populations/mask")
    ]
    assert len(masked) == 6
    for one in masked:
        numbers = decode_numbers(one.values).view(np.int64)
        assert len(numbers) == 2
        assert np.abs(numbers).min() > 10_000, "a count as it is"
    for node in NAMES:
        mine = [content for path, _, content in messages if f'"node":"{node}"'.encode() in content[:60]]
        assert len(mine) == 8
        by_step = Counter(len(content) for content in mine)
        assert set(by_step.values()) == {2}, "sizes differ between many patients and none"
    texts = b"".join(body + content for _, body, content in messages)
    assert not re.search(rb"MR-|ash[abc]-", texts)


def test_each_answer_is_charged_audited_and_free_when_repeated(three, count) -> None:
    """One loss for whom it was about; none for others; ten times the same question is one loss, and the same number."""
    answers = {count(three, TAKE, asker).patients.value for asker in ("a", "b", "a", "a")}
    again = parse("how many patients with atrial fibrillation take apixaban")
    count(three, PopulationQuestion(having=(AF, AF), also=(TAKES,)))
    assert len(answers) == 1
    for one in three:
        assert losses(one) == {1: 50}
        assert kinds(one)["count"] == 5
    count(three, again)  # by label: another question, though about the same
    assert losses(three[0]) == {2: 50}
    count(three, PopulationQuestion(having=(Concept(label="asthma"),)))
    assert losses(three[0]) == {2: 50, 1: 20}


def test_repeated_with_real_noise_it_is_the_same_number(three, count) -> None:
    """Averaging teaches nothing: whoever asks, however it is spelt, until something is read in; then it costs again."""
    pytest.importorskip("opendp")
    for one in three:
        one.node.populations.draw = discrete_gaussian
    spelt = PopulationQuestion(having=(AF, Concept(kind=ConceptKind.CONDITION, code=FIBRILLATION[0], system="snomed")))
    values = {count(three, one, asker).patients for one in (HAVE, spelt) for asker in ("a", "b", "c")}
    assert len(values) == 1
    assert [losses(one) for one in three] == [{1: 50}] * 3
    first = three[0].node
    source = open_config(three[0].home).collections[0].folder
    (source / "new.json").write_text(bundle(*people("new", 1, conditions=(ASTHMA,))), encoding="utf-8")
    ingest(source, "documents", first.store, first.encoder)
    (source / "new.json").unlink()
    count(three, HAVE)
    assert [losses(one) for one in three] == [{2: 50}, {1: 50}, {1: 50}]


def test_who_has_spent_their_budget_is_left_out_silently(three, count) -> None:
    """Room for two: the third different question about them counts nobody, and looks like any other; others, who were
    asked about less, are still counted; the answer says that some may be missing."""
    for one in three:
        budget = one.node.populations.budget
        one.node.populations.budget = renyi.Budget(budget.question, 2.5 * budget.question, budget.delta)
    assert count(three, PopulationQuestion(having=(TAKES,))).patients.value == 90
    assert count(three, HAVE).complete
    third = count(three, PopulationQuestion(having=(AF,), age=AgeBand(at_least=1)))
    assert third.patients.value == 60, "the 20 of each hospital who were in one count so far"
    assert not third.complete
    assert any("left out at 3 of 3" in notice for notice in third.notices)
    assert {one.code for one in third.coverage} == {None}
    assert losses(three[0]) == {2: 50}


def test_a_hospital_that_drops_out_is_made_up_for(workshop, four) -> None:
    """Of four, one whose masked count does not arrive is left out; the sum of the other three is right."""
    coordinator = wired(workshop, four, [], {"dale": "mask"})
    answer = asyncio.run(coordinator.census.count(HAVE, Asker(name="dr"), new_request_id()))
    assert (answer.patients.value, answer.hospitals) == (150, 3)
    assert {one.node: one.code for one in answer.coverage}["dale"] == "dropped_out"


def test_two_sums_of_nearly_the_same_hospitals_are_refused(four, count) -> None:
    """The same question of four after three would show the fourth's count; of the same three again it is free."""
    assert count(four[:3], HAVE).patients.value == 150
    assert not_counted(count(four, HAVE))
    assert count(four[:3], HAVE).patients.value == 150
    assert count(four, PopulationQuestion(having=(AF,), sex=Sex.FEMALE)).patients.value == 120


def test_fewer_than_three_hospitals_count_nothing(three, count) -> None:
    """The sum of two would tell each what the other has."""
    assert not_counted(count(three[:2], HAVE))


def test_a_hospital_s_policy_decides_who_is_answered(three, hospital, count) -> None:
    """No rule, no counts; a rule for another role, none for this one; no refusal depends on content."""
    research = MAY_COUNT.format(floor=5) + 'purposes = ["research"]\n'
    denied = hospital("deny", people("deny", 6, conditions=(FIBRILLATION,)), policy="version = 1\n")
    other = hospital("elm", people("elm", 6, conditions=(FIBRILLATION,)), policy=research)
    for question in (HAVE, PopulationQuestion(having=(Concept(label="no such thing"),))):
        answer = count([*three, denied, other], question)
        assert answer.hospitals == 3
        codes = {one.node: one.code for one in answer.coverage}
        assert (codes["deny"], codes["elm"]) == ("no_counts", "no_counts")
        refused = [one for one in answer.coverage if one.node in ("deny", "elm")]
        assert {one.status for one in refused} == {NodeStatus.REFUSED}
    assert losses(denied) == losses(other) == {}


def test_without_the_library_nothing_is_counted(three, count, monkeypatch) -> None:
    """No noise, no count: a refusal with its reason, never a number as it is."""
    noise.discrete_gaussian.cache_clear()
    for name in ("opendp.domains", "opendp.measurements", "opendp.metrics", "opendp.mod"):
        monkeypatch.setitem(sys.modules, name, None)
    for one in three:
        one.node.populations.draw = noise.discrete_gaussian
    assert not_counted(count(three, HAVE))
    assert losses(three[0]) == {}
    noise.discrete_gaussian.cache_clear()


@pytest.mark.parametrize("broken", ["charge", "append", "within_budget"])
def test_whatever_fails_is_a_denial_and_charges_nothing(three, count, broken, monkeypatch) -> None:
    """Ledger or log cannot be written: no count leaves any hospital, and nobody is charged."""

    def fails(*_args, **_named):
        raise OSError("disk full")

    monkeypatch.setattr(audit if broken == "append" else renyi, broken, fails)
    assert not_counted(count(three, HAVE))
    monkeypatch.undo()
    assert all(losses(one) == {} for one in three)
    with three[0].node.state.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM counted").fetchone() == (0,)


def test_an_asker_gets_so_many_new_counts_a_day(three, count) -> None:
    """What was answered before stays free; another asker has their own."""
    for one in three:
        one.node.populations.questions_per_asker_per_day = 2
    count(three, HAVE, "greedy")
    count(three, TAKE, "greedy")
    third = PopulationQuestion(having=(AF,), sex=Sex.MALE)
    assert not_counted(count(three, third, "greedy"))
    assert count(three, HAVE, "greedy").patients.value == 150
    assert count(three, third, "other").patients.value == 60


def test_masked_counts_leave_at_a_pace_that_tells_nothing(three, count) -> None:
    """Every answer is held back until the next quarter of a second since it was asked for, refusals too."""
    waits: list[float] = []
    ticks = iter(np.arange(0, 1000, 0.01))
    node = three[0].node.populations
    node.sleep, node.monotonic = waits.append, lambda: float(next(ticks))
    count(three, HAVE)
    assert len(waits) == 1
    assert 0 < waits[0] < 0.25
    with pytest.raises(Refused):
        node.mask("test-coordinator", CountKeys(round=new_request_id(), keys={}, identities={}))
    assert len(waits) == 2


def test_over_the_api_with_its_refusals(workshop, three, tmp_path) -> None:
    """A sentence is shown back as it was understood; one that was not understood, or that names somebody, is refused
    before any hospital hears of it."""
    key = "k" * 40
    keys = (ApiKey(name="dr", sha256=hashlib.sha256(key.encode()).hexdigest()),)
    coordinator = workshop.coordinator(*(one.remote for one in three), api_keys=[one.model_dump() for one in keys])
    app = create_api(coordinator, tmp_path / "feedback.sqlite")
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        with Client(f"http://127.0.0.1:{port}", key) as client:
            answer = client.count(PopulationRequest(text="How many patients with atrial fibrillation take apixaban?"))
            assert answer.understood == (
                "patients with 'atrial fibrillation' and how many of them also have medication 'apixaban'"
            )
            assert (answer.with_also.value, answer.patients.value) == (90, 150)
            before = losses(three[0])
            for text, code in (
                ("how many patients with asthma or gout", "question_not_understood"),
                ("How many patients with Mr John Smith have asthma?", "identifiers_in_label"),
            ):
                with pytest.raises(InputError) as refused:
                    client.count(PopulationRequest(text=text))
                assert refused.value.code == code
            assert losses(three[0]) == before
    finally:
        server.should_exit = True
        thread.join()


def test_the_same_question_at_once_is_counted_once(three) -> None:
    """Sixteen rounds in parallel: one number, one loss."""
    node = three[0].node.populations
    node.draw = discrete_gaussian
    with ThreadPoolExecutor(16) as pool:
        asked = [
            pool.submit(node._counted, "c", CountRound(round=new_request_id(), question=question))
            for question in (HAVE, TAKE) * 8
        ]
        rows = {one.result()[0]: tuple(one.result()[1]) for one in asked}
        assert all(rows[one.result()[0]] == tuple(one.result()[1]) for one in asked)
    assert len(rows) == 2
    assert losses(three[0]) == {2: 50}


def test_the_command_lines_say_it_plainly(three, count, monkeypatch) -> None:
    """A number with its bounds, its price and who counted; at the node how much is spent, and nobody's name."""
    answer = count(three, TAKE)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render(answer))
    said = console.export_text()
    assert "with both: about 90" in said
    assert "of patients: about 150" in said
    assert "share: 60%" in said
    assert "epsilon 0.5" in said
    assert "dale" not in said
    told = CliRunner().invoke(node_app, ["budget", "--home", str(three[0].home.folder)], catch_exceptions=False)
    assert "1 questions answered; 50 patients were in at least one" in told.stdout
    assert "up to  1: 50 patients" in told.stdout
    assert not re.search(r"MR-|ash[abc]-", told.stdout)
    asked: list[PopulationRequest] = []
    monkeypatch.setattr(Client, "count", lambda _, request: asked.append(request) or answer)
    for arguments in (
        ["How many patients with asthma take apixaban?"],
        ["--with", "snomed:49436004", "--also", "medication:apixaban", "--sex", "female", "--from-age", "60"],
    ):
        done = CliRunner().invoke(coordinator_app, ["count", *arguments, "--key", "k"], catch_exceptions=False)
        assert done.exit_code == 0
    assert asked[0].text == "How many patients with asthma take apixaban?"
    assert asked[1].question == PopulationQuestion(
        having=(Concept(code="49436004", system="snomed"),), also=(TAKES,), sex=Sex.FEMALE, age=AgeBand(at_least=60)
    )
