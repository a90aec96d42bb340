"""Eight real hospitals behind doors that can be told to misbehave, and the matrix of everything that can go wrong.

Each hospital is the product's own node application. In front of it stands a door: a TCP server that reads HTTP
requests, has the hospital answer them, and hands the answer on as its fault demands: not at all, in part, slowly, or
altered and signed with the hospital's own key, as only a hospital that lies could. Doors and hospitals run on a loop
of their own thread, so that whatever is left on the coordinator's loop was left by the coordinator.
"""

import asyncio
import json
import math
import socket
import struct
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import httpx2

from fedrag.api.app import create_app as create_api
from fedrag.assemble import Coordinator, connect
from fedrag.circuit import CircuitBreaker
from fedrag.config import CoordinatorConfig
from fedrag.core.answer import Answer
from fedrag.core.config import PluginConfig
from fedrag.core.exchange import NodeStatus
from fedrag.core.wire import ReleaseClass
from fedrag.encoders import ENCODERS, language
from fedrag.http.client import RemoteNode, http_client
from fedrag.http.replicas import ReplicatedNode, RetryBudget
from fedrag.http.signing import RESPONSE_HEADER, Signer, response_payload
from retriever_node.assemble import assemble, open_store
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.config import CoordinatorConfig as PinnedCoordinator
from retriever_node.home import NodeHome, create_node
from retriever_node.ingest import ingest
from retriever_node.node import RetrieverNode
from retriever_node.service import create_app as create_node_app

COORDINATOR = "matrix"
API_KEY = "matrix-key"
QUESTION = "How is warfarin bleeding reversed?"
HOSPITALS = tuple(f"hospital-{letter}" for letter in "abcdefgh")
T = TypeVar("T")

FAULTS: dict[str, tuple[NodeStatus, str]] = {
    "refused": (NodeStatus.FAILED, "unreachable"),
    "hang after accept": (NodeStatus.TIMED_OUT, "deadline"),
    "hang after headers": (NodeStatus.TIMED_OUT, "deadline"),
    "reset mid-body": (NodeStatus.FAILED, "connection_broken"),
    "truncated JSON": (NodeStatus.FAILED, "bad_response"),
    "wrong schema": (NodeStatus.FAILED, "bad_response"),
    "NaN scores": (NodeStatus.FAILED, "bad_response"),
    "10 MB body": (NodeStatus.FAILED, "too_large"),
    "1 byte/s": (NodeStatus.TIMED_OUT, "deadline"),
    "HTTP 500": (NodeStatus.FAILED, "bad_status"),
    "wrong node id": (NodeStatus.FAILED, "wrong_node"),
    "bad signature": (NodeStatus.FAILED, "bad_signature"),
    "clock + 10 min": (NodeStatus.REFUSED, "clock_skew"),
}
"""What the answer must say became of a hospital with this fault."""


@dataclass(frozen=True)
class Said:
    """An HTTP response of a hospital."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def raw(self, *, promised_bytes: int | None = None) -> bytes:
        lines = [b"HTTP/1.1 %d X" % self.status]
        lines += [name + b": " + value for name, value in self.headers if name.lower() != b"content-length"]
        lines.append(b"content-length: %d" % (len(self.body) if promised_bytes is None else promised_bytes))
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body


class Door:
    """Where one hospital is reached. `fault`: a key of FAULTS, or empty; it begins at `stage`, "offers" or
    "releases"."""

    def __init__(self, node: RetrieverNode) -> None:
        self.node, self.fault, self.stage = node, "", "offers"
        late = replace(node, clock=lambda: time.time() + 600)
        self._honest, self._late = (
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app=create_node_app(one))) for one in (node, late)
        )
        self._closed = socket.socket()  # bound and never listening: whoever connects is refused
        self._closed.bind(("127.0.0.1", 0))
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        self._server.close()
        await self._honest.aclose()
        await self._late.aclose()
        self._closed.close()

    def url(self) -> str:
        listening = self._closed if self.fault == "refused" else self._server.sockets[0]
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not (self.fault == "hang after accept" and self.stage == "offers"):
                await self._exchange(reader, writer)
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort() if self.fault == "reset mid-body" else writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = [tuple(line.split(": ", 1)) for line in head[1:] if line]
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        body = await reader.readexactly(length)
        begun = path == "/v1/releases" or (path == "/v1/offers" and self.stage == "offers")
        fault = self.fault if begun else ""
        if fault == "hang after accept":
            await reader.read()
            raise ConnectionResetError
        hospital = self._late if fault == "clock + 10 min" else self._honest
        told = await hospital.request(method, f"http://node{path}", content=body, headers=headers)
        said = Said(told.status_code, told.headers.raw, told.content)
        nonce = next((value for name, value in headers if name.lower() == "fedrag-nonce"), "")
        await self._hand_on(fault, self._altered(fault, said, nonce), reader, writer)

    async def _hand_on(
        self, fault: str, said: Said, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match fault:
            case "hang after headers":
                writer.write(replace(said, body=b"").raw(promised_bytes=len(said.body)))
                await reader.read()
                raise ConnectionResetError
            case "reset mid-body":
                writer.write(replace(said, body=said.body[: len(said.body) // 2]).raw(promised_bytes=len(said.body)))
                await writer.drain()
                await asyncio.sleep(0.02)
                linger = struct.pack("ii", 1, 0)  # closing now resets the connection
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                raise ConnectionResetError
            case "1 byte/s":
                for byte in said.raw():
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(1)
            case _:
                writer.write(said.raw())
                await writer.drain()

    def _altered(self, fault: str, said: Said, nonce: str) -> Said:
        """What the hospital says instead; signed with its own key, unless a wrong signature is the point."""
        match fault:
            case "truncated JSON":
                return self._signed(said.body[: len(said.body) // 2], nonce)
            case "wrong schema":
                return self._signed(b'{"node": "x", "surprise": true}', nonce)
            case "NaN scores":
                return self._signed(_with_nan(said.body), nonce)
            case "10 MB body":
                return self._signed(said.body[:-1] + b" " * 10_000_000 + said.body[-1:], nonce)
            case "HTTP 500":
                return Said(500, [(b"content-type", b"text/html")], b"<h1>Internal Server Error</h1>")
            case "wrong node id":
                return self._signed(json.dumps({**json.loads(said.body), "node": "somebody-else"}).encode(), nonce)
            case "bad signature":
                return replace(said, body=said.body[:-1] + b" " + said.body[-1:])
            case _:
                return said

    def _signed(self, body: bytes, nonce: str) -> Said:
        signature = self.node.signer.sign("response", response_payload(self.node.id, nonce, 200, body))
        headers = [(b"content-type", b"application/json"), (RESPONSE_HEADER.encode(), signature.encode())]
        return Said(200, headers, body)


def _with_nan(body: bytes) -> bytes:
    """Scores that are no numbers; where there are no scores, a field that is none."""
    told = json.loads(body)
    for offer in told.get("offers", ()):
        offer["probability"] = math.nan
        offer["similarity"] = {"value": math.inf, "comparable_with": "x"}
    if "offers" not in told:
        told["patients"] = math.nan
    return json.dumps(told).encode()


@dataclass
class Cell:
    """One cell of the matrix: what happened, and everything that should not have."""

    fault: str
    stage: str
    faulty: int
    elapsed_ms: float
    misses: list[str] = field(default_factory=list)


class FaultyFederation:
    """Eight hospitals, their doors, and a coordinator whose API is asked in process."""

    def __init__(self, folder: Path, deadline_ms: int) -> None:
        self.folder, self.deadline_ms = folder, deadline_ms
        self._signer = Signer.generate()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.doors: dict[str, Door] = {}
        self.nodes: dict[str, RetrieverNode] = {}

    def open(self) -> None:
        self._thread.start()
        for name in HOSPITALS:
            self.nodes[name] = self._hospital(name)
            self.doors[name] = Door(self.nodes[name])
            self._there(self.doors[name].open())

    def close(self) -> None:
        for door in self.doors.values():
            self._there(door.close())
        self._there(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for node in self.nodes.values():
            node.store.close()
            node.state.close()

    async def run(self, fault: str, faulty: int, stage: str = "offers") -> Cell:
        """Ask once with so many hospitals at fault, once more those that are well alone, and compare."""
        well = HOSPITALS[faulty:]
        coordinator = await self._coordinator(fault, HOSPITALS[:faulty], stage)
        tasks_before = asyncio.all_tasks()
        started = time.perf_counter()
        status, answer = await self._ask(coordinator, HOSPITALS)
        cell = Cell(fault, stage, faulty, (time.perf_counter() - started) * 1000)
        if not await _gone(tasks_before, within_s=1.0):
            cell.misses.append("a task is left after 1 s")
        if status != 200:
            cell.misses.append(f"HTTP {status}")
        if cell.elapsed_ms > 1.1 * self.deadline_ms:
            cell.misses.append(f"{cell.elapsed_ms:.0f} ms")
        _, alone = await self._ask(coordinator, well)
        if answer is not None and alone is not None:
            expected: dict[str, tuple[NodeStatus, str | None]] = dict.fromkeys(well, (NodeStatus.ANSWERED, None))
            expected |= dict.fromkeys(HOSPITALS[:faulty], FAULTS[fault])
            found = {one.node: (one.status, one.code) for one in answer.coverage}
            cell.misses += [f"{node}: {found.get(node)}" for node in HOSPITALS if found.get(node) != expected[node]]
            if _evidence(answer) != _evidence(alone) or not alone.evidence.passages:
                cell.misses.append("the others' evidence differs")
        await coordinator.aclose()
        return cell

    def _hospital(self, name: str) -> RetrieverNode:
        source = self.folder / name / "documents"
        source.mkdir(parents=True)
        for number in range(3):
            text = f"At {name} warfarin bleeding is reversed, case {number}: vitamin K."
            (source / f"{number}.md").write_text(f"# {name}\n\n## Reversal {number}\n{text}\n")
        home = NodeHome(self.folder / name / "home")
        config = NodeConfig(
            node=name,
            name=name.title(),
            encoder=PluginConfig(name="hashing"),
            index=PluginConfig(name="faiss_flat"),
            collections=(CollectionConfig(id="d", folder=source, release_class=ReleaseClass.PROTOCOL),),
            coordinators=(PinnedCoordinator(id=COORDINATOR, public_key=self._signer.public_key),),
        )
        create_node(home, config)
        encoder = ENCODERS.build("hashing")
        store = open_store(home, encoder)
        ingest(source, "d", store, encoder)
        store.close()
        return assemble(home)

    async def _coordinator(self, fault: str, faulty: Sequence[str], stage: str) -> Coordinator:
        """Fresh, with every hospital described; then the faults begin."""
        client = http_client()
        for door in self.doors.values():
            door.stage, door.fault = stage, ""
        nodes = {name: self._remote(name, client) for name in HOSPITALS}
        config = CoordinatorConfig.model_validate(
            {
                "coordinator": COORDINATOR,
                "encoder": {"name": "hashing"},
                "routing": {"name": "broadcast"},
                "limits": {"passages": 24, "deadline_ms": self.deadline_ms},
                "api_keys": [{"name": "asker", "sha256": _sha256(API_KEY)}],
            }
        )
        coordinator = connect(config, lambda: nodes, None, closing=(client.aclose,))
        await coordinator.descriptions.refresh()
        for name in faulty:
            self.doors[name].fault = fault
        if fault == "refused" and stage == "offers":  # another address, where nobody listens
            nodes.update({name: self._remote(name, client) for name in faulty})
        return replace(coordinator, parts=replace(coordinator.parts, breaker=CircuitBreaker()))

    def _remote(self, name: str, client: httpx2.AsyncClient) -> ReplicatedNode:
        key = self.nodes[name].signer.public_key
        remote = RemoteNode(name, self.doors[name].url(), key, COORDINATOR, self._signer, client)
        return ReplicatedNode([remote], RetryBudget())

    async def _ask(self, coordinator: Coordinator, hospitals: Sequence[str]) -> tuple[int, Answer | None]:
        app = create_api(coordinator, self.folder / "feedback.sqlite")
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api") as api:
            response = await api.post(
                "/v1/ask",
                json={"question": {"text": QUESTION}, "nodes": list(hospitals)},
                headers={"authorization": f"Bearer {API_KEY}"},
                timeout=60,
            )
        return response.status_code, Answer.model_validate_json(response.content) if response.is_success else None

    def _there(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


@contextmanager
def faulty_federation(folder: Path, deadline_ms: int) -> Iterator[FaultyFederation]:
    language.load()
    made = FaultyFederation(folder, deadline_ms)
    made.open()
    try:
        yield made
    finally:
        made.close()


async def _gone(before: set[asyncio.Task[object]], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while asyncio.all_tasks() - before:
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.01)
    return True


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.05)  # transports close on the loop's next turns


def _evidence(answer: Answer) -> tuple[object, ...]:
    passages = [(one.node, one.passage.text, one.similarity) for one in answer.evidence.passages]
    return passages, answer.evidence.source_weights, answer.evidence.conflicts


def _sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
