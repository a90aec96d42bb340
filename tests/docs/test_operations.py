"""Every metric that exists is documented and every one that a board or a page names exists; the same for log events."""

import ast
import json
import re
from pathlib import Path

import httpx2
import pytest

from fedrag.api.app import create_app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def families(exposition: str) -> set[str]:
    """Names of our own metrics, as they are queried: without what a histogram or counter adds per sample."""
    names = re.findall(r"^# TYPE (fedrag\S+) \S+$", exposition, flags=re.MULTILINE)
    return {name for name in names if not name.endswith("_created")}


@pytest.fixture
async def exposed(workshop, tmp_path) -> set[str]:
    """What both services really say."""
    hospital = workshop.hospital("heart", {"d.md": "# D\n\n## S\nWarfarin is reversed with vitamin K.\n"})
    coordinator = workshop.coordinator(hospital.remote)
    app = create_app(coordinator, tmp_path / "feedback.sqlite")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api") as client:
        told = (await client.get("/metrics")).text
    return families(told + (await hospital.remote.client.get("http://heart/metrics")).text)


async def test_every_metric_has_a_row(exposed) -> None:
    """Exactly those that exist."""
    documented = set(re.findall(r"`(fedrag_[a-z_]+)`", PAGE))
    assert documented == exposed | {"fedrag_certificate_expiry_timestamp_seconds"}


async def test_the_board_and_the_runbook_ask_for_metrics_that_exist(exposed) -> None:
    """A panel whose metric was renamed would stay empty and look like peace."""
    board = json.loads((ROOT / "docker" / "monitoring" / "fedrag.json").read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel.get("targets", ()))
    asked += (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    known = exposed | {"fedrag_certificate_expiry_timestamp_seconds"}
    named = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\bfedrag_[a-z_]+", asked)}
    assert named
    assert named <= known


def test_every_log_event_has_a_row() -> None:
    """Found in the source: the first argument of each call of a logger."""
    events = set()
    for package in ("fedrag", "retriever_node", "router", "aggregator", "reasoner"):
        for path in (ROOT / package).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Attribute)
                    and isinstance(call.func.value, ast.Name)
                    and call.func.value.id == "_log"
                ):
                    events.add(call.args[0].value)
    rows = set(re.findall(r"^\| `([a-z_]+)`", PAGE, flags=re.MULTILINE))
    assert events == {row for row in rows if not row.startswith("fedrag_")}
