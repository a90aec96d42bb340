"""Unique strings planted in private passages appear nowhere but in the text of a passage that was released."""

import contextlib
import io
import json
import sqlite3

import pytest
import structlog

from fedrag.core.wire import ReleaseClass

CANARY = "zqxcanary{}"
QUESTION = "warfarin bleeding zqxquestionword"


def document(number: int) -> str:
    return f"# D{number}\n\n## S{number}\nWarfarin bleeding {CANARY.format(number)} vitamin K.\n"


@pytest.fixture
def logged():
    """Everything the structured log would write, at every level."""
    stream = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    yield stream
    structlog.reset_defaults()


def test_only_released_text_carries_its_canary(workshop, put_question, logged, capsys) -> None:
    """Three passages, one winner: its canary is in the evidence, the others' in no answer, log, metric or audit."""
    open_hospital = workshop.hospital("open", {f"d{n}.md": document(n) for n in range(3)})
    closed = workshop.hospital("closed", {"d.md": document(9)}, ReleaseClass.PATIENT)
    coordinator = workshop.coordinator(open_hospital.remote, closed.remote)
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        answer = put_question(coordinator, QUESTION, passages=1, deadline_ms=30_000)
    (winner,) = answer.evidence.passages
    released = [n for n in (0, 1, 2, 9) if CANARY.format(n) in winner.passage.text]
    assert len(released) == 1
    hidden = [CANARY.format(n) for n in (0, 1, 2, 9) if n not in released]
    with open_hospital.node.state.transaction() as connection:
        audit = "".join(line for (line,) in connection.execute("SELECT event FROM audit"))
        charges = json.dumps(connection.execute("SELECT * FROM charges").fetchall())
    described = open_hospital.node.describe().model_dump_json()
    printed = capsys.readouterr()
    seen = [logged.getvalue(), errors.getvalue(), printed.out, printed.err, audit, charges, described]
    for place in seen:
        assert "zqxcanary" not in place
        assert "zqxquestionword" not in place
    for canary in hidden:
        assert canary not in answer.model_dump_json()


async def test_errors_and_metrics_repeat_nothing(workshop, hospital_client) -> None:
    """A malformed request with a canary in it gets a problem document and metrics without it."""
    post, get = hospital_client
    problem = await post(b'{"text": "zqxcanary5", "unknown": "zqxcanary6"}')
    assert "zqxcanary" not in problem
    assert "zqxcanary" not in await get("/metrics")


@pytest.fixture
def hospital_client(workshop):
    import time

    from fedrag.http.signing import SignedRequest

    hospital = workshop.hospital("heart", {"d.md": document(1)})
    client = hospital.remote.client

    async def post(body: bytes) -> str:
        signed = SignedRequest("test-coordinator", "heart", "POST", "/v1/offers", body, int(time.time()), "n" * 32)
        response = await client.post("http://heart/v1/offers", content=body, headers=signed.headers(workshop.signer))
        assert response.status_code == 400
        return response.text

    async def get(path: str) -> str:
        return (await client.get(f"http://heart{path}")).text

    return post, get


def test_the_nodes_state_holds_no_text(workshop, put_question) -> None:
    """Ledger and audit are ids and numbers: the raw file of the state store does not contain a canary."""
    hospital = workshop.hospital("open", {"d.md": document(1)})
    put_question(workshop.coordinator(hospital.remote), QUESTION)
    hospital.node.state.close()
    sqlite3.connect(hospital.home.state).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    raw = hospital.home.state.read_bytes()
    assert b"zqxcanary" not in raw
    assert b"zqxquestionword" not in raw


def test_the_servers_own_log_keeps_only_the_type_of_an_error() -> None:
    """An unexpected exception whose text holds a passage reaches the web server's log as its type alone."""
    import logging

    from fedrag.core.logs import without_error_text

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.Logger("server")
    logger.addHandler(handler)
    logger.addFilter(without_error_text)
    try:
        int("zqxcanary7")
    except ValueError:
        logger.exception("failed")
    assert stream.getvalue() == "failed (ValueError)\n"
