"""The node over HTTP: description, offers, releases, health, metrics."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

import structlog
from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from fedrag.core.errors import FedragError, IdentityError, InputError, Unavailable
from fedrag.core.exchange import OfferRequest, ReleaseRequest
from fedrag.core.plugins import describe
from fedrag.core.wire import Wire
from fedrag.http import problem
from fedrag.http.limits import read_bounded
from fedrag.http.signing import REQUEST_HEADERS, RESPONSE_HEADER, SignedRequest, response_payload
from retriever_node.node import RetrieverNode

MAXIMUM_REQUEST_BYTES: Final = 256 * 1024
REFRESH_S: Final = 3.0
_log = structlog.get_logger()
Handler = Callable[[str, bytes], Wire]
"""The authenticated coordinator (empty: none is pinned) and the body, to what is answered."""


def create_app(node: RetrieverNode) -> FastAPI:
    """Every route but health and metrics wants a signed request of a pinned coordinator, and signs what it answers."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(_keep_fresh(node))
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    app = FastAPI(title="fedrag node", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    registry = CollectorRegistry()
    requests = Counter("fedrag_node_requests", "Requests by route and code", ["route", "code"], registry=registry)
    seconds = Histogram("fedrag_node_request_seconds", "Seconds per request", ["route"], registry=registry)
    problem.install(app)

    async def answer(request: Request, handle: Handler) -> Response:
        started = time.perf_counter()
        route, code, status, media_type = request.url.path, "ok", 200, "application/json"
        nonce = request.headers.get("fedrag-nonce", "")
        try:
            body = await read_bounded(request.stream(), MAXIMUM_REQUEST_BYTES)
            caller = await run_in_threadpool(_admit, node, request, body)
            content = (await run_in_threadpool(handle, caller, body)).model_dump_json().encode()
        except Exception as error:  # noqa: BLE001 - the border: whatever goes wrong is a denial that tells nothing
            told = problem.of_error(error)
            if not isinstance(error, FedragError):
                problem.log_unexpected(error, route)
            content, status, code, media_type = (
                told.model_dump_json().encode(),
                told.status,
                told.code,
                problem.MEDIA_TYPE,
            )
        requests.labels(route, code).inc()
        seconds.labels(route).observe(time.perf_counter() - started)
        signature = node.signer.sign("response", response_payload(node.id, nonce, status, content))
        return Response(content, status_code=status, media_type=media_type, headers={RESPONSE_HEADER: signature})

    @app.get("/v1/description")
    async def description(request: Request) -> Response:
        return await answer(request, lambda _caller, _body: node.describe())

    @app.post("/v1/offers")
    async def offers(request: Request) -> Response:
        return await answer(request, lambda caller, body: node.offers(_parse(OfferRequest, caller, body)))

    @app.post("/v1/releases")
    async def releases(request: Request) -> Response:
        return await answer(request, lambda caller, body: node.release(_parse(ReleaseRequest, caller, body)))

    @app.get("/health")
    @app.get("/health/live")
    async def health() -> dict[str, str]:
        return {"status": "ok", "node": node.id}

    @app.get("/health/ready")
    async def ready() -> Response:
        if getattr(app.state, "draining", False):
            return problem.respond(problem.of_error(Unavailable("the service is about to stop", code="draining")))
        return Response('{"status":"ready"}', media_type="application/json")

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    return app


async def _keep_fresh(node: RetrieverNode) -> None:
    """An ingest beside a running node is found within seconds; one that cannot be read now is tried again."""
    while True:
        await asyncio.sleep(REFRESH_S)
        try:
            await run_in_threadpool(node.refresh)
        except FedragError as error:
            _log.warning("refresh_failed", code=error.code)


R = TypeVar("R", OfferRequest, ReleaseRequest)


def _parse(kind: type[R], caller: str, body: bytes) -> R:
    try:
        request = kind.model_validate_json(body)
    except ValidationError as error:
        raise InputError(describe(error)) from None
    if caller and request.coordinator != caller:
        raise IdentityError("a coordinator can only ask in its own name", code="wrong_coordinator")
    return request


def _admit(node: RetrieverNode, request: Request, body: bytes) -> str:
    """The coordinator whose signature this request carries; empty where none is pinned."""
    coordinator, time_s, nonce, signature = (request.headers.get(name, "") for name in REQUEST_HEADERS)
    if not node.gate.coordinators:
        return ""
    if not (time_s.isascii() and time_s.isdecimal() and len(time_s) <= 12 and nonce and signature):
        raise IdentityError("the request is not signed", code="unsigned")
    signed = SignedRequest(
        coordinator=coordinator,
        node=node.id,
        method=request.method,
        path=request.url.path,
        body=body,
        time_s=int(time_s),
        nonce=nonce,
    )
    node.gate.admit_caller(signed, signature, node.clock())
    return coordinator
