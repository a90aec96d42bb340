"""The Python client of the question-answering API.

client = Client("http://127.0.0.1:8800", key)
answer = client.ask(AskRequest(question=Question(text="…")))
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

from fedrag.core import errors
from fedrag.core.answer import Answer, Feedback
from fedrag.core.plugins import describe
from fedrag.core.populations import PopulationAnswer, PopulationRequest
from fedrag.core.question import AskRequest
from fedrag.http.problem import Problem
from fedrag.http.tls import client_context

T = TypeVar("T")
_SLACK_S: Final = 15.0
"""How much longer than the longest deadline a client waits for the answer itself to arrive."""
_KINDS: Final[Mapping[int, type[errors.FedragError]]] = {
    400: errors.InputError,
    401: errors.IdentityError,
    403: errors.Refused,
    404: errors.NotFound,
    413: errors.TooLarge,
    429: errors.QuotaExceeded,
    503: errors.Unavailable,
    504: errors.DeadlineExceeded,
}


class Client:
    """Speaks to one coordinator. Raises FedragError with the code it gave, Unavailable when it gave none."""

    def __init__(
        self, url: str, key: str, *, authority: Path | None = None, transport: httpx2.BaseTransport | None = None
    ) -> None:
        """`authority`: PEM file of whom to trust for TLS, where it is not one that everybody trusts."""
        self._http = httpx2.Client(
            base_url=url,
            headers={"authorization": f"Bearer {key}"},
            timeout=600 + _SLACK_S,
            verify=True if authority is None else client_context(_read(authority)),
            trust_env=False,
            transport=transport,
        )

    def ask(self, request: AskRequest) -> Answer:
        return self._call("POST", "/v1/ask", request.model_dump_json(exclude_defaults=True), Answer)

    def answer(self, answer_id: str) -> Answer:
        return self._call("GET", f"/v1/answers/{answer_id}", None, Answer)

    def count(self, request: PopulationRequest) -> PopulationAnswer:
        return self._call("POST", "/v1/populations", request.model_dump_json(exclude_defaults=True), PopulationAnswer)

    def feedback(self, feedback: Feedback) -> None:
        self._send("POST", f"/v1/answers/{feedback.answer_id}/feedback", feedback.model_dump_json())

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: str, path: str, body: str | None, kind: type[T]) -> T:
        raw = self._send(method, path, body)
        try:
            return TypeAdapter(kind).validate_json(raw)
        except ValidationError as error:
            raise errors.ProtocolError(f"the coordinator sent a malformed answer: {describe(error)}") from None

    def _send(self, method: str, path: str, body: str | None) -> bytes:
        try:
            response = self._http.request(method, path, content=body, headers={"content-type": "application/json"})
        except httpx2.HTTPError as error:
            raise errors.Unavailable(f"the coordinator cannot be reached ({type(error).__name__})") from None
        if response.is_success:
            return bytes(response.content)
        try:
            told = Problem.model_validate_json(response.content)
        except ValidationError:
            raise errors.ProtocolError(f"status {response.status_code} without a problem document") from None
        raise _KINDS.get(told.status, errors.FedragError)(told.detail, code=told.code)


def _read(authority: Path) -> str:
    try:
        return authority.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise errors.ConfigError(f"{authority} cannot be read", code="bad_authority") from None
