"""Stopping a service: it says that it is about to go, finishes what runs, and ends well."""

import signal
import threading
import time
from pathlib import Path

import httpx2
import pytest

from fedrag.config import CoordinatorConfig, Limits
from fedrag.core.config import PluginConfig, ServeConfig
from fedrag.core.exchange import NodeStatus
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import ReleaseClass
from fedrag.local_federation import LocalFederation
from retriever_node.config import CollectionConfig, NodeConfig

DRAIN_S = 1.5


@pytest.fixture
def federation(tmp_path: Path):
    hospitals = []
    for name in ("quick", "stalled"):
        source = tmp_path / "documents" / name
        source.mkdir(parents=True)
        (source / "d.md").write_text("# D\n\n## S\nBleeding on warfarin is reversed with vitamin K.\n")
        folder = CollectionConfig(id="d", folder=source, release_class=ReleaseClass.PROTOCOL)
        hashing = PluginConfig(name="hashing")
        hospitals.append(NodeConfig(node=name, name=name, encoder=hashing, collections=(folder,)))
    coordinator = CoordinatorConfig(
        coordinator="test",
        encoder=PluginConfig(name="hashing"),
        routing=PluginConfig(name="broadcast"),
        limits=Limits(deadline_ms=8_000),
        serve=ServeConfig(drain_s=DRAIN_S),
    )
    with LocalFederation(tmp_path / "federation", hospitals, coordinator) as made:
        made.create()
        made.ingest(lambda _done, _all: None)
        made.start()
        yield made


def test_a_running_question_is_finished_and_the_balancer_warned(federation) -> None:
    """A stalled hospital keeps the question waiting; SIGTERM comes meanwhile. Ready turns 503 and requests are still
    taken, the question is answered in full, the process ends with 0."""
    process = federation._processes["coordinator"]
    answers = []

    def ask() -> None:
        with federation.client() as client:
            answers.append(client.ask(AskRequest(question=Question(text="How is bleeding on warfarin reversed?"))))

    federation.pause("stalled")
    asking = threading.Thread(target=ask)
    with httpx2.Client(base_url=federation.url, trust_env=False) as probe:
        assert probe.get("/health/ready").status_code == 200
        asking.start()
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        ready = probe.get("/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "draining")
        assert probe.get("/health/live").status_code == 200
    asking.join(20)
    (answer,) = answers
    assert {one.node: one.status for one in answer.coverage} == {
        "quick": NodeStatus.ANSWERED,
        "stalled": NodeStatus.TIMED_OUT,
    }
    assert answer.evidence.passages
    assert process.wait(20) == 0
