"""`POST /v1/ask` and what surrounds it."""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import structlog
from fastapi import Body, Depends, FastAPI, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline

from fedrag import tracing
from fedrag.api.answers import AnswerShelf
from fedrag.api.body_limit import BodyLimit
from fedrag.api.enrolment import enrolment_routes
from fedrag.api.metrics import CoordinatorMetrics
from fedrag.api.populations import population_routes
from fedrag.api.static import static_routes
from fedrag.assemble import Coordinator
from fedrag.awaiting import AwaitingDesk
from fedrag.config import ApiKey
from fedrag.conversation import put
from fedrag.core.answer import Answer, Feedback, Reliability
from fedrag.core.collection import CollectionDescription
from fedrag.core.errors import IdentityError, Unavailable
from fedrag.core.identity import Asker
from fedrag.core.question import AskRequest
from fedrag.core.wire import Name, NodeId, ReleaseClass, Wire, new_request_id
from fedrag.encoders import language
from fedrag.feedback import FeedbackStore
from fedrag.http import problem
from fedrag.prober import Prober
from fedrag.statistics import StatisticsWatch

_log = structlog.get_logger()
_bearer = HTTPBearer(auto_error=False, description="An API key of this federation")
_EXAMPLES: Final = [
    {"question": {"text": "When is anticoagulation restarted after a gastrointestinal bleed?"}},
    {
        "question": {
            "text": "Which potassium concentration needs an ECG at once?",
            "options": {"A": "5.2 mmol/L", "B": "5.6 mmol/L", "C": "6.5 mmol/L"},
        },
        "deadline_ms": 8000,
        "routing": "broadcast",
    },
]
_PROBLEMS: Final = {
    status: {"model": problem.Problem, "content": {problem.MEDIA_TYPE: {}}} for status in (400, 401, 404, 413, 500)
}


class CollectionSummary(Wire):
    collection: NodeId
    release_class: ReleaseClass
    passages: int
    prototypes: int
    encoder: Name


class NodeSummary(Wire):
    """A hospital as the coordinator knows it; `described` is false until it was reached once."""

    node: NodeId
    name: Name
    described: bool
    collections: tuple[CollectionSummary, ...]


class StatisticsHealth(Wire):
    """`looked`: whether it was seen yet if hospitals can count together; then how many search with the common epoch, of
    how many that search for words."""

    looked: bool
    in_use: int
    counting: int


class Health(Wire):
    status: str
    coordinator: NodeId
    nodes: int
    described: int
    statistics: StatisticsHealth | None = None


def create_app(coordinator: Coordinator, feedback_path: Path) -> FastAPI:
    config, descriptions = coordinator.config, coordinator.descriptions
    shelf, outcomes = (
        AnswerShelf(maximum_awaiting=config.awaiting.maximum),
        FeedbackStore(feedback_path, config.feedback),
    )
    awaiting = AwaitingDesk(config.awaiting)
    counted = CoordinatorMetrics(coordinator)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.gather(descriptions.refresh(), asyncio.to_thread(language.load))
        watching = [asyncio.create_task(descriptions.run()), asyncio.create_task(coordinator.experience.run())]
        if coordinator.statistics is not None:
            watching.append(asyncio.create_task(coordinator.statistics.run()))
        if coordinator.trust is not None:
            prober = Prober(coordinator.trust, coordinator.federation, config)
            watching.append(asyncio.create_task(prober.run()))
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await coordinator.aclose()
            outcomes.close()

    app = FastAPIOffline(
        title="fedrag",
        version="1",
        summary="One question, many hospitals, one answer that shows its evidence, its doubt and its price.",
        description="Not a medical device. Every route under /v1 but /v1/enrolments wants an API key as bearer token.",
        redoc_url=None,
        lifespan=lifespan,
    )
    problem.install(app)
    if coordinator.desk is not None:
        app.include_router(enrolment_routes(coordinator.desk))
    app.add_middleware(BodyLimit, maximum_bytes=256 * 1024)

    async def asker(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Asker:
        return identify(credentials.credentials if credentials else "", config.api_keys)

    who_asks = Annotated[Asker, Depends(asker)]
    app.include_router(population_routes(coordinator.census, coordinator.parts.redactor, asker))

    @app.post("/v1/ask", responses=_PROBLEMS)  # type: ignore[arg-type] # FastAPI takes any mapping of statuses
    async def post_ask(who: who_asks, request: Annotated[AskRequest, Body(examples=_EXAMPLES)]) -> Answer:
        """Ask the hospitals. Always answers, abstaining where it must; `coverage` tells what became of each."""
        request_id = new_request_id()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with tracing.span("question", request_id=request_id):
            federation = coordinator.federation(await asyncio.to_thread(_learned, outcomes))
            answered = await put(
                request, request_id, who, config.limits, config.routing.name, federation, coordinator.conversing
            )
        answer = answered.answer
        for one in (answered, *answered.parts):
            shelf.put(one.answer, who.name, awaiting.keep(one, who.name))
            if one.asked is not None:
                coordinator.experience.observe(who.name, one.asked.query, one.answer)
                if coordinator.trust is not None:
                    coordinator.trust.observe(one)
            if coordinator.watch is not None:
                await asyncio.to_thread(coordinator.watch.observe, one.answer)
        await asyncio.to_thread(_remember, outcomes, answer, who.name)
        if coordinator.receipts is not None:
            await asyncio.to_thread(coordinator.receipts.flush)
        outcome = answer.abstained.code if answer.abstained else "answered"
        counted.count(answer)
        _log.info("answered", outcome=outcome, nodes_asked=answer.budget.nodes_asked, redactions=len(answer.redactions))
        return answer

    @app.get("/v1/answers/{answer_id}", responses=_PROBLEMS)  # type: ignore[arg-type]
    async def get_answer(who: who_asks, answer_id: str) -> Answer:
        """An answer of yours, for an hour; one that awaits a release for longer, completed with what was released."""
        answer = shelf.get(answer_id, who.name)
        if not answer.awaiting:
            return answer
        federation = coordinator.federation(await asyncio.to_thread(_learned, outcomes))
        now = await awaiting.look(answer_id, who.name, federation, config.limits.deadline_ms)
        if now is None:
            return answer
        shelf.put(now, who.name, awaiting.left_s(answer_id))
        if now.completed != answer.completed:
            await asyncio.to_thread(_remember, outcomes, now, who.name)
        return now

    @app.post("/v1/answers/{answer_id}/feedback", status_code=204, responses=_PROBLEMS)  # type: ignore[arg-type]
    async def post_feedback(who: who_asks, answer_id: str, feedback: Feedback) -> Response:
        """Say whether an answer of yours was right, useful or harmful, and which citations helped; again, to say it
        otherwise."""
        right = await asyncio.to_thread(outcomes.record, answer_id, feedback, who.name)
        coordinator.experience.judged(answer_id, right)
        return Response(status_code=204)

    @app.get("/v1/nodes", responses=_PROBLEMS)  # type: ignore[arg-type]
    async def get_nodes(who: who_asks) -> tuple[NodeSummary, ...]:  # noqa: ARG001 - identity is checked by being resolved
        """The hospitals of this federation, and what they say they hold."""
        collections = descriptions.catalogue().collections()
        return tuple(
            _summary(node, descriptions.name_of(node), [one for one in collections if one.node == node])
            for node in sorted(coordinator.nodes())
        )

    @app.get("/health")
    async def health() -> Health:
        described = {one.node for one in descriptions.catalogue().collections()}
        return Health(
            status="ok",
            coordinator=config.coordinator,
            nodes=len(coordinator.nodes()),
            described=len(described),
            statistics=_health(coordinator.statistics) if coordinator.statistics is not None else None,
        )

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/health/ready", responses={503: _PROBLEMS[400]})
    async def ready() -> dict[str, str]:
        """Whether questions should be sent here: not while the service is about to stop."""
        if getattr(app.state, "draining", False):
            raise Unavailable("the service is about to stop", code="draining")
        return {"status": "ready"}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(counted.exposition(), media_type="text/plain; version=0.0.4")

    app.include_router(static_routes())
    return app


def _remember(outcomes: FeedbackStore, answer: Answer, asker: str) -> None:
    """An answer that cannot be judged is an answer all the same."""
    try:
        outcomes.remember(answer, asker)
    except sqlite3.Error as error:
        _log.error("answer_not_remembered", error=type(error).__name__)


def _learned(outcomes: FeedbackStore) -> Mapping[NodeId, Reliability]:
    """What cannot be read counts as unknown."""
    try:
        return outcomes.reliability()
    except sqlite3.Error as error:
        _log.error("outcomes_unreadable", error=type(error).__name__)
        return {}


def identify(key: str, api_keys: Sequence[ApiKey]) -> Asker:
    """Whose API key this is. Raises IdentityError(missing_key, unknown_key)."""
    if not key:
        raise IdentityError("send an API key: Authorization: Bearer …", code="missing_key")
    digest = hashlib.sha256(key.encode()).hexdigest()
    # Hashes of random keys: comparing them early-out tells nothing that helps to guess a key.
    for known in api_keys:
        if known.sha256 == digest:
            return Asker(name=known.name, role=known.role, purpose=known.purpose, project=known.project)
    raise IdentityError("this API key is not known here", code="unknown_key")


def _health(statistics: StatisticsWatch) -> StatisticsHealth:
    in_use, counting = statistics.in_use()
    return StatisticsHealth(looked=statistics.looked.is_set(), in_use=in_use, counting=counting)


def _summary(node: NodeId, name: str, collections: Sequence[CollectionDescription]) -> NodeSummary:
    return NodeSummary(
        node=node,
        name=name,
        described=bool(collections),
        collections=tuple(
            CollectionSummary(
                collection=one.collection,
                release_class=one.release_class,
                passages=one.passages,
                prototypes=len(one.prototypes),
                encoder=one.encoder.name,
            )
            for one in collections
        ),
    )
