"""Evidence made to measure, and a model server that follows a script."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from fedrag.core.answer import Conflict, ConflictKind, Evidence, EvidencePassage, Quote
from fedrag.core.exchange import Citation, ReleasedPassage
from fedrag.core.wire import ReleaseClass


def make_evidence(
    *passages: tuple[str, str], probabilities: tuple[float, ...] = (), conflicts: tuple[Conflict, ...] = ()
) -> Evidence:
    """(hospital, text) best first; equal weights."""
    nodes = sorted({node for node, _ in passages})
    weight = 1 / len(nodes) if nodes else 0.0
    return Evidence(
        passages=tuple(
            EvidencePassage(
                number=number,
                node=node,
                passage=ReleasedPassage(
                    handle=f"{number:x}".rjust(64, "0"),
                    text=text,
                    citation=Citation(
                        document_id=f"{node}/{number}.md",
                        document_name=f"document {number}",
                        title=f"Title {number}",
                        section="Section",
                        locator=f"char=0,{len(text)}",
                    ),
                    release_class=ReleaseClass.PROTOCOL,
                ),
                probability=probabilities[number - 1] if probabilities else 0.5,
                weight=weight,
            )
            for number, (node, text) in enumerate(passages, start=1)
        ),
        source_weights=dict.fromkeys(nodes, weight),
        few_sources=len(nodes) < 4,
        conflicts=conflicts,
        method="comparable",
    )


def make_conflict(
    first: tuple[int, str], second: tuple[int, str], kind: ConflictKind = ConflictKind.NUMBERS
) -> Conflict:
    quotes = [Quote(citation=citation, text=text) for citation, text in (first, second)]
    return Conflict(kind=kind, first=quotes[0], second=quotes[1])


@pytest.fixture
def evidence() -> Callable[..., Evidence]:
    return make_evidence


@pytest.fixture
def conflict() -> Callable[..., Conflict]:
    return make_conflict


def reply(answer: str = "Give 5 mg [1].", **changes: object) -> dict[str, object]:
    """What a well-behaved model writes."""
    return {
        "steps": [{"text": "Passage 1 says 5 mg.", "citations": [1], "uncertainty": 0.1}],
        "answer": answer,
        "choice": None,
        "confidence": 0.8,
        "insufficient": False,
    } | changes


def completion(
    content: object, *, finish: str = "stop", logprobs: object = None, **message: object
) -> dict[str, object]:
    """A chat completion as servers send it; `content` that is no text is written as JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text} | message,
        "finish_reason": finish,
        "logprobs": logprobs,
    }
    return {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 20}}


Answer = Mapping[str, object] | Response | Callable[[dict[str, object]], object]


@dataclass
class ScriptedServer:
    """Answers chat requests with its script in order, the last entry for ever; keeps what it was asked.

    An entry is a completion, a whole response, or a function of the request body; `delay_s` comes before each.
    """

    url: str = ""
    script: list[Answer] = field(default_factory=list)
    models: dict[str, object] = field(default_factory=lambda: {"data": [{"id": "tiny", "max_model_len": 8192}]})
    delay_s: float = 0.0
    asked: list[dict[str, object]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def prompt(self, at: int = -1) -> str:
        """The last message of a request: the user's."""
        return self.asked[at]["messages"][-1]["content"]

    async def answer(self, body: dict[str, object]) -> Response:
        self.asked.append(body)
        entry = self.script[min(len(self.asked), len(self.script)) - 1]
        await asyncio.sleep(self.delay_s)
        made = entry(body) if callable(entry) and not isinstance(entry, Response) else entry
        return made if isinstance(made, Response) else JSONResponse(made)


def refusal(message: str, status: int = 400) -> JSONResponse:
    return JSONResponse({"error": {"message": message}}, status)


@pytest.fixture
async def model_server() -> AsyncIterator[ScriptedServer]:
    """A real server on a loopback port."""
    scripted, app = ScriptedServer(), FastAPI()

    @app.get("/v1/models")
    async def models() -> dict[str, object]:
        return scripted.models

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        scripted.headers.append(dict(request.headers))
        return await scripted.answer(await request.json())

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        scripted.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.005)
        yield scripted
        server.should_exit = True
        await serving


@pytest.fixture
def closed_port() -> str:
    """An address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


@pytest.fixture
def model_reply() -> Callable[..., dict[str, object]]:
    return reply


@pytest.fixture
def model_completion() -> Callable[..., dict[str, object]]:
    return completion


@pytest.fixture
def model_refusal() -> Callable[..., JSONResponse]:
    return refusal
