"""A node stops working for a caller that has gone or has no time left; before the charge, nothing is charged."""

import socket
import threading
import time

import pytest
import uvicorn

from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded
from fedrag.core.exchange import OfferRequest, Processor, ProcessorPlace, ReleaseRequest
from fedrag.core.wire import new_request_id
from fedrag.http.serving import listen
from fedrag.http.signing import SignedRequest
from retriever_node.service import create_app

COORDINATOR = "test-coordinator"


@pytest.fixture
def hospital(workshop):
    return workshop.hospital("heart", {"d.md": "# D\n\n## S\nWarfarin is reversed with vitamin K.\n"})


def offer_request(deadline_ms: float = 5_000) -> OfferRequest:
    return OfferRequest(
        request_id=new_request_id(),
        coordinator=COORDINATOR,
        node="heart",
        vector=None,
        comparable_with="",
        text="warfarin reversed",
        k=3,
        deadline_ms=deadline_ms,
    )


def release_request(hospital, deadline_ms: float = 5_000) -> ReleaseRequest:
    asked = offer_request()
    offers = hospital.node.offers(asked, Deadline.after_ms(5_000))
    return ReleaseRequest(
        request_id=asked.request_id,
        coordinator=COORDINATOR,
        node="heart",
        handles=tuple(offer.handle for offer in offers.offers),
        processor=Processor(model="m", place=ProcessorPlace.COORDINATOR),
        deadline_ms=deadline_ms,
    )


def charges(hospital) -> int:
    with hospital.node.state.transaction() as connection:
        return connection.execute("SELECT count(*) FROM charges").fetchone()[0]


def kinds(hospital) -> list[str]:
    with hospital.node.state.transaction() as connection:
        return [event for (event,) in connection.execute("SELECT event FROM audit") if '"kind":"release"' in event]


def test_nothing_is_charged_or_logged_as_released_after_the_deadline(hospital) -> None:
    """The control is released; the same request without time, or whose caller has gone, is not."""
    request = release_request(hospital)
    for late in (Deadline.after_ms(0), Deadline.after_ms(5_000, cancelled=lambda: True)):
        with pytest.raises(DeadlineExceeded):
            hospital.node.release(request, late)
        assert (charges(hospital), kinds(hospital)) == (0, [])
    assert hospital.node.release(request, Deadline.after_ms(5_000)).passages
    assert (charges(hospital), len(kinds(hospital))) == (1, 1)


def test_a_search_for_nobody_is_not_made(hospital) -> None:
    """Before the index is asked."""
    with pytest.raises(DeadlineExceeded):
        hospital.node.offers(offer_request(), Deadline.after_ms(5_000, cancelled=lambda: True))


async def test_a_node_without_time_says_so_and_the_answer_calls_it_timed_out(hospital) -> None:
    """Its clock started when the request arrived."""
    with pytest.raises(DeadlineExceeded):
        await hospital.remote.offers(offer_request(deadline_ms=0), Deadline.after_ms(5_000))


def test_hanging_up_before_the_charge_costs_nothing(hospital) -> None:
    """Over a real socket: the store is busy, the caller gives up, the store becomes free, and nothing was charged."""
    body = release_request(hospital).model_dump_json().encode()
    server = uvicorn.Server(uvicorn.Config(create_app(hospital.node), log_config=None, lifespan="off"))
    listening = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    signed = SignedRequest(COORDINATOR, "heart", "POST", "/v1/releases", body, int(time.time()), "n" * 32)
    headers = signed.headers(hospital.remote.signer) | {"host": "n", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    reached = threading.Event()
    charge_after = hospital.node.gate.identify

    def identify(*arguments: object) -> object:
        reached.set()
        time.sleep(0.5)  # the caller hangs up meanwhile
        return charge_after(*arguments)

    object.__setattr__(hospital.node, "gate", _Slow(hospital.node.gate, identify))
    with socket.create_connection(listening.getsockname()) as connection:
        connection.sendall(f"POST /v1/releases HTTP/1.1\r\n{head}\r\n".encode() + body)
        assert reached.wait(10)
    time.sleep(1.0)
    server.should_exit = True
    thread.join(20)
    assert (charges(hospital), kinds(hospital)) == (0, [])


class _Slow:
    """A gate whose second step takes its time."""

    def __init__(self, gate: object, identify: object) -> None:
        self._gate, self.identify = gate, identify

    def __getattr__(self, name: str) -> object:
        return getattr(self._gate, name)
