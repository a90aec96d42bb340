"""`POST /v1/enrolments`: hospitals join with a one-time code; no API key."""

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from fedrag.core.enrolment import Enrolment, EnrolmentRequest
from fedrag.enrolment import EnrolmentDesk


def enrolment_routes(desk: EnrolmentDesk) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/enrolments")
    async def post_enrolment(request: EnrolmentRequest) -> Enrolment:
        """Join the federation: the request proves the one-time code without sending it, and the answer is signed by the
        key that the code names."""
        return await run_in_threadpool(desk.enrol, request)

    return routes
