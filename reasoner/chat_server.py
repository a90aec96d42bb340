"""An OpenAI-compatible chat server over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2

from fedrag.core.deadline import Deadline
from fedrag.core.errors import DeadlineExceeded, ProtocolError, TooLarge, Unavailable
from fedrag.http.client import http_client
from fedrag.http.limits import read_bounded
from reasoner.chat import ChatRequest, Completion, Message, Rejection
from reasoner.dialect import Dialect, body, completion, context_length, mapping
from reasoner.streaming import Arriving, events

MAXIMUM_REPLY_BYTES: Final = 8 * 1024 * 1024
BYTES_PER_TOKEN: Final = 4096
"""What a streamed token with its alternatives takes at most; a whole stream, this times the tokens asked for."""
COMPLAINT_BYTES: Final = 4000
REFUSALS: Final = frozenset({400, 413, 422})
BUSY: Final = frozenset({429, 503})
ATTEMPTS: Final = 4
FIRST_PAUSE_S: Final = 0.2
"""Before a busy server is asked again, doubled each time, where it does not say how long to wait."""
AT_ONCE: Final = 32


class Busy(Unavailable):
    """The server has too much to do. `pause_s` is how long it asks to be left alone; None where it does not say."""

    def __init__(self, status: int, pause_s: float | None) -> None:
        super().__init__(f"the model server answered with HTTP {status}")
        self.pause_s = pause_s


class ChatServer:
    """Every call ends with its deadline; proxy variables are ignored. A call that is given up closes its connection,
    which is how such servers learn to stop writing.

    Args:
        base_url: up to and including `/v1`.
        at_once: completions that are asked for at the same time; further ones wait, within their deadlines.
        transport: stands in for the network in tests.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str = "",
        *,
        at_once: int = AT_ONCE,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = http_client(transport=transport)
        self._room = asyncio.Semaphore(at_once)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def models(self, deadline: Deadline) -> dict[str, int | None]:
        """Model name → context length in tokens, None where the server does not say.

        Raises Unavailable, DeadlineExceeded, or ProtocolError for a reply that is not a model list.
        """
        async with self._asked("GET", "/models", None, deadline) as response:
            reply = await _whole(response)
        listed = mapping(reply).get("data")
        if not isinstance(listed, list):
            raise ProtocolError("the model server did not list its models")
        return {str(mapping(entry).get("id", "")): context_length(mapping(entry)) for entry in listed}

    async def complete(
        self, model: str, request: ChatRequest, dialect: Dialect, deadline: Deadline
    ) -> Completion | Rejection:
        """Asks a busy server again, after the pause it names, as long as that is within the deadline.

        Raises Unavailable, DeadlineExceeded, or ProtocolError for a reply that is not a chat completion.
        """
        content = body(model, request, dialect)
        for attempt in range(ATTEMPTS):
            try:
                return await self._complete(content, request, deadline)
            except Busy as busy:
                pause_s = FIRST_PAUSE_S * 2**attempt if busy.pause_s is None else busy.pause_s
                if attempt == ATTEMPTS - 1 or 1000 * pause_s >= deadline.remaining_ms():
                    raise
                await asyncio.sleep(pause_s)
        raise Unavailable("the model server is busy")

    async def count(self, model: str, messages: tuple[Message, ...], deadline: Deadline) -> int | None:
        """Length of the messages in tokens, by the server's own template and tokeniser (vLLM, llama.cpp); None where it
        has no such route. Raises Unavailable or DeadlineExceeded."""
        said = [{"role": message.role, "content": message.content} for message in messages]
        counted = await self._outside("/tokenize", {"model": model, "messages": said}, deadline)
        if isinstance(count := counted.get("count"), int) and not isinstance(count, bool) and count > 0:
            return count
        # llama.cpp counts text only, and makes the text of messages elsewhere.
        prompt = (await self._outside("/apply-template", {"messages": said}, deadline)).get("prompt")
        if not isinstance(prompt, str):
            return None
        asked = {"content": prompt, "add_special": True, "parse_special": True}
        listed = (await self._outside("/tokenize", asked, deadline)).get("tokens")
        return len(listed) if isinstance(listed, list) and listed else None

    async def _complete(
        self, content: dict[str, object], request: ChatRequest, deadline: Deadline
    ) -> Completion | Rejection:
        async with self._room_within(deadline), self._asked("POST", "/chat/completions", content, deadline) as response:
            if response.status_code in REFUSALS:
                return await _rejection(response)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                return completion(await _whole(response))
            return await self._arrived(response, request, deadline)

    async def _arrived(
        self, response: httpx2.Response, request: ChatRequest, deadline: Deadline
    ) -> Completion | Rejection:
        """Read until the end, until nobody waits for it, or until more was thought than there is a budget for."""
        arriving, most = Arriving(), MAXIMUM_REPLY_BYTES + BYTES_PER_TOKEN * request.maximum_tokens
        async with aclosing(events(response.aiter_bytes(), most)) as told:
            async for event in told:
                if error := mapping(event.get("error")):
                    if error.get("code") in REFUSALS:
                        return Rejection(400, json.dumps(error)[:COMPLAINT_BYTES])
                    raise Unavailable("the model server failed while it wrote")
                deadline.require()
                arriving.add(event)
                if arriving.thinks and 0 < request.thinking_tokens < arriving.thinking_tokens:
                    return completion(arriving.reply(stopped="thinking"))
        return completion(arriving.reply())

    async def _outside(self, path: str, content: dict[str, object], deadline: Deadline) -> Mapping[str, object]:
        """A route beside the OpenAI ones; nothing where there is none. Raises Unavailable when it fails."""
        try:
            async with self._asked("POST", path, content, deadline, base=self._base_url.removesuffix("/v1")) as answer:
                if answer.status_code >= 500:
                    raise Unavailable(f"the model server answered with HTTP {answer.status_code}")
                return mapping(await _whole(answer)) if answer.status_code == 200 else {}
        except ProtocolError:
            return {}

    @asynccontextmanager
    async def _room_within(self, deadline: Deadline) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_left_s(deadline)):
                await self._room.acquire()
        except TimeoutError:
            raise DeadlineExceeded("no room at the model server in time") from None
        try:
            yield
        finally:
            self._room.release()

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, content: dict[str, object] | None, deadline: Deadline, base: str | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """The response, to be read within the deadline."""
        url = (self._base_url if base is None else base) + path
        try:
            async with (
                asyncio.timeout(_left_s(deadline)),
                self._client.stream(method, url, json=content, headers=self._headers) as response,
            ):
                if response.status_code in BUSY:
                    raise Busy(response.status_code, _pause_s(response))
                if response.status_code != 200 and response.status_code not in REFUSALS and base is None:
                    raise Unavailable(f"the model server answered with HTTP {response.status_code}")
                yield response
        except (TimeoutError, httpx2.TimeoutException):
            raise DeadlineExceeded("the model server did not answer in time") from None
        except TooLarge:
            raise ProtocolError("the model server sent too much", code="too_large") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(f"the model server cannot be reached ({type(error).__name__})") from None


async def _whole(response: httpx2.Response) -> object:
    raw = await read_bounded(response.aiter_bytes(), MAXIMUM_REPLY_BYTES)
    try:
        return json.loads(raw)
    except ValueError:
        raise ProtocolError("the model server did not answer in JSON") from None


async def _rejection(response: httpx2.Response) -> Rejection:
    raw = await read_bounded(response.aiter_bytes(), MAXIMUM_REPLY_BYTES)
    return Rejection(response.status_code, raw[:COMPLAINT_BYTES].decode(errors="replace"))


def _left_s(deadline: Deadline) -> float:
    left_s = deadline.remaining_ms() / 1000
    if left_s <= 0:
        raise DeadlineExceeded("no time left for the model server")
    return left_s


def _pause_s(response: httpx2.Response) -> float | None:
    """`Retry-After`, in seconds or as a date told beside the server's own clock."""
    told = response.headers.get("retry-after", "")
    if told.strip().isdecimal():
        return float(told)
    try:
        until, now = parsedate_to_datetime(told), parsedate_to_datetime(response.headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None
