"""One hospital as two processes on one home: when one stalls or dies the other answers, and a release is charged
once."""

from pathlib import Path

import pytest

from fedrag.config import CoordinatorConfig, Limits
from fedrag.core.config import PluginConfig
from fedrag.core.exchange import NodeStatus
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import ReleaseClass
from fedrag.local_federation import LocalFederation
from retriever_node import audit
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.home import NodeHome
from retriever_node.state import NodeState

ASKED = AskRequest(question=Question(text="How is bleeding on warfarin reversed?"))


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
        limits=Limits(deadline_ms=6_000),
    )
    with LocalFederation(tmp_path / "federation", [node], coordinator) as made:
        made.create()
        made.ingest(lambda _done, _all: None)
        (member,) = made.start_nodes()
        home = NodeHome(made.folder / "nodes" / "one")
        made._spawn("replica", ["-m", "retriever_node", "serve", "--home", str(home.folder)])
        urls = (*member.urls, made._ready("replica")["url"])
        made.start_coordinator((member.model_copy(update={"urls": urls}),))
        yield made, home


def test_the_other_replica_answers_and_the_ledger_is_one(federation) -> None:
    """Healthy, one stalled, the stalled one killed: every question is answered with the passage, and the charges and
    the audit chain that both wrote are whole."""
    made, home = federation
    with made.client() as client:
        for trouble in (lambda: None, lambda: made.pause("one"), lambda: made.kill("one")):
            trouble()
            for _ in range(3):
                answer = client.ask(ASKED)
                assert [one.status for one in answer.coverage] == [NodeStatus.ANSWERED]
                assert len(answer.evidence.passages) == 1
    state = NodeState(home.state)
    with state.transaction() as connection:
        charged = connection.execute("SELECT count(*), count(DISTINCT request_id) FROM charges").fetchone()
        lines = list(audit.lines(connection))
    state.close()
    assert charged == (9, 9)
    assert sum('"kind":"release"' in line for line in lines) >= 9
