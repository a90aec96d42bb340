"""Whatever breaks in a step of the policy, every request is denied: no byte of text leaves, nothing is charged or said
to be released, and the node's own log has the reason as a code.

Oracle: a canary in the document, looked for in every byte that the node's application sends, and the ledger and audit
log read afterwards. The first test shows that without a fault the canary does leave.
"""

import contextlib
import errno
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded
from fedrag.core.exchange import OfferRequest
from fedrag.core.wire import ReleaseClass
from retriever_node import audit, extract, finding, giving, offering, served, switch
from retriever_node.node import RetrieverNode
from retriever_node.policy import Grant, Processors, file, positions
from retriever_node.policy.live import LivePolicy
from retriever_node.policy.rules import Policy, Rule
from retriever_node.sealing import Handles
from retriever_node.service import create_app

CANARY = "zirconquartz"
DOCUMENT = {"d.md": f"# D\n\n## S\nWarfarin bleeding is reversed with {CANARY}. Give it slowly. Watch the patient.\n"}
QUESTION = "How is warfarin bleeding reversed?"
EXTRACTS = 'version = 1\n[[rules]]\nname = "one"\nclasses = ["protocol"]\nrelease = "extract"\ncite_as = "Heart"\n'
DEADLINE_MS, SHORT_MS = 10_000, 600


class Broken(Exception):
    """Holds text that must not get out."""


def raising(error: Exception) -> Callable[..., None]:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise error

    return broken


BROKEN = raising(Broken(f"reversed with {CANARY}"))
NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
BAD_DISK = OSError(errno.EIO, "Input/output error")


class Hospital:
    """A node whose application remembers every byte that it sends."""

    def __init__(self, workshop, policy: str | None = EXTRACTS) -> None:
        self.made = workshop.hospital("heart", DOCUMENT, ReleaseClass.PROTOCOL, policy)
        self.sent: list[bytes] = []
        self.logs: list[dict] = []
        self.skew_s = 0.0
        self.node = replace(self.made.node, clock=lambda: time.time() + self.skew_s)
        app = create_app(self.node)

        async def recorded(scope, receive, send):
            async def spy(message):
                self.sent.append(message.get("body", b""))
                await send(message)

            await app(scope, receive, spy)

        self.coordinator = workshop.coordinator(workshop.remote("heart", self.node.signer, recorded))

    @property
    def policy(self) -> Path:
        return self.made.home.policy

    def told(self) -> str:
        return b"\n".join(self.sent).decode()

    def released(self) -> tuple[int, int]:
        """Charges, and lines of the audit log that say something left."""
        with contextlib.closing(sqlite3.connect(self.made.home.state)) as connection:
            (charges,) = connection.execute("SELECT count(*) FROM charges").fetchone()
            lines = [json.loads(line) for line in audit.lines(connection)]
        return charges, sum(bool(line["passages"]) for line in lines)


@pytest.fixture
def hospital(workshop) -> Hospital:
    return Hospital(workshop)


def test_without_a_fault_the_canary_leaves(hospital, put_question) -> None:
    """What follows does not pass for want of looking."""
    answer = put_question(hospital.coordinator, QUESTION, "en", deadline_ms=DEADLINE_MS)
    assert [CANARY in one.passage.text for one in answer.evidence.passages] == [True]
    assert CANARY in hospital.told()
    assert hospital.released() == (1, 1)


def patched(target: object, name: str, by: Callable[..., object]) -> Callable[[Hospital, pytest.MonkeyPatch], None]:
    return lambda _hospital, monkeypatch: monkeypatch.setattr(target, name, by)


def written(content: bytes) -> Callable[[Hospital, pytest.MonkeyPatch], None]:
    return lambda hospital, _monkeypatch: hospital.policy.write_bytes(content)


def removed(hospital: Hospital, _monkeypatch: pytest.MonkeyPatch) -> None:
    hospital.policy.unlink()


def replaced_by_a_folder(hospital: Hospital, _monkeypatch: pytest.MonkeyPatch) -> None:
    hospital.policy.unlink()
    hospital.policy.mkdir()


def jumped(seconds: float) -> Callable[[Hospital, pytest.MonkeyPatch], None]:
    def jump(hospital: Hospital, _monkeypatch: pytest.MonkeyPatch) -> None:
        hospital.skew_s = seconds

    return jump


def hanging(_hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    read = file.read

    def slowly(path: Path) -> bytes:
        time.sleep(SHORT_MS / 1000)
        return read(path)

    monkeypatch.setattr(file, "read", slowly)


def without_lines(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital.policy.write_text(EXTRACTS.replace("classes", "clases"), encoding="utf-8")
    monkeypatch.setattr(positions, "lines", BROKEN)


CHANGED = EXTRACTS.replace("extract", "count").encode()
ANYWHERE = {
    "the file is empty": written(b""),
    "the file is cut off": written(EXTRACTS[:-10].encode()),
    "the file is not text": written(b"\x00\xff\xfe" * 40),
    "the file has a mistake": written(EXTRACTS.replace("classes", "clases").encode()),
    "the file is of another format": written(EXTRACTS.replace("version = 1", "version = 2").encode()),
    "the file names what is not there": written(f'{EXTRACTS}collections = ["x"]\n'.encode()),
    "the file has a mistake, and its line is not found": without_lines,
    "the file is too long": written(b"#" * (file.MAXIMUM_BYTES + 1)),
    "the file has no rules": written(b"version = 1\n"),
    "the file lets out less": written(CHANGED),
    "the file is gone": removed,
    "the file is a folder": replaced_by_a_folder,
    "reading: disk full": patched(file, "read", raising(NO_SPACE)),
    "reading: disk broken": patched(Path, "open", raising(BAD_DISK)),
    "reading: forbidden": patched(Path, "open", raising(PermissionError(errno.EACCES, "Permission denied"))),
    "reading: memory": patched(file, "read", raising(MemoryError())),
    "reading hangs": hanging,
    "adopting": patched(LivePolicy, "now", BROKEN),
    "granting": patched(Policy, "grant", BROKEN),
    "granting: recursion": patched(Policy, "grant", raising(RecursionError())),
    "matching": patched(Rule, "matches", BROKEN),
    "covering": patched(Rule, "covers", BROKEN),
    "the handle's version": patched(served.ServedCollection, "version", BROKEN),
    "the switch": patched(switch, "require_releasing", BROKEN),
}  # fmt: skip
NEWLY_READ = {
    "parsing": patched(file, "parse", BROKEN),
    "checking": patched(file, "problems", BROKEN),
    "recording: disk full": patched(audit, "note", raising(sqlite3.OperationalError("database or disk is full"))),
}
"""Faults in taking in a file that is new: it is written anew, with the same rules, when they are put in."""
OFFERING = {
    "extracting": patched(finding, "extracts", BROKEN),
    "encoding": patched(extract, "sentence_borders", BROKEN),
    "ordering": patched(offering, "told", BROKEN),
}
RELEASING = {
    "processors": patched(Processors, "allow", BROKEN),
    "cutting out": patched(giving, "leaving", BROKEN),
    "citing": patched(giving, "cited", BROKEN),
    "counting patients": patched(giving, "patients_behind", BROKEN),
    "looking again: error": patched(LivePolicy, "unchanged", BROKEN),
    "looking again: changed": patched(LivePolicy, "unchanged", lambda *_: False),
    "the clock jumps ahead": jumped(3_600),
    "the clock jumps back": jumped(-7_200),
    "the clock jumps back by days": jumped(-3 * 86_400),
    "the clock fails": lambda hospital, _monkeypatch: setattr(hospital, "skew_s", None),
}
NOT_AN_ERROR = {"the file has no rules", "the file lets out less"}
"""Decisions: whoever asks finds nothing, and nothing is wrong."""


CUT_OFF = {"reading hangs"}
"""The coordinator has hung up, and the application in its process with it: what is logged is looked at by itself."""


def denied(hospital: Hospital, put_question, name: str) -> None:
    with capture_logs() as logs:
        deadline_ms = SHORT_MS if name in CUT_OFF else DEADLINE_MS
        answer = put_question(hospital.coordinator, QUESTION, "en", deadline_ms=deadline_ms)
    hospital.logs += logs
    assert answer.evidence.passages == ()
    assert answer.disclosure.hospitals == ()
    assert answer.abstained is not None
    assert CANARY not in hospital.told()
    assert hospital.released()[1] == 0
    codes = {log["code"] for log in logs if log.get("code", "ok") != "ok"}
    if name not in NOT_AN_ERROR | CUT_OFF:
        assert codes, "no reason in the node's log"
    assert CANARY not in json.dumps(logs, default=str)


@pytest.mark.parametrize("name", [*ANYWHERE, *OFFERING])
def test_a_fault_from_the_beginning_is_a_denial(hospital, put_question, monkeypatch, name: str) -> None:
    """The policy was in force; then it breaks, and a question comes."""
    hospital.node.policy.now()
    {**ANYWHERE, **OFFERING}[name](hospital, monkeypatch)
    denied(hospital, put_question, name)
    assert hospital.released() == (0, 0)


@pytest.mark.parametrize("name", NEWLY_READ)
def test_a_fault_while_a_new_file_is_taken_in_is_a_denial(hospital, put_question, monkeypatch, name: str) -> None:
    """The old rules do not stay in force instead, though the new ones are as good."""
    hospital.node.policy.now()
    hospital.policy.write_text(EXTRACTS + "floor = 12\n", encoding="utf-8")
    NEWLY_READ[name](hospital, monkeypatch)
    denied(hospital, put_question, name)
    assert hospital.released() == (0, 0)


@pytest.mark.parametrize("name", [*ANYWHERE, *RELEASING])
def test_a_fault_after_the_offers_is_a_denial(hospital, put_question, monkeypatch, name: str) -> None:
    """Offers were made under a policy in force; it breaks before their text is asked for."""
    release, broken = RetrieverNode.release, {**ANYWHERE, **RELEASING}[name]
    called = []

    def armed(self, request, deadline):
        if not called:
            called.append(True)
            broken(hospital, monkeypatch)
        return release(self, request, deadline)

    monkeypatch.setattr(RetrieverNode, "release", armed)
    denied(hospital, put_question, name)
    assert called, "no text was asked for"
    assert hospital.released() == (0, 0)


@pytest.mark.parametrize(
    "change",
    [written(CHANGED), written(b"version = "), removed],
    ids=["less", "broken", "gone"],
)
def test_a_change_while_a_release_runs_holds_for_it(hospital, put_question, monkeypatch, change) -> None:
    """Between the grant and the charge: the file is looked at once more inside the transaction."""
    store, passages = type(hospital.node.store), hospital.node.store.passages
    releasing = []
    open_handles = Handles.opened

    def opened(self, *args):
        releasing.append(True)
        return open_handles(self, *args)

    def read(_store, ids):
        if releasing:
            change(hospital, monkeypatch)
        return passages(ids)

    monkeypatch.setattr(Handles, "opened", opened)
    monkeypatch.setattr(store, "passages", read)
    denied(hospital, put_question, "changed meanwhile")
    assert releasing
    assert hospital.released() == (0, 0)


def test_a_policy_that_comes_too_late_is_a_denial(hospital, monkeypatch) -> None:
    """Nobody waits for the answer any more: its code is `deadline`, and nothing was searched."""
    request = OfferRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", vector=None, text=QUESTION, k=5,
        comparable_with="", deadline_ms=100,
    )  # fmt: skip
    assert len(hospital.node.offers(request, Deadline.after_ms(5_000)).offers) == 1
    hanging(hospital, monkeypatch)
    monkeypatch.setattr(finding, "search", BROKEN)
    with pytest.raises(DeadlineExceeded):
        hospital.node.offers(request, Deadline.after_ms(100))


def test_a_mended_policy_is_in_force_again(hospital, put_question) -> None:
    """Denial lasts as long as the mistake, and the log says each once."""
    hospital.policy.write_text("version = 1\nrulez = 3\n", encoding="utf-8")
    for _ in range(3):
        denied(hospital, put_question, "mistake")
    said = [log for log in hospital.logs if log["event"] == "policy_unreadable"]
    assert [(log["code"], "line 2: unknown key 'rulez'" in log["problem"]) for log in said] == [("bad_policy", True)]
    hospital.policy.write_text(EXTRACTS, encoding="utf-8")
    hospital.sent.clear()
    answer = put_question(hospital.coordinator, QUESTION, "en", deadline_ms=DEADLINE_MS)
    assert len(answer.evidence.passages) == 1


def test_the_grant_of_nothing_cannot_be_made_to_release() -> None:
    """The value that stands for denial has no processor, no kind with text, and makes no offers."""
    grant = Grant("")
    assert (grant.offers, grant.release.text, grant.release.counts, grant.direct) == (False, False, False, False)
    assert grant.processors == Processors(frozenset())
