"""Refusing bodies that are too large before they are in memory."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedrag.core.errors import TooLarge
from fedrag.http import problem


class BodyLimit:
    """ASGI middleware: 413 as soon as more than `maximum_bytes` of a request have arrived."""

    def __init__(self, app: ASGIApp, maximum_bytes: int) -> None:
        self._app = app
        self._maximum_bytes = maximum_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            if len(body) > self._maximum_bytes:
                error = TooLarge(f"the request is larger than {self._maximum_bytes} bytes")
                await problem.respond(problem.of_error(error))(scope, receive, send)
                return
            if not message.get("more_body", False):
                break
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)
