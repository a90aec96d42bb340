"""An OpenAI-compatible chat server over HTTP."""

import asyncio
import json
from typing import Final

import httpx2

from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded, ProtocolError, TooLarge, Unavailable
from fedrag.http.client import http_client
from fedrag.http.limits import read_bounded
from reasoner.chat import ChatRequest, Completion, Rejection
from reasoner.dialect import Dialect, body, completion, context_length, mapping

MAXIMUM_REPLY_BYTES: Final = 8 * 1024 * 1024
COMPLAINT_BYTES: Final = 4000
REFUSALS: Final = frozenset({400, 413, 422})


class ChatServer:
    """Every call ends with its deadline; proxy variables are ignored.

    Args:
        base_url: up to and including `/v1`.
        transport: stands in for the network in tests.
    """

    def __init__(self, base_url: str, api_key: str = "", *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = http_client(transport=transport)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def models(self, deadline: Deadline) -> dict[str, int | None]:
        """Model name → context length in tokens, None where the server does not say.

        Raises Unavailable, DeadlineExceeded, or ProtocolError for a reply that is not a model list.
        """
        reply = await self._send("GET", "/models", None, deadline)
        listed = mapping(reply).get("data")
        if not isinstance(listed, list):
            raise ProtocolError("the model server did not list its models")
        return {str(mapping(entry).get("id", "")): context_length(mapping(entry)) for entry in listed}

    async def complete(
        self, model: str, request: ChatRequest, dialect: Dialect, deadline: Deadline
    ) -> Completion | Rejection:
        """Raises Unavailable, DeadlineExceeded, or ProtocolError for a reply that is not a chat completion."""
        reply = await self._send("POST", "/chat/completions", body(model, request, dialect), deadline)
        return reply if isinstance(reply, Rejection) else completion(reply)

    async def _send(self, method: str, path: str, content: dict[str, object] | None, deadline: Deadline) -> object:
        remaining_s = deadline.remaining_ms() / 1000
        if remaining_s <= 0:
            raise DeadlineExceeded("no time left for the model server")
        try:
            async with (
                asyncio.timeout(remaining_s),
                self._client.stream(method, self._base_url + path, json=content, headers=self._headers) as response,
            ):
                raw = await read_bounded(response.aiter_bytes(), MAXIMUM_REPLY_BYTES)
        except (TimeoutError, httpx2.TimeoutException):
            raise DeadlineExceeded("the model server did not answer in time") from None
        except TooLarge:
            raise ProtocolError("the model server sent too much", code="too_large") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(f"the model server cannot be reached ({type(error).__name__})") from None
        if response.status_code in REFUSALS:
            return Rejection(response.status_code, raw[:COMPLAINT_BYTES].decode(errors="replace"))
        if response.status_code != 200:
            raise Unavailable(f"the model server answered with HTTP {response.status_code}")
        try:
            return json.loads(raw)
        except ValueError:
            raise ProtocolError("the model server did not answer in JSON") from None
