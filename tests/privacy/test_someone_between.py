"""A proxy that ends TLS sees every byte; it can read, and change nothing without being found out."""

import asyncio
import random
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx2
import pytest
import trustme
import uvicorn

from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError
from fedrag.core.exchange import OfferRequest, Processor, ProcessorPlace, ReleaseRequest
from fedrag.core.wire import new_request_id
from fedrag.http.client import http_client
from fedrag.http.signing import REQUEST_HEADERS, Signer
from fedrag.http.tls import client_context
from retriever_node.service import create_app

COORDINATOR = "test-coordinator"
TRIES = 300


@dataclass
class Between(httpx2.AsyncBaseTransport):
    """Hands every request on, and keeps both sides; `alter_request` and `alter_response` may change them."""

    inner: httpx2.AsyncBaseTransport
    alter_request: Callable[[httpx2.Request, bytes], tuple[httpx2.Request, bytes]] = lambda *both: both
    alter_response: Callable[[bytes, httpx2.Headers], tuple[bytes, httpx2.Headers]] = lambda *both: both
    seen: list[tuple[httpx2.Request, bytes]] = field(default_factory=list)
    answered: list[tuple[bytes, httpx2.Headers]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        self.seen.append((request, body))
        request, body = self.alter_request(request, body)
        response = await self.inner.handle_async_request(
            httpx2.Request(request.method, request.url, headers=_without_length(request.headers), content=body)
        )
        told = await response.aread()
        self.answered.append((told, response.headers))
        self.statuses.append(response.status_code)
        told, headers = self.alter_response(told, response.headers)
        return httpx2.Response(response.status_code, headers=_without_length(headers), content=told)


def _without_length(headers: httpx2.Headers) -> httpx2.Headers:
    return httpx2.Headers([(name, value) for name, value in headers.multi_items() if name != "content-length"])


@pytest.fixture
def hospital(workshop):
    return workshop.hospital("heart", {"d.md": "# D\n\n## S\nWarfarin is reversed with vitamin K.\n"})


def offer_request(k: int = 3) -> OfferRequest:
    return OfferRequest(
        request_id=new_request_id(),
        coordinator=COORDINATOR,
        node="heart",
        vector=None,
        comparable_with="",
        text="warfarin reversed",
        k=k,
        deadline_ms=5_000,
    )


def through(hospital, **altering: object) -> tuple[Between, object]:
    between = Between(httpx2.ASGITransport(app=create_app(hospital.node)), **altering)
    return between, replace(hospital.remote, client=http_client(transport=between))


async def outcome(remote, request: OfferRequest) -> str:
    try:
        await remote.offers(request, Deadline.after_ms(5_000))
    except FedragError as error:
        return error.code
    return "ok"


def flipped(raw: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(raw))
    return raw[:place] + bytes([raw[place] ^ (1 << chance.randrange(8))]) + raw[place + 1 :]


async def test_one_bit_of_a_request_is_one_too_many(hospital) -> None:
    """A bit of the body, or a character of any signed header: the node refuses every one of three hundred."""
    chance = random.Random(7)  # noqa: S311 - a seed, so that a failure can be repeated

    def alter(request: httpx2.Request, body: bytes) -> tuple[httpx2.Request, bytes]:
        if chance.random() < 0.5:
            return request, flipped(body, chance)
        name = chance.choice(REQUEST_HEADERS)
        headers = httpx2.Headers(request.headers)
        place = chance.randrange(len(headers[name]) - 2)  # the last characters of base64 may carry no bits
        other = "1" if headers[name][place] != "1" else "2"
        headers[name] = headers[name][:place] + other + headers[name][place + 1 :]
        return httpx2.Request(request.method, request.url, headers=headers), body

    between, remote = through(hospital, alter_request=alter)
    for _ in range(TRIES):
        assert await outcome(remote, offer_request()) != "ok"
    assert set(between.statuses) == {401}


async def test_one_bit_of_a_response_is_one_too_many(hospital) -> None:
    """The coordinator believes none of three hundred altered answers."""
    chance = random.Random(11)  # noqa: S311
    _, remote = through(hospital, alter_response=lambda body, headers: (flipped(body, chance), headers))
    outcomes = [await outcome(remote, offer_request()) for _ in range(TRIES)]
    assert set(outcomes) == {"bad_signature"}


async def test_no_recorded_request_works_again(hospital) -> None:
    """Three hundred requests recorded and sent once more, byte for byte: three hundred refusals."""
    between, remote = through(hospital)
    for _ in range(TRIES):
        assert await outcome(remote, offer_request(k=1)) == "ok"
    between.statuses.clear()
    for request, body in list(between.seen):
        response = await between.handle_async_request(
            httpx2.Request(request.method, request.url, headers=request.headers, content=body)
        )
        assert response.json()["code"] == "replayed"
    assert between.statuses == [401] * TRIES


async def test_no_recorded_response_answers_another_request(hospital) -> None:
    """Even the same question asked again: an answer is bound to its request's nonce."""
    between, remote = through(hospital)
    request = offer_request()
    assert await outcome(remote, request) == "ok"
    recorded = between.answered[0]
    between.alter_response = lambda _body, _headers: recorded
    assert await outcome(remote, request) == "bad_signature"


async def test_a_request_for_one_hospital_is_refused_by_another(workshop, hospital) -> None:
    """Redirected unaltered to a hospital that pins the same coordinator."""
    other = workshop.hospital("lung", {"d.md": "# D\n\n## S\nWarfarin is reversed with vitamin K.\n"})
    between, remote = through(other)
    misled = replace(remote, id="heart", public_key=hospital.remote.public_key)
    assert await outcome(misled, offer_request()) != "ok"
    assert between.statuses == [401]


async def test_a_handle_stolen_from_anothers_request_stays_sealed(hospital) -> None:
    """Another request id, or another coordinator's asker, and it does not open; nothing is charged."""
    request = offer_request()
    offers = (await hospital.remote.offers(request, Deadline.after_ms(5_000))).value
    release = ReleaseRequest(
        request_id=new_request_id(),
        coordinator=COORDINATOR,
        node="heart",
        handles=(offers.offers[0].handle,),
        processor=Processor(model="m", place=ProcessorPlace.COORDINATOR),
        deadline_ms=5_000,
    )
    with pytest.raises(FedragError) as refused:
        await hospital.remote.release(release, Deadline.after_ms(5_000))
    assert refused.value.code == "bad_handle"
    with hospital.node.state.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM charges").fetchone() == (0,)


async def test_a_proxy_that_ends_tls_changes_nothing_that_is_signed(workshop, hospital) -> None:
    """The node speaks plain HTTP behind it, under a path of the proxy's choice; its own key still answers."""
    upstream = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=create_app(hospital.node)))

    async def proxy(scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        path = scope["path"].removeprefix("/hospitals/heart")
        answer = await upstream.request(scope["method"], f"http://heart{path}", content=body, headers=scope["headers"])
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.headers.raw})
        await send({"type": "http.response.body", "body": answer.content})

    authority = trustme.CA()
    with authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.tempfile() as pem:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(proxy, ssl_certfile=pem, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            await asyncio.sleep(0.01)
        client = http_client(tls=client_context(authority.cert_pem.bytes().decode()))
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/hospitals/heart"
        try:
            assert await outcome(replace(hospital.remote, url=url, client=client), offer_request()) == "ok"
            stranger = replace(hospital.remote, url=url, client=client, signer=Signer.generate())
            assert await outcome(stranger, offer_request()) == "bad_signature"
        finally:
            await client.aclose()
            server.should_exit = True
            thread.join()
            await upstream.aclose()
