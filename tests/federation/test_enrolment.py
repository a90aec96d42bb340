"""Joining, renewing and leaving while questions run: coordinator and hospitals as processes, TLS between all."""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fedrag.client import Client
from fedrag.core.answer import Answer
from fedrag.core.errors import FedragError
from fedrag.core.question import AskRequest, Question

ASKED = AskRequest(question=Question(text="How is bleeding on warfarin reversed?"))


def fedrag(*arguments: str) -> dict[str, str]:
    """The operator's command line; what it prints with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "fedrag", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in arguments else {}


def node_command(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "retriever_node", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stderr


@dataclass
class Site:
    """One machine of the federation: a home, and a process that serves from it."""

    home: Path
    module: str
    process: subprocess.Popen[str] | None = None
    url: str = ""

    def serve(self, port: int = 0) -> None:
        command = [sys.executable, "-m", self.module, "serve", "--home", str(self.home), "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = json.loads(self.process.stdout.readline())["url"]

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process.stdout.close()


@dataclass
class Sites:
    """A coordinator with its own TLS, and hospitals that join it with one-time codes."""

    folder: Path
    coordinator: Site = field(init=False)
    key: str = ""
    hospitals: dict[str, Site] = field(default_factory=dict)

    def open(self) -> None:
        home = self.folder / "coordinator"
        options = ("--home", str(home), "--tls", "own", "--json")
        self.key = fedrag("federation", "init", *options)["api_key"]
        config = home / "coordinator.toml"
        config.write_text(config.read_text() + '\n[encoder]\nname = "hashing"\n\n[routing]\nname = "broadcast"\n')
        self.coordinator = Site(home, "fedrag")
        self.coordinator.serve()

    def init(self, name: str) -> Site:
        documents, home = self.folder / "documents" / name, self.folder / name
        documents.mkdir(parents=True)
        (documents / "d.md").write_text(f"# {name}\n\n## Reversal\nAt {name} warfarin bleeding: vitamin K.\n")
        options = ("--home", str(home), "--id", name, "--folder", f"{documents}=protocol", "--encoder", "hashing")
        assert node_command("init", *options)[0] == 0
        assert node_command("ingest", "--home", str(home))[0] == 0
        self.hospitals[name] = Site(home, "retriever_node")
        return self.hospitals[name]

    def invite(self, name: str) -> str:
        return fedrag("federation", "invite", "--home", str(self.coordinator.home), "--id", name, "--json")["code"]

    def join(self, name: str) -> float:
        """From an empty folder to a member that serves; seconds."""
        started = time.monotonic()
        site, port = self.init(name), free_port()
        url = f"https://127.0.0.1:{port}"
        assert self.enroll(name, self.invite(name), url) == (0, "")
        site.serve(port)
        assert site.url == url
        return time.monotonic() - started

    def enroll(self, name: str, code: str, url: str) -> tuple[int, str]:
        home = str(self.hospitals[name].home)
        return node_command(
            "enroll", "--home", home, "--coordinator", self.coordinator.url, "--url", url, "--code", code
        )

    def client(self) -> Client:
        return Client(self.coordinator.url, self.key, authority=self.coordinator.home / "root.crt")

    def ask(self) -> Answer:
        with self.client() as client:
            return client.ask(ASKED)

    def ask_until(self, cited: set[str], within_s: float = 40) -> float:
        """Ask until exactly these hospitals are cited; seconds it took."""
        started = time.monotonic()
        while time.monotonic() - started < within_s:
            if {one.node for one in self.ask().evidence.passages} == cited:
                return time.monotonic() - started
            time.sleep(0.2)
        raise AssertionError(f"not within {within_s} s: {cited}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def serial_shown(url: str, authority: Path) -> bytes:
    """The certificate that a service presents right now."""
    context = ssl.create_default_context(cafile=authority)
    host, port = url.removeprefix("https://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=host) as connection,
    ):
        return connection.getpeercert(binary_form=True)


class Asking(threading.Thread):
    """Questions one after the other, until stopped; every one must be answered."""

    def __init__(self, sites: Sites) -> None:
        super().__init__(daemon=True)
        self.sites, self.answers, self.errors, self.enough = sites, [], [], threading.Event()

    def run(self) -> None:
        with self.sites.client() as client:
            while not self.enough.is_set():
                try:
                    self.answers.append(client.ask(ASKED))
                except FedragError as error:
                    self.errors.append(error.code)

    def __enter__(self) -> "Asking":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join()


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    made = Sites(tmp_path_factory.mktemp("sites"))
    try:
        made.open()
        made.join("north")
        made.ask_until({"north"})
        yield made
    finally:
        for site in (made.coordinator, *made.hospitals.values()):
            site.stop()


def test_a_hospital_joins_while_questions_run(sites) -> None:
    """Every question is answered; after a few seconds the new hospital is cited too."""
    with Asking(sites) as asking:
        sites.join("south")
        sites.ask_until({"north", "south"})
    assert asking.errors == []
    cited = [{one.node for one in answer.evidence.passages} for answer in asking.answers]
    assert (cited[0], cited[-1]) == ({"north"}, {"north", "south"})


def test_certificates_are_renewed_while_questions_run(sites) -> None:
    """The hospital's and the coordinator's: each presented within seconds, no process restarted, no question lost."""
    north, root = sites.hospitals["north"], sites.coordinator.home / "root.crt"
    pids = (north.process.pid, sites.coordinator.process.pid)
    before = serial_shown(sites.coordinator.url, root)
    old = (north.home / "tls.pem").read_bytes()
    with Asking(sites) as asking:
        assert node_command("renew", "--home", str(north.home))[0] == 0
        fedrag("federation", "renew", "--home", str(sites.coordinator.home))
        for _ in range(100):
            if serial_shown(sites.coordinator.url, root) != before:
                break
            time.sleep(0.1)
        time.sleep(3)
    assert serial_shown(sites.coordinator.url, root) != before
    assert (north.home / "tls.pem").read_bytes() != old
    assert asking.errors == []
    assert all(len(answer.evidence.passages) == 2 for answer in asking.answers)
    assert sites.ask().evidence.passages
    assert (north.process.poll(), sites.coordinator.process.poll()) == (None, None)
    assert pids == (north.process.pid, sites.coordinator.process.pid)


def test_a_stranger_does_not_get_through_the_handshake(sites) -> None:
    """Without the coordinator's certificate a hospital's port says nothing, not even that it is healthy."""
    host, port = sites.hospitals["north"].url.removeprefix("https://").split(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=10) as raw,
        context.wrap_socket(raw) as connection,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        first_byte(connection)


def first_byte(connection: ssl.SSLSocket) -> bytes:
    """In TLS 1.3 a caller learns that it was refused when it first reads."""
    connection.sendall(b"GET /health HTTP/1.1\r\nhost: n\r\n\r\n")
    if found := connection.recv(1):
        return found
    raise ConnectionError


def test_codes_are_good_once_for_one_hospital(sites) -> None:
    """A used code, another hospital's code, and a code of another coordinator: told apart, and nothing is pinned."""
    sites.init("east")
    used = sites.invite("east")
    url = "https://127.0.0.1:1"
    sites.init("thief")
    assert "unknown_invitation" in sites.enroll("thief", used, url)[1]
    other = sites.folder / "other-coordinator"
    fedrag("federation", "init", "--home", str(other), "--json")
    foreign = fedrag("federation", "invite", "--home", str(other), "--id", "east", "--json")["code"]
    status, told = sites.enroll("east", foreign, url)
    assert (status, "unknown_invitation" in told) == (4, True)
    status, told = sites.enroll("east", "ABC-DEF", url)
    assert (status, "bad_code" in told) == (2, True)
    assert "coordinators" not in (sites.hospitals["east"].home / "node.toml").read_text()
    assert sites.enroll("east", used, url)[0] == 0
    assert sites.enroll("east", used, url)[0] == 0, "the same hospital may repeat a request whose answer was lost"
    fedrag("federation", "revoke", "--home", str(sites.coordinator.home), "--id", "east")


def test_a_revoked_hospital_is_not_asked_again(sites) -> None:
    """From the very next question on, and its old code lets nobody in."""
    sites.join("west")
    sites.ask_until({"north", "south", "west"})
    fedrag("federation", "revoke", "--home", str(sites.coordinator.home), "--id", "west")
    answer = sites.ask()
    assert [one.node for one in answer.coverage] == ["north", "south"]
    assert {one.node for one in answer.evidence.passages} == {"north", "south"}
