"""Errors over HTTP: application/problem+json (RFC 9457), with a stable code and never a word of what was asked."""

import http
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from fedrag.core.errors import FedragError
from fedrag.core.wire import Code, Wire

MEDIA_TYPE: Final = "application/problem+json"
_log = structlog.get_logger()
_STATUS_CODES: Final = {401: "identity", 403: "refused", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Problem(Wire):
    """`type` is a URN made of the code; `detail` is for people; `retryable` says whether trying again can help."""

    type: str
    title: str
    status: int
    code: Code
    detail: str
    retryable: bool = False


def problem(code: str, status: int, detail: str, *, retryable: bool = False) -> Problem:
    title = http.HTTPStatus(status).phrase
    return Problem(
        type=f"urn:fedrag:problem:{code}", title=title, status=status, code=code, detail=detail, retryable=retryable
    )


def of_error(error: Exception) -> Problem:
    """The problem that tells of this error. What we did not raise on purpose is `internal`, and told nothing about."""
    match error:
        case FedragError():
            return problem(error.code, error.status, error.message, retryable=error.retryable)
        case RequestValidationError():
            reasons = "; ".join(
                f"{'.'.join(str(part) for part in item['loc'] if part != 'body') or 'body'}: {item['msg']}"
                for item in error.errors()[:10]
            )
            return problem("bad_input", 400, reasons)
        case HTTPException():
            code = _STATUS_CODES.get(error.status_code, "bad_input" if error.status_code < 500 else "internal")
            return problem(code, error.status_code, str(error.detail))
        case _:
            return problem("internal", 500, "an unexpected error; the log names it by this request's id")


def respond(told: Problem) -> Response:
    return Response(told.model_dump_json(), status_code=told.status, media_type=MEDIA_TYPE)


def log_unexpected(error: Exception, path: str) -> None:
    """The type of the error and where; its text may hold what was asked."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
    _log.error("request_failed", error=type(error).__name__, where=where, path=path)


def install(app: FastAPI) -> None:
    """Turn every error of this application into problem+json."""

    async def handle(request: Request, error: Exception) -> Response:
        told = of_error(error)
        if told.code == "internal":
            log_unexpected(error, request.url.path)
        return respond(told)

    handler: Callable[[Request, Exception], Awaitable[Response]] = handle
    for kind in (FedragError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, handler)
