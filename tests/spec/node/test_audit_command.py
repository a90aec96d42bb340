"""`fedrag-node audit` and `trust-clock`: what they print is what is in the node's memory."""

import hashlib
import json
import time
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedrag.core.config import PluginConfig
from retriever_node import audit, ledger
from retriever_node.cli import app
from retriever_node.config import NodeConfig, QuotaConfig
from retriever_node.handles import Recipient
from retriever_node.home import NodeHome, create_node
from retriever_node.ledger import Disclosure
from retriever_node.state import NodeState

RELEASED = audit.AuditEvent(
    at="2026-03-04T05:06:07+00:00",
    kind="release",
    request_id="0" * 32,
    asker="a" * 32,
    purpose="treatment",
    coordinator="hub",
    processor="m@coordinator",
    passages=(7, 9),
    text_bytes=1234,
    project="study",
)


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    place = NodeHome(tmp_path / "node")
    create_node(place, NodeConfig(node="heart", name="Heart", encoder=PluginConfig(name="hashing")))
    with closing(NodeState(place.state)) as state, state.transaction() as connection:
        audit.note(connection, "ingest", 1_772_000_000, collection="d", figures={"added": 3})
        audit.append(connection, RELEASED)
    return place


def run(home: NodeHome, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--home", str(home.folder)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_lines_as_they_are_chained(home: NodeHome) -> None:
    """As docs/audit.md says: whoever has the printed lines can compute every head that `export` prints."""
    head, lines = hashlib.sha256(b"fedrag audit").hexdigest(), run(home, "audit").splitlines()
    exported = [json.loads(line) for line in run(home, "audit", "export").splitlines()]
    for position, (line, entry) in enumerate(zip(lines, exported, strict=True), start=1):
        head = hashlib.sha256(f"{head}{line}".encode()).hexdigest()
        assert (entry.pop("position"), entry.pop("head")) == (position, head)
        assert json.dumps(entry, separators=(",", ":"), sort_keys=True) == line
    assert json.loads(run(home, "audit", "verify", "--json"))["head"] == head


def test_for_people_and_of_some_days(home: NodeHome) -> None:
    """A sentence has who, what, how much, to whom; days are chosen by date."""
    (told,) = run(home, "audit", "export", "--for-people", "--from", "2026-03-01", "--until", "2026-03-04").splitlines()
    for part in (
        "2026-03-04 05:06:07",
        "release",
        "treatment",
        "hub",
        "2 passages, 1234 bytes",
        "m@coordinator",
        "study",
    ):
        assert part in told
    assert "added 3" in run(home, "audit", "export", "--for-people")
    assert run(home, "audit", "export", "--from", "2026-03-05") == ""


def test_a_trusted_clock_is_a_line(home: NodeHome) -> None:
    """What was charged to days to come counts for today, and the log says that somebody said so."""
    quota, who, now_s = QuotaConfig(), Recipient("a", "treatment", "hub", "r"), time.time()
    with closing(NodeState(home.state)) as state, state.transaction() as connection:
        ledger.charge(connection, who, [Disclosure("d", 1, 9), Disclosure("d", 2, 9)], quota, now_s + 40 * 86_400)
    assert "2 charges" in run(home, "trust-clock")
    with closing(NodeState(home.state)) as state, state.transaction() as connection:
        ledger.charge(connection, who, [Disclosure("d", 3, 9)], quota, now_s)
    line = json.loads(run(home, "audit").splitlines()[-1])
    assert (line["kind"], line["figures"]) == ("clock_trusted", {"charges": 2})
