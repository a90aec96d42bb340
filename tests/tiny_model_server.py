"""An OpenAI-compatible server around a real, very small model: what the back end `openai` meets in the default suite.

It streams, gives log-probabilities, writes in the form of a schema, thinks within a budget, counts tokens, refuses
prompts that are too long, and stops writing for a caller that has gone.
"""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from fedrag.core.deadline import Deadline
from reasoner.chat import ChatRequest, Completion, Message, PromptTooLong, TokenProbability
from reasoner.local_model import LocalModel


@dataclass
class TinyServer:
    """`given_up` counts callers that went before their reply was written."""

    model: LocalModel
    url: str = ""
    given_up: int = 0
    asked: list[dict[str, object]] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/v1/models")
        async def models() -> object:
            context = await self.model.context_tokens(Deadline.after_ms(1000))
            return {"data": [{"id": self.model.name, "max_model_len": context}]}

        @app.post("/tokenize")
        async def tokenize(request: Request) -> object:
            return {"count": await self.model.tokens(_messages(await request.json()), Deadline.after_ms(10_000))}

        @app.post("/v1/chat/completions")
        async def chat(request: Request) -> Response:
            body = await request.json()
            self.asked.append(body)
            return await self._answer(body)

        return app

    async def _answer(self, body: dict[str, object]) -> Response:
        asked = ChatRequest(
            _messages(body),
            body.get("response_format", {}).get("json_schema", {}).get("schema", {}),
            body["max_tokens"],
            body.get("temperature", 1.0),
            body.get("thinking_token_budget", 0),
        )
        length = await self.model.tokens(asked.messages, Deadline.after_ms(10_000))
        context = await self.model.context_tokens(Deadline.after_ms(1000))
        if length + asked.maximum_tokens > context:
            told = f"This model's maximum context length is {context} tokens, the prompt has {length}"
            return JSONResponse({"error": {"message": told}}, 400)
        if body.get("stream"):
            return StreamingResponse(self._events(asked), media_type="text/event-stream")
        made = await self.model.complete(asked, Deadline.after_ms(60_000))
        message = {"content": made.text, "reasoning_content": made.thinking or None}
        choice = {
            "message": message,
            "finish_reason": made.finish_reason,
            "logprobs": {"content": [_logprob(one) for one in made.tokens]},
        }
        return JSONResponse({"choices": [choice], "usage": _usage(made)})

    async def _events(self, asked: ChatRequest) -> AsyncIterator[str]:
        yield ": reading\n\n"
        try:
            made = await self.model.complete(asked, Deadline.after_ms(60_000))
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        except PromptTooLong:
            yield _event({"error": {"code": 400, "message": "prompt is too long"}})
            return
        for word in made.thinking.split():
            yield _event(_piece({"reasoning_content": f"{word} "}, []))
        for one in made.tokens:
            yield _event(_piece({"content": one.token}, [_logprob(one)]))
        yield _event(_piece({}, [], made.finish_reason))
        yield _event({"choices": [], "usage": _usage(made)})
        yield "data: [DONE]\n\n"


@contextmanager
def serving(model: LocalModel) -> Iterator[TinyServer]:
    """On a loopback port of its own, in a thread with its own event loop, until the block ends."""
    tiny = TinyServer(model)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        tiny.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        config = uvicorn.Config(tiny.app(), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            threading.Event().wait(0.005)
        try:
            yield tiny
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _messages(body: dict[str, object]) -> tuple[Message, ...]:
    return tuple(Message(one["role"], one["content"]) for one in body["messages"])


def _piece(delta: dict[str, object], logprobs: list[object], finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta, "logprobs": {"content": logprobs}, "finish_reason": finish}]}


def _event(told: dict[str, object]) -> str:
    return f"data: {json.dumps(told)}\n\n"


def _logprob(one: TokenProbability) -> dict[str, object]:
    others = [{"token": token, "logprob": logprob} for token, logprob in one.alternatives]
    return {"token": one.token, "logprob": one.logprob, "top_logprobs": others}


def _usage(made: Completion) -> dict[str, object]:
    return {
        "prompt_tokens": made.prompt_tokens,
        "completion_tokens": made.completion_tokens,
        "completion_tokens_details": {"reasoning_tokens": made.thinking_tokens},
    }
