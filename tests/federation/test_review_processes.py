"""The release queue, every party a process of its own: asked, approved on the command line, node killed, completed."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedrag.cli import app as asker_line
from fedrag.config import AwaitingConfig, CoordinatorConfig, Limits
from fedrag.core.answer import Answer
from fedrag.core.config import PluginConfig
from fedrag.core.exchange import NodeStatus
from fedrag.core.wire import ReleaseClass
from fedrag.local_federation import LocalFederation
from retriever_node.cli import app as node_line
from retriever_node.config import CollectionConfig, NodeConfig, ReviewConfig

OPEN = "# Warfarin\n\n## Reversal\nMajor bleeding on warfarin is reversed with vitamin K 10 mg by vein.\n"
HELD = "# Letter about Mr. Vennerholm\n\n## Course\nMajor bleeding on warfarin of Mr. Vennerholm: reversed by plasma.\n"
POLICY = """
version = 1
[[rules]]
name = "by-hand"
classes = ["patient"]
purposes = ["treatment"]
release = "redacted"
review = true
[rules.quota]
share_per_30_days = 1.0
"""
QUESTION = "How is major bleeding on warfarin reversed?"


@pytest.fixture
def federation(tmp_path: Path):
    hospitals = []
    for name, release_class, text in (
        ("open", ReleaseClass.PROTOCOL, OPEN),
        ("clinic", ReleaseClass.PATIENT, HELD),
    ):
        source = tmp_path / "documents" / name
        source.mkdir(parents=True)
        (source / "d.md").write_text(text, encoding="utf-8")
        hospitals.append(
            NodeConfig(
                node=name,
                name=name,
                encoder=PluginConfig(name="hashing"),
                collections=(CollectionConfig(id="documents", folder=source, release_class=release_class),),
                review=ReviewConfig(probability=0.02),
            )
        )
    coordinator = CoordinatorConfig(
        coordinator="test",
        encoder=PluginConfig(name="hashing"),
        routing=PluginConfig(name="broadcast"),
        reasoner=PluginConfig(name="extractive", settings={"abstain_below": 0.0}),
        limits=Limits(deadline_ms=20_000),
        awaiting=AwaitingConfig(every_s=0.1),
    )
    with LocalFederation(tmp_path / "federation", hospitals, coordinator) as made:
        made.create()
        (tmp_path / "federation" / "nodes" / "clinic" / "policy.toml").write_text(POLICY, encoding="utf-8")
        made.ingest(lambda done, total: None)
        members = made.start_nodes()
        made.start_coordinator(members)
        yield made, {one.id: one for one in members}


def said(app, *arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def test_what_somebody_approves_completes_the_answer_after_a_kill(federation) -> None:
    """No name and no word of the record before; after approval, with the node killed and started again in between, the
    redacted passage is cited, and the audit log and the ledger tell of it."""
    federation, members = federation
    there = ("--url", federation.url, "--key", federation.key)
    home = ("--home", str(federation.folder / "nodes" / "clinic"))
    first = Answer.model_validate_json(said(asker_line, "ask", QUESTION, *there, "--reason", "Bleeding", "--json"))
    assert next(one for one in first.coverage if one.node == "clinic").status is NodeStatus.AWAITING_RELEASE
    assert "plasma" not in first.model_dump_json()
    shown = said(asker_line, "answer", first.id, *there)
    assert f"fedrag answer {first.id}" in " ".join(shown.replace("│", " ").split())
    listed = said(node_line, "review", "list", *home)
    assert QUESTION in listed
    seen = said(node_line, "review", "show", "1", *home)
    assert "plasma" in seen
    assert "Vennerholm" not in seen
    assert re.search(r"reason: +Bleeding", seen)
    said(node_line, "review", "approve", "1", "--passages", "1", "--by", "Dr. Amsel", *home)
    federation.kill("clinic")
    waiting = Answer.model_validate_json(said(asker_line, "answer", first.id, *there, "--json"))
    assert waiting == first
    federation.restart(members["clinic"])
    after = Answer.model_validate_json(said(asker_line, "answer", first.id, *there, "--json"))
    (new,) = [one for one in after.evidence.passages if one.node == "clinic"]
    assert "plasma" in new.passage.text
    assert "Vennerholm" not in after.model_dump_json()
    assert any(new.number in step.citations for step in after.steps)
    assert after.completed.released == ("clinic",)
    assert "Completed with what clinic released" in said(asker_line, "answer", first.id, *there)
    kinds = [json.loads(line)["kind"] for line in said(node_line, "audit", "export", *home).splitlines()]
    assert [one for one in kinds if one in ("review_queued", "review_approved", "release")] == [
        "review_queued",
        "review_approved",
        "release",
    ]
    assert "fetched: 1" in said(node_line, "review", "stats", *home)
