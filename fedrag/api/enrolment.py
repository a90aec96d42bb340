"""`POST /v1/enrolments`: hospitals join with a one-time code; no API key."""

from typing import Final

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from fedrag.core.enrolment import Enrolment, EnrolmentRequest
from fedrag.enrolment import EnrolmentDesk
from fedrag.http import problem

PROBLEMS: Final = {
    status: {"model": problem.Problem, "content": {problem.MEDIA_TYPE: {}}} for status in (400, 401, 403, 413, 500)
}


def enrolment_routes(desk: EnrolmentDesk) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/enrolments", responses=PROBLEMS)  # type: ignore[arg-type] # FastAPI takes any mapping of statuses
    async def post_enrolment(request: EnrolmentRequest) -> Enrolment:
        """Join the federation: the request proves the one-time code without sending it, and the answer is signed by the
        key that the code names."""
        return await run_in_threadpool(desk.enrol, request)

    return routes
