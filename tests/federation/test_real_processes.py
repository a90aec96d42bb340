"""Eight hospitals and a coordinator as processes of their own, spoken to over HTTP, with four of them broken."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fedrag.config import CoordinatorConfig, Limits
from fedrag.core.config import PluginConfig
from fedrag.core.exchange import NodeStatus
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import ReleaseClass
from fedrag.http.signing import RESPONSE_HEADER, Signer, response_payload
from fedrag.local_federation import LocalFederation
from fedrag.members import Member
from retriever_node.assemble import assemble
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.home import NodeHome

GOOD = ("good-a", "good-b", "good-c", "good-d")
BROKEN = ("hung", "killed", "malformed", "impostor")
DEADLINE_MS = 4_000


def federation(folder: Path, names: tuple[str, ...]) -> LocalFederation:
    hospitals = []
    for name in names:
        source = folder / "documents" / name
        source.mkdir(parents=True, exist_ok=True)
        text = f"# {name}\n\n## Reversal\nAt {name} bleeding on warfarin is reversed with vitamin K, {len(name)} mg.\n"
        (source / "d.md").write_text(text, encoding="utf-8")
        hospitals.append(
            NodeConfig(
                node=name,
                name=name,
                encoder=PluginConfig(name="hashing"),
                collections=(CollectionConfig(id="documents", folder=source, release_class=ReleaseClass.PROTOCOL),),
            )
        )
    coordinator = CoordinatorConfig(
        coordinator="test",
        encoder=PluginConfig(name="hashing"),
        routing=PluginConfig(name="broadcast"),
        limits=Limits(deadline_ms=DEADLINE_MS),
    )
    return LocalFederation(folder / "federation", hospitals, coordinator)


@contextmanager
def liar(home: NodeHome, in_the_name_of: str | None) -> Iterator[str]:
    """A server with a hospital's own key and description that, asked for offers, sends broken JSON or another's id."""
    node = assemble(home)
    description = node.describe().model_dump_json().encode()
    signer = Signer.load(home.signing_key)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def reply(self, body: bytes) -> None:
            signature = signer.sign("response", response_payload(node.id, self.headers["fedrag-nonce"], 200, body))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header(RESPONSE_HEADER, signature)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.reply(description)

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told = {"node": in_the_name_of, "request_id": request["request_id"], "offers": []}
            self.reply(json.dumps(told).encode() if in_the_name_of else b'{"node": "malformed", "offers": [')

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        node.store.close()
        node.state.close()


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The same question to all eight with four broken, and to the four good ones alone; and how long the first took."""
    with federation(tmp_path_factory.mktemp("eight"), GOOD + BROKEN) as eight:
        eight.create()
        eight.ingest(lambda done, total: None)
        entries = {entry.id: entry for entry in eight.start_nodes()}
        homes = eight.folder / "nodes"
        with liar(NodeHome(homes / "malformed"), None) as one, liar(NodeHome(homes / "impostor"), "good-a") as two:
            for name, url in (("malformed", one), ("impostor", two)):
                entries[name] = Member(id=name, urls=(url,), public_key=entries[name].public_key)
            eight.start_coordinator(tuple(entries.values()))
            eight.pause("hung")
            eight.kill("killed")
            started = time.monotonic()
            with eight.client() as client:
                with_all = client.ask(AskRequest(question=Question(text="How is bleeding on warfarin reversed?")))
            elapsed_ms = (time.monotonic() - started) * 1000
            with eight.client() as client:
                request = AskRequest(question=Question(text="How is bleeding on warfarin reversed?"), nodes=GOOD)
                alone = client.ask(request)
    return with_all, alone, elapsed_ms


def test_the_answer_comes_within_the_deadline(answers) -> None:
    """HTTP 200 (the client raises otherwise), in no more than the deadline and a tenth."""
    _, _, elapsed_ms = answers
    assert elapsed_ms <= 1.1 * DEADLINE_MS


def test_coverage_says_exactly_what_became_of_each(answers) -> None:
    """Four answered; hung timed out; killed is unreachable; the liars failed, each with its own code."""
    with_all, _, _ = answers
    assert {one.node: (one.status, one.code) for one in with_all.coverage} == {
        **dict.fromkeys(GOOD, (NodeStatus.ANSWERED, None)),
        "hung": (NodeStatus.TIMED_OUT, "deadline"),
        "killed": (NodeStatus.FAILED, "unreachable"),
        "malformed": (NodeStatus.FAILED, "bad_response"),
        "impostor": (NodeStatus.FAILED, "wrong_node"),
    }


def test_the_evidence_of_the_others_is_unchanged(answers) -> None:
    """Passage for passage what the four give alone."""
    with_all, alone, _ = answers
    assert alone.evidence.passages
    assert [(one.node, one.passage.text, one.similarity) for one in with_all.evidence.passages] == [
        (one.node, one.passage.text, one.similarity) for one in alone.evidence.passages
    ]
    assert with_all.evidence.source_weights == alone.evidence.source_weights


def test_a_port_in_use_is_told(tmp_path) -> None:
    """The second process that wants a port says so and ends with the configuration exit code."""
    import subprocess
    import sys

    from fedrag.http.serving import listen

    with federation(tmp_path, ("one",)) as single:
        single.create()
        listening = listen("127.0.0.1", 0)
        port = str(listening.getsockname()[1])
        home = str(single.folder / "nodes" / "one")
        command = [sys.executable, "-m", "retriever_node", "serve", "--home", home, "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        listening.close()
    assert done.returncode == 78
    assert "port_in_use" in done.stderr
