"""The owner's file and switch, against real node processes: whatever is decided holds at the next question."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from fedrag.config import CoordinatorConfig, Limits
from fedrag.core.config import PluginConfig
from fedrag.core.exchange import NodeStatus
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import ReleaseClass
from fedrag.local_federation import LocalFederation
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.home import NodeHome

ASKED = AskRequest(question=Question(text="How is bleeding on warfarin reversed?", language="en"))


@pytest.fixture
def federation(tmp_path: Path):
    source = tmp_path / "documents"
    source.mkdir()
    (source / "d.md").write_text("# D\n\n## S\nBleeding on warfarin is reversed with vitamin K.\n")
    folder = CollectionConfig(id="d", folder=source, release_class=ReleaseClass.PROTOCOL)
    hashing = PluginConfig(name="hashing")
    node = NodeConfig(node="one", name="One", encoder=hashing, collections=(folder,))
    coordinator = CoordinatorConfig(
        coordinator="test",
        encoder=hashing,
        routing=PluginConfig(name="broadcast"),
        limits=Limits(deadline_ms=30_000),
    )
    with LocalFederation(tmp_path / "federation", [node], coordinator) as made:
        made.create()
        made.ingest(lambda _done, _all: None)
        (member,) = made.start_nodes()
        made.start_coordinator((member,))
        yield made, NodeHome(made.folder / "nodes" / "one"), member


def owner(home: NodeHome, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "retriever_node", *command, "--home", str(home.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_the_owner_decides_holds_at_the_next_question(federation) -> None:
    """Answered; stopped, also after the process was killed and started again; resumed; a mistake in the file, which the
    process's log names with its line; mended; denied to everyone."""
    made, home, member = federation
    rules = home.policy.read_text(encoding="utf-8")
    with made.client() as client:

        def asked() -> tuple[NodeStatus, str | None, int]:
            answer = client.ask(ASKED)
            (outcome,) = answer.coverage
            return outcome.status, outcome.code, len(answer.evidence.passages)

        answered = (NodeStatus.ANSWERED, None, 1)
        assert asked() == answered
        owner(home, "stop-releasing", "--reason", "an incident")
        assert asked() == (NodeStatus.REFUSED, "releasing_stopped", 0)
        made.kill("one")
        made.restart(member)
        until_s = time.monotonic() + 60
        while asked()[0] is NodeStatus.SUSPENDED and time.monotonic() < until_s:  # it was dead a moment ago
            time.sleep(0.5)
        assert asked() == (NodeStatus.REFUSED, "releasing_stopped", 0)
        owner(home, "resume-releasing")
        assert asked() == answered
        home.policy.write_text(f"{rules}\nrolls = 1\n", encoding="utf-8")
        assert asked() == (NodeStatus.REFUSED, "policy_unreadable", 0)
        log = (made.folder / "one.log").read_text(encoding="utf-8")
        line = rules.count("\n") + 2
        assert f"line {line}: unknown key 'rolls'" in log
        home.policy.write_text(rules, encoding="utf-8")
        assert asked() == answered
        home.policy.write_text("version = 1\n", encoding="utf-8")
        assert asked() == (NodeStatus.ANSWERED, None, 0)
