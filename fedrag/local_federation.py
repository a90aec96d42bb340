"""A whole federation on this machine: every hospital and the coordinator a process of its own, on loopback.

What the demo shows and evaluations measure is the product itself, spoken to over HTTP.
"""

import hashlib
import json
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2

from fedrag.client import Client
from fedrag.config import ApiKey, CoordinatorConfig
from fedrag.core.config import write_toml
from fedrag.core.errors import Unavailable
from fedrag.core.identity import Purpose
from fedrag.core.wire import NodeId
from fedrag.home import CoordinatorHome, create_coordinator, issuer_name
from fedrag.kept_trust import TrustStore
from fedrag.members import Member, MemberRegistry
from retriever_node.config import CoordinatorConfig as PinnedCoordinator
from retriever_node.config import IssuerConfig, NodeConfig
from retriever_node.home import NodeHome, create_node

ASKER: Final = "demo-clinician"
_START_S: Final = 60.0
_STOP_S: Final = 10.0
_LOOK_S: Final = 0.2
_SETTLE_S: Final = 300.0


@dataclass(slots=True)
class LocalFederation:
    """Use as a context manager; on leaving, every process it started is stopped.

    Args:
        folder: where homes and logs go; kept afterwards.
        hospitals: node configurations; the coordinator's key and issuer are pinned in them here.
        coordinator: its configuration; members and an API key are added here.
    """

    folder: Path
    hospitals: Sequence[NodeConfig]
    coordinator: CoordinatorConfig
    url: str = ""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    _processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def create(self) -> None:
        """Make every home, or leave one alone that is there already, with all it has ingested."""
        if self.home.config.exists():
            return
        signer, issuer = create_coordinator(self.home, self.coordinator)
        pinned = PinnedCoordinator(id=self.coordinator.coordinator, public_key=signer.public_key)
        issuers = (IssuerConfig(name=issuer_name(self.coordinator.coordinator), public_key=issuer.public_key),)
        for hospital in self.hospitals:
            enrolled = hospital.model_copy(update={"coordinators": (pinned,), "issuers": issuers})
            create_node(self._node_home(hospital.node), enrolled)

    def ingest(self, told: Callable[[int, int], None], workers: int = 2) -> None:
        """Every hospital reads its own folders, `workers` at a time. `told` gets (hospitals done, hospitals)."""

        def one(node: NodeId) -> None:
            home = self._node_home(node)
            with self._log(f"{node}-ingest").open("w") as log:
                done = subprocess.run(
                    [sys.executable, "-m", "retriever_node", "ingest", "--home", str(home.folder)],
                    stdout=log,
                    stderr=log,
                    check=False,
                )
            if done.returncode:
                raise Unavailable(f"ingest at {node} ended with {done.returncode}; see {self._log(f'{node}-ingest')}")

        told(0, len(self.hospitals))
        with ThreadPoolExecutor(workers) as pool:
            for done, _ in enumerate(pool.map(one, [hospital.node for hospital in self.hospitals]), start=1):
                told(done, len(self.hospitals))

    def start(self, *, settle: bool = True) -> None:
        """Start all hospitals, then the coordinator that knows them by the keys they announced. `settle`: return when
        all hospitals that can count together score with what they counted, so that answers do not depend on when they
        are asked for."""
        self.start_coordinator(self.start_nodes())
        if settle:
            self._settle()

    def start_nodes(self) -> tuple[Member, ...]:
        for hospital in self.hospitals:
            home = self._node_home(hospital.node)
            self._spawn(hospital.node, ["-m", "retriever_node", "serve", "--home", str(home.folder)])
        ready = [self._ready(hospital.node) for hospital in self.hospitals]
        return tuple(Member(id=one["node"], urls=(one["url"],), public_key=one["public_key"]) for one in ready)

    def start_coordinator(self, nodes: Sequence[Member]) -> None:
        key = ApiKey(name=ASKER, sha256=hashlib.sha256(self.key.encode()).hexdigest(), purpose=Purpose.TREATMENT)
        write_toml(self.home.config, self.coordinator.model_copy(update={"api_keys": (key,)}))
        registry = MemberRegistry(self.home.members)
        for node in nodes:
            registry.put(node, time.time())
        registry.close()
        known = TrustStore(self.home.trust)
        for node in nodes:
            known.declare(node.id, vouch=True)
        known.close()
        self._spawn("coordinator", ["-m", "fedrag", "serve", "--home", str(self.home.folder)])
        self.url = self._ready("coordinator")["url"]

    def client(self) -> Client:
        return Client(self.url, self.key)

    def stop_coordinator(self) -> None:
        """So that another one, configured otherwise, can be started with the same hospitals."""
        process = self._processes.pop("coordinator")
        process.terminate()
        process.wait(_STOP_S)
        self._close_pipes(process)

    def kill(self, name: str) -> None:
        """End one process at once, as a crash would."""
        process = self._processes[name]
        process.kill()
        process.wait(_STOP_S)

    def restart(self, member: Member) -> None:
        """Start a hospital again that was killed, at the address its federation knows."""
        _, _, port = member.urls[0].rpartition(":")
        self._close_pipes(self._processes[member.id])
        arguments = ["-m", "retriever_node", "serve", "--home", str(self._node_home(member.id).folder)]
        self._spawn(member.id, arguments, int(port))
        self._ready(member.id)

    def pause(self, name: str) -> None:
        """Stop a process from running while its port stays open: a hospital that hangs."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a paused process run on."""
        self._processes[name].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOP_S)
            self._close_pipes(process)
        self._processes.clear()

    @staticmethod
    def _close_pipes(process: subprocess.Popen[str]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def home(self) -> CoordinatorHome:
        return CoordinatorHome(self.folder / "coordinator")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _settle(self) -> None:
        until_s = time.monotonic() + _SETTLE_S
        with httpx2.Client(trust_env=False, base_url=self.url) as client:
            while time.monotonic() < until_s:
                told = client.get("/health").json()["statistics"]
                if told is None or (told["looked"] and told["in_use"] == told["counting"]):
                    return
                time.sleep(_LOOK_S)

    def _node_home(self, node: NodeId) -> NodeHome:
        return NodeHome(self.folder / "nodes" / node)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _spawn(self, name: str, arguments: Sequence[str], port: int = 0) -> None:
        with self._log(name).open("w") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *arguments, "--port", str(port), "--with-parent"],
                stdin=subprocess.PIPE,  # never written to: it ends when this process does, however it does
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def _ready(self, name: str) -> dict[str, str]:
        """The line a process prints when it listens."""
        process = self._processes[name]
        watchdog = threading.Timer(_START_S, process.kill)
        watchdog.start()
        try:
            for line in process.stdout or ():
                if line.startswith("{"):
                    ready: dict[str, str] = json.loads(line)
                    return ready
        finally:
            watchdog.cancel()
        raise Unavailable(f"{name} did not start; see {self._log(name)}", code="not_started")
