"""The node over HTTP: description, offers, releases, common statistics, health, metrics."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from fedrag import tracing
from fedrag.core import populations as population_steps
from fedrag.core import statistics as statistics_steps
from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError, IdentityError, InputError, Refused, Unavailable
from fedrag.core.exchange import AwaitedRequest, OfferRequest, ReleaseRequest
from fedrag.core.plugins import describe
from fedrag.core.statistics import A, Q, Step
from fedrag.core.traces import TraceRequest
from fedrag.core.wire import Wire
from fedrag.http import problem
from fedrag.http.limits import read_bounded
from fedrag.http.signing import REQUEST_HEADERS, RESPONSE_HEADER, SignedRequest, response_payload
from retriever_node import switch
from retriever_node.metrics import NodeMetrics
from retriever_node.node import RetrieverNode
from retriever_node.openapi import openapi
from retriever_node.state import SeenNonce
from retriever_node.traces import SourceReasoning

MAXIMUM_REQUEST_BYTES: Final = 256 * 1024
REFRESH_S: Final = 3.0
_log = structlog.get_logger()
Handler = Callable[["Call"], Wire]
"""A call that was let in, to what is answered."""


@dataclass(frozen=True, slots=True)
class Call:
    """`coordinator`: the one whose signature the call carries; empty where none is pinned. `arrived_s`: on the
    monotonic clock. `abandoned`: whether the caller has hung up."""

    coordinator: str
    body: bytes
    arrived_s: float
    abandoned: Callable[[], bool]

    def deadline(self, milliseconds: float) -> Deadline:
        """What the caller allowed, waiting for a free thread included."""
        return Deadline(self.arrived_s + milliseconds / 1000, cancelled=self.abandoned)


def create_app(
    node: RetrieverNode, metrics: NodeMetrics | None = None, reasoning: SourceReasoning | None = None
) -> FastAPI:
    """Every route but health and metrics wants a signed request of a pinned coordinator, and signs what it answers.
    `reasoning`: where the hospital has a model of its own."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with ThreadPoolExecutor(1, "statistics", _yield_to_others) as background:
            watching = [
                asyncio.create_task(one)
                for one in (_keep_fresh(node), _keep_common(node, background), _watch_policy(node))
            ]
            yield
            for task in watching:
                task.cancel()
            node.statistics.stop()
            await asyncio.gather(*watching, return_exceptions=True)
            if reasoning is not None:
                await run_in_threadpool(reasoning.reasoner.close)

    app = FastAPI(title="fedrag node", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    counted = metrics or NodeMetrics()
    problem.install(app)

    async def answer(request: Request, handle: Handler, maximum_bytes: int = MAXIMUM_REQUEST_BYTES) -> Response:
        route, code, status, media_type = request.url.path, "ok", 200, "application/json"
        nonce, arrived_s, gone = request.headers.get("fedrag-nonce", ""), time.monotonic(), threading.Event()
        watching: asyncio.Task[None] | None = None
        answered: Wire | None = None
        try:
            body = await read_bounded(request.stream(), maximum_bytes)
            watching = asyncio.create_task(_until_hung_up(request, gone))
            caller, seen = await run_in_threadpool(_admit, node, request, body)
            call = Call(caller, body, arrived_s, gone.is_set)
            with tracing.serving("node request", request.headers, node=node.id, route=route):
                answered = await run_in_threadpool(_settled, handle, call, seen)
            content = answered.model_dump_json().encode()
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
        finally:
            if watching is not None:
                watching.cancel()
        counted.count(route, code, arrived_s, answered)
        elapsed_ms = round((time.monotonic() - arrived_s) * 1000, 1)
        _log.info(
            "request", route=route, code=code, elapsed_ms=elapsed_ms, request_id=getattr(answered, "request_id", "")
        )
        signature = node.signer.sign("response", response_payload(node.id, nonce, status, content))
        return Response(content, status_code=status, media_type=media_type, headers={RESPONSE_HEADER: signature})

    @app.get("/v1/description")
    async def description(request: Request) -> Response:
        return await answer(request, lambda _call: node.describe())

    @app.post("/v1/offers")
    async def offers(request: Request) -> Response:
        return await answer(request, lambda call: node.offers(*_parse(OfferRequest, call)))

    @app.post("/v1/releases")
    async def releases(request: Request) -> Response:
        return await answer(request, lambda call: node.release(*_parse(ReleaseRequest, call)))

    @app.post("/v1/awaited")
    async def awaited(request: Request) -> Response:
        return await answer(request, lambda call: node.awaited(*_parse(AwaitedRequest, call)))

    @app.post("/v1/traces")
    async def traces(request: Request) -> Response:
        def handled(call: Call) -> Wire:
            if reasoning is None:
                raise Refused("no chain of thought is made here", code="no_reasoner")
            return reasoning.trace(*_parse(TraceRequest, call))

        return await answer(request, handled)

    def take_part(step: Step[Q, A], handle: Callable[[str, Q], A]) -> None:
        @app.post(step.path, operation_id=f"{step.family}_{step.name}")
        async def statistics(request: Request) -> Response:
            def handled(call: Call) -> A:
                with node.state.reading() as connection:
                    switch.require_releasing(connection)
                return handle(call.coordinator, _parsed(step.asked, call))

            return await answer(request, handled, statistics_steps.MAXIMUM_BYTES)

    take_part(statistics_steps.KEY, node.statistics.rounds.key)
    take_part(statistics_steps.MASK, node.statistics.rounds.mask)
    take_part(statistics_steps.SURVIVORS, node.statistics.rounds.survivors)
    take_part(statistics_steps.SEEDS, node.statistics.rounds.seeds)
    take_part(statistics_steps.EPOCH, node.statistics.adopt)
    take_part(population_steps.COUNT_KEY, node.populations.key)
    take_part(population_steps.COUNT_MASK, node.populations.mask)
    take_part(population_steps.COUNT_SURVIVORS, node.populations.survivors)
    take_part(population_steps.COUNT_SEEDS, node.populations.seeds)

    @app.get("/openapi.json", include_in_schema=False)
    async def document() -> dict[str, object]:
        return openapi(app)

    @app.get("/health", operation_id="health")
    @app.get("/health/live", operation_id="live")
    async def health() -> dict[str, str]:
        return {"status": "ok", "node": node.id}

    @app.get("/health/ready")
    async def ready() -> Response:
        if getattr(app.state, "draining", False):
            return problem.respond(problem.of_error(Unavailable("the service is about to stop", code="draining")))
        return Response('{"status":"ready"}', media_type="application/json")

    @app.get("/metrics", include_in_schema=False)
    async def exposed() -> Response:
        return Response(counted.exposition(), media_type="text/plain; version=0.0.4")

    return app


async def _keep_fresh(node: RetrieverNode) -> None:
    """An ingest beside a running node is found within seconds; one that cannot be read now is tried again."""
    while True:
        await asyncio.sleep(REFRESH_S)
        try:
            await run_in_threadpool(node.refresh)
        except FedragError as error:
            _log.warning("refresh_failed", code=error.code)


async def _watch_policy(node: RetrieverNode) -> None:
    """Each request reads the policy anew; between them an edit is looked at within seconds, so that the log tells of a
    mistake before somebody is refused for it."""
    while True:
        await asyncio.sleep(REFRESH_S)
        with suppress(FedragError):  # said by the policy itself
            await run_in_threadpool(node.policy.now)


async def _keep_common(node: RetrieverNode, background: Executor) -> None:
    """Statistics that were adopted are put to use within seconds; later where questions need the processor."""
    while True:
        await asyncio.sleep(REFRESH_S)
        try:
            await asyncio.get_running_loop().run_in_executor(background, node.statistics.follow)
        except Exception as error:  # noqa: BLE001 - searches go on with what they have; it is tried again
            _log.warning("statistics_not_used", code=getattr(error, "code", type(error).__name__))


def _yield_to_others() -> None:
    """The thread's own priority, where the system has one for each thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


R = TypeVar("R", OfferRequest, ReleaseRequest, AwaitedRequest, TraceRequest)
W = TypeVar("W", bound=Wire)


def _parse(kind: type[R], call: Call) -> tuple[R, Deadline]:
    request = _parsed(kind, call)
    if call.coordinator and request.coordinator != call.coordinator:
        raise IdentityError("a coordinator can only ask in its own name", code="wrong_coordinator")
    return request, call.deadline(request.deadline_ms)


def _parsed(kind: type[W], call: Call) -> W:
    try:
        return kind.model_validate_json(call.body)
    except ValidationError as error:
        raise InputError(describe(error)) from None


async def _until_hung_up(request: Request, gone: threading.Event) -> None:
    """The body has been read: what still comes is the end of the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()


def _settled(handle: Handler, call: Call, seen: SeenNonce | None) -> Wire:
    """Whatever it comes to, a denial too: nothing is answered before the request's nonce is on disk. What was recorded
    while it was handled took the nonce along, so this seldom waits."""
    try:
        return handle(call)
    finally:
        if seen is not None:
            seen.settle()


def _admit(node: RetrieverNode, request: Request, body: bytes) -> tuple[str, SeenNonce | None]:
    """The coordinator whose signature this request carries, and its nonce; empty and None where none is pinned."""
    coordinator, time_s, nonce, signature = (request.headers.get(name, "") for name in REQUEST_HEADERS)
    if not node.gate.coordinators:
        return "", None
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
    return coordinator, node.gate.admit_caller(signed, signature, node.clock())
