"""Attacks on the release queue, and faults in it: nothing leaves before a person said so, nor anything else after.

Oracle: a real node over a patient's record; every byte it answers, its ledger and its audit log.
"""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest
from health_records import IDENTIFIERS, attached, bundle, of_visit, words_found, written

from fedrag.core.deadline import Deadline
from fedrag.core.errors import InputError, Refused
from fedrag.core.exchange import AwaitedRequest, OfferRequest, Offers, Processor, ProcessorPlace, ReleaseRequest
from fedrag.core.identity import Asker, Purpose, Role
from fedrag.core.wire import ReleaseClass, new_request_id
from retriever_node import audit, ledger, review, switch
from retriever_node.config import QuotaConfig, ReviewConfig
from retriever_node.ingest import ingest
from retriever_node.reviewer import open_reviewer
from retriever_node.store import PassageStore

SAYS = "has gout and takes colchicine after meals"
LETTER = f"Quillon Brakspear of Wexcombe, born 11/23/1951, {SAYS}."
QUESTION = "Who has gout and takes colchicine after meals?"
ELSEWHERE = "Which harbour has the deepest water?"
REASON = "Interaction with a macrolide to be ruled out"
POLICY = """
version = 1
[[rules]]
name = "by-hand"
classes = ["patient"]
purposes = ["treatment", "research"]
release = "redacted"
review = true
[rules.quota]
share_per_30_days = 1.0
"""
DR_A = Asker(name="dr-a", purpose=Purpose.TREATMENT)
MODEL = Processor(model="m", place=ProcessorPlace.TRUST_DOMAIN)
TIME = Deadline(time.monotonic() + 600)


class Clinic:
    """A node of class `patient` under review, what it says over the wire, and its reviewer."""

    def __init__(self, workshop) -> None:
        record = written(bundle(of_visit("DocumentReference", content=[{"attachment": attached(LETTER)}])))
        leaflets = {f"leaflet-{n}.md": f"# Leaflet {n}\n\nWash hands with soap for {n} minutes." for n in range(6)}
        made = workshop.hospital(
            "clinic", {"record.json": record.decode(), **leaflets}, ReleaseClass.PATIENT, policy=POLICY
        )
        self.home, self.workshop = made.home, workshop
        self.node = replace(made.node, review=ReviewConfig(probability=0.02, passages=1))
        self.source = workshop.folder / "clinic" / "documents"
        self.read()
        self.reviewer = open_reviewer(self.home)
        workshop.opened.append(replace(self.node, store=self.reviewer.store, state=self.reviewer.state))

    def read(self) -> None:
        (served,) = self.node.collections.values()
        ingest(self.source, "documents", self.node.store, self.node.encoder, redaction=served.redaction)
        self.node.refresh()

    def ask(self, question: str = QUESTION, asker: Asker = DR_A, reason: str | None = REASON, **other) -> Offers:
        request = OfferRequest(
            request_id=other.get("request_id") or new_request_id(),
            coordinator=other.get("coordinator", "test-coordinator"),
            node="clinic",
            vector=None,
            comparable_with="",
            text=question,
            k=5,
            deadline_ms=5_000,
            reason=reason,
            token=self.workshop.issuer.token(asker, "clinic"),
        )
        return self.node.offers(request, TIME)

    def awaited(self, request_id: str, asker: Asker = DR_A, node=None, processor: Processor = MODEL, **other) -> Offers:
        request = AwaitedRequest(
            request_id=request_id,
            coordinator=other.get("coordinator", "test-coordinator"),
            node="clinic",
            processor=processor,
            deadline_ms=5_000,
            token=self.workshop.issuer.token(asker, "clinic"),
        )
        return (node or self.node).awaited(request, TIME)

    def approved(self) -> str:
        """A request whose passage somebody approved."""
        request_id = self.ask().request_id
        self.reviewer.approve(self.reviewer.entries()[-1].id, [1], "Dr. Amsel")
        return request_id

    def given(self) -> tuple[int, list[str]]:
        """How often text was charged, and the kinds of lines about it in the audit log."""
        with self.node.state.transaction() as connection:
            charges = connection.execute("SELECT count(*) FROM charges").fetchone()[0]
            return charges, [json.loads(line)["kind"] for line in audit.lines(connection)]


@pytest.fixture
def clinic(workshop) -> Clinic:
    return Clinic(workshop)


def shape(told: Offers) -> str:
    """What a coordinator sees, but for what is different in any two requests: ids, the receipt's head and signature."""
    fields = json.loads(told.model_dump_json(exclude={"request_id", "receipt", "awaiting_until"}))
    return json.dumps([fields, len(told.model_dump_json())])


def test_nothing_leaves_before_a_person_said_so(clinic) -> None:
    """Asked with and without a reason and asked after: not an offer, not a word, not an identifier, not a charge."""
    told = [clinic.ask(), clinic.ask(reason=None), clinic.ask("Who takes colchicine after meals?")]
    told += [clinic.awaited(one.request_id) for one in told]
    everything = " ".join(one.model_dump_json() for one in told)
    assert all(one.offers == () and one.release is None for one in told)
    assert words_found((*IDENTIFIERS, "colchicine", "gout"), everything) == []
    assert clinic.given()[0] == 0


def test_found_or_not_a_question_that_waits_gets_the_same_bytes(clinic) -> None:
    """The record has it, or nothing does: what is told at once, and while it waits, differs in ids and times alone."""
    found, nothing = clinic.ask(), clinic.ask(ELSEWHERE)
    assert shape(found) == shape(nothing)
    (entry,) = clinic.reviewer.entries()
    assert (entry.asked.question, len(entry.held)) == (QUESTION, 1)
    assert shape(clinic.awaited(found.request_id)) == shape(clinic.awaited(nothing.request_id))
    clinic.reviewer.deny(entry.id, "Dr. Amsel", "no")
    assert shape(clinic.awaited(found.request_id)) == shape(clinic.awaited(nothing.request_id))
    later = replace(clinic.node, clock=lambda: time.time() + 100 * 3600)
    told = {shape(clinic.awaited(one.request_id, node=later)) for one in (found, nothing)}
    assert told == {shape(clinic.awaited(new_request_id()))}


def test_what_was_approved_leaves_redacted_charged_and_audited_once(clinic) -> None:
    """The reviewer saw exactly that text; fetched again it is the same, and free."""
    request_id = clinic.ask().request_id
    _, (shown,) = clinic.reviewer.entry(1)
    clinic.reviewer.approve(1, [1], "Dr. Amsel")
    first, again = clinic.awaited(request_id), clinic.awaited(request_id)
    (passage,) = first.release.passages
    assert SAYS in passage.text
    assert (passage.text, passage.citation) == (shown.text, shown.citation)
    assert words_found(IDENTIFIERS, first.model_dump_json() + shown.text) == []
    assert "Quillon" not in shown.text
    assert [shown.text[start:end] for start, end in shown.marked], "what redaction put in is marked"
    assert again.release.passages == first.release.passages
    assert (first.awaiting_release, first.release.patients) == (False, 1)
    charges, kinds = clinic.given()
    assert charges == 1
    assert [one for one in kinds if one.startswith("review")] == ["review_queued", "review_approved"]
    assert kinds.count("release") == 2
    assert clinic.reviewer.numbers().fetched == 1


@pytest.mark.parametrize(
    ("asker", "other"),
    [
        (Asker(name="dr-b", purpose=Purpose.TREATMENT), {}),
        (Asker(name="dr-a", purpose=Purpose.RESEARCH), {}),
        (Asker(name="dr-a", purpose=Purpose.TREATMENT, role=Role.RESEARCHER), {}),
        (Asker(name="dr-a", purpose=Purpose.TREATMENT, project="trial"), {}),
        (DR_A, {"coordinator": "another"}),
    ],
    ids=["asker", "purpose", "role", "project", "coordinator"],
)
def test_an_approval_cannot_be_used_by_or_for_another(clinic, asker, other) -> None:
    """With the request's id in hand, another asker, purpose, role, project or coordinator gets what anybody gets."""
    request_id = clinic.approved()
    stolen = clinic.awaited(request_id, asker, **other)
    assert (stolen.offers, stolen.release, stolen.awaiting_release) == ((), None, False)
    assert clinic.awaited(new_request_id()).release is None
    assert clinic.given()[0] == 0


def test_a_handle_of_the_queue_opens_nothing(clinic) -> None:
    """Even who learned it, from the approved answer, cannot present it as an offer's, for this request or another."""
    request_id = clinic.approved()
    handle = clinic.awaited(request_id).offers[0].handle
    for number in (request_id, new_request_id()):
        request = ReleaseRequest(
            request_id=number, coordinator="test-coordinator", node="clinic", handles=(handle,), processor=MODEL,
            deadline_ms=5_000, token=clinic.workshop.issuer.token(DR_A, "clinic"),
        )  # fmt: skip
        with pytest.raises(Refused) as refused:
            clinic.node.release(request, TIME)
        assert refused.value.code == "bad_handle"


def _deleted(clinic: Clinic) -> None:
    (clinic.source / "record.json").unlink()
    clinic.read()


def _another_text(clinic: Clinic) -> None:
    path = clinic.source / "record.json"
    other = written(bundle(of_visit("DocumentReference", content=[{"attachment": attached(LETTER + " And cancer.")}])))
    path.write_bytes(other)
    clinic.read()


def _identifiers_now_in_the_form(clinic: Clinic) -> None:
    """A word of the text turns out to be a name of the patient."""
    known = PassageStore.known
    clinic.monkeypatch.setattr(
        PassageStore,
        "known",
        lambda self, ids: {one: (*known(self, ids).get(one, ()), "gout", "colchicine") for one in ids},
    )


def _no_rule(clinic: Clinic) -> None:
    clinic.home.policy.write_text('version = 1\n[[rules]]\nname = "n"\nclasses = ["patient"]\nrelease = "nothing"\n')


def _another_processor(clinic: Clinic) -> None:
    clinic.processor = Processor(model="m", place=ProcessorPlace.OUTSIDE)


def _quota(clinic: Clinic) -> None:
    clinic.node = replace(clinic.node, quota=QuotaConfig(passages_per_asker_per_day=1))
    with clinic.node.state.transaction() as connection:
        recipient = review.entries(connection, time.time())[0].asked.recipient
        spent = [ledger.Disclosure("elsewhere", 9_999, 1)]
        other = replace(recipient, request_id="d" * 32)
        ledger.charge(connection, other, spent, QuotaConfig(), time.time(), {})


def _another_form(clinic: Clinic) -> None:
    """The same passage, redacted anew, and otherwise."""
    held = review_entry(clinic).held[0]
    (served,) = clinic.node.collections.values()
    form = clinic.node.store.redacted([held.passage_id], served.redaction.version)[held.passage_id]
    known = clinic.node.store.known([held.passage_id])[held.passage_id]
    other = replace(form, text=form.text.replace("gout", "gout of both feet"))
    clinic.node.store.put_redacted([(held.passage_id, known, other)])


def _cited_otherwise(clinic: Clinic) -> None:
    clinic.home.policy.write_text(POLICY.replace("review = true", 'review = true\ncite_as = "A registry"'))


def review_entry(clinic: Clinic) -> review.Entry:
    with clinic.node.state.transaction() as connection:
        return review.entries(connection, time.time())[0]


def _form_gone(clinic: Clinic) -> None:
    clinic.node.store.forget_redacted("documents")


@pytest.mark.parametrize(
    "meanwhile",
    [
        _deleted,
        _another_text,
        _another_form,
        _cited_otherwise,
        _identifiers_now_in_the_form,
        _no_rule,
        _another_processor,
        _quota,
        _form_gone,
    ],
)
def test_what_changed_after_the_approval_keeps_it_back_without_saying_so(clinic, monkeypatch, meanwhile) -> None:
    """Deleted, edited, naming the patient, out of policy, for another model, over quota, without a form: no text, no
    charge, and the same bytes as of a question that nobody decided."""
    clinic.monkeypatch, clinic.processor = monkeypatch, MODEL
    nothing = clinic.ask(ELSEWHERE).request_id
    request_id = clinic.approved()
    charges = clinic.given()[0]
    meanwhile(clinic)
    told = clinic.awaited(request_id, processor=clinic.processor)
    assert (told.offers, told.release, told.awaiting_release) == ((), None, True)
    assert shape(told) == shape(clinic.awaited(nothing, processor=clinic.processor))
    assert clinic.given()[0] == charges + (meanwhile is _quota)
    assert "release" not in clinic.given()[1]


@pytest.mark.parametrize(
    "meanwhile", [_deleted, _another_form, _cited_otherwise, _identifiers_now_in_the_form, _no_rule, _form_gone]
)
def test_what_changed_while_it_waited_cannot_be_approved(clinic, monkeypatch, meanwhile) -> None:
    """The reviewer sees that it can no longer leave; approving it is refused."""
    clinic.monkeypatch = monkeypatch
    clinic.ask()
    meanwhile(clinic)
    _, (shown,) = clinic.reviewer.entry(1)
    assert (shown.text, shown.citation) == (None, None)
    with pytest.raises(InputError) as refused:
        clinic.reviewer.approve(1, [1], "Dr. Amsel")
    assert refused.value.code == "passage_changed"


def test_the_kill_switch_wins(clinic) -> None:
    """Turned off after the approval: refused, whatever was asked for, and nothing is charged; turned on, it comes."""
    request_id = clinic.approved()
    with clinic.node.state.transaction() as connection:
        switch.stop(connection, "drill", time.time())
    for number in (request_id, new_request_id()):
        with pytest.raises(Refused) as refused:
            clinic.awaited(number)
        assert refused.value.code == switch.CODE
    assert clinic.given()[0] == 0
    with clinic.node.state.transaction() as connection:
        switch.resume(connection, time.time())
    assert clinic.awaited(request_id).release is not None


@pytest.mark.parametrize("part", ["standing", "fetched", "form_sha256", "queue"])
def test_an_error_in_the_queue_is_a_denial(clinic, monkeypatch, part) -> None:
    """Whatever breaks: no text comes back, nothing is charged; repaired, the approval is still there."""
    request_id = clinic.approved()

    def broken(*_arguments: object) -> None:
        raise RuntimeError(SAYS)

    with monkeypatch.context() as breaking:
        breaking.setattr(review, part, broken)
        with pytest.raises(RuntimeError):
            clinic.ask() if part == "queue" else clinic.awaited(request_id)
    assert clinic.given()[0] == 0
    assert clinic.awaited(request_id).release is not None


def test_a_flood_of_questions_fills_nothing(clinic) -> None:
    """Forty questions of one asker are five entries; what is told of all forty has one shape until the share is used,
    and one after."""
    told = [clinic.ask(f"Who has gout {n} times and takes colchicine after {n} meals?") for n in range(40)]
    assert len(clinic.reviewer.entries()) == 5
    assert len({shape(one) for one in told[:5]}) == 1
    assert len({shape(one) for one in told[5:]}) == 1
    assert all(one.awaiting_release for one in told)
    assert [one.awaiting_until is None for one in told] == [False] * 5 + [True] * 35


def test_of_two_reviewers_one_decides(clinic) -> None:
    """Sixteen at once, each with a connection of its own, half of them denying: one decision, one line, one name."""
    clinic.ask()
    reviewers = [open_reviewer(clinic.home) for _ in range(16)]

    def decide(number: int) -> str | None:
        with suppress(InputError):
            one = reviewers[number]
            done = one.approve(1, [1], f"r{number}") if number % 2 else one.deny(1, f"r{number}", "")
            return done.decided_by
        return None

    with ThreadPoolExecutor(16) as pool:
        made = [one for one in pool.map(decide, range(16)) if one is not None]
    assert len(made) == 1
    entry, _ = clinic.reviewer.entry(1)
    assert entry.decided_by == made[0]
    assert sum(kind in ("review_approved", "review_denied") for kind in clinic.given()[1]) == 1
    for one in reviewers:
        one.store.close()
        one.state.close()


KILLED = """
import sys, os, signal
from retriever_node import review
from retriever_node.home import NodeHome
from retriever_node.reviewer import open_reviewer
reviewer = open_reviewer(NodeHome(__import__("pathlib").Path(sys.argv[1])))
if sys.argv[2] == "after":
    reviewer.approve(1, [1], "Dr. Amsel")
else:
    log = review._log
    review._log = lambda *told: (log(*told), os.kill(os.getpid(), signal.SIGKILL))
    reviewer.approve(1, [1], "Dr. Amsel")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["within", "after"])
def test_a_reviewer_that_is_killed_has_decided_or_not(clinic, moment) -> None:
    """`kill -9` inside the decision leaves it undecided; after it, the approval stands, and is released once."""
    request_id = clinic.ask().request_id
    done = subprocess.run([sys.executable, "-c", KILLED, str(clinic.home.folder), moment], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    told = clinic.awaited(request_id)
    assert (told.release is not None) == (moment == "after")
    assert clinic.reviewer.entry(1)[0].state is (review.State.APPROVED if moment == "after" else review.State.PENDING)
    assert clinic.given()[0] == (moment == "after")
    assert os.getpid() > 0
