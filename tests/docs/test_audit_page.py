"""docs/audit.md names every kind of line that the node writes, and every field of one."""

import re
from dataclasses import fields
from pathlib import Path

from retriever_node.audit import AuditEvent
from retriever_node.review import State

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
_KIND = re.compile(r'(?:audit\.note\(\s*connection,|_event\(|\bkind=|_log\(connection,|_note\([^,"]*,)\s*"([a-z_]+)"')


def test_every_kind_of_line_has_a_row() -> None:
    """A kind that nobody can look up tells nobody anything. The control: the oldest kinds are among those found."""
    found = {f"review_{state}" for state in State if state is not State.PENDING}
    for path in sorted((ROOT / "retriever_node").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "audit" in text:
            found |= set(_KIND.findall(text))
    assert {"offers", "release", "policy", "ingest", "restored"} <= found
    rows = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`[^|]+) \|", PAGE, flags=re.MULTILINE))))
    assert found - rows == set()


def test_every_field_of_a_line_is_explained() -> None:
    """By name."""
    assert [one.name for one in fields(AuditEvent) if f"`{one.name}`" not in PAGE] == []
