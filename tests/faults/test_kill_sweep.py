"""A node's process dies of SIGKILL in the middle of its work: nothing acknowledged is lost, nothing deleted comes back.

`benchmarks/kill_sweep.py` does this at 290 points; here at 28 of them, and its oracle is shown to notice.
"""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from retriever_node.home import NodeHome
from retriever_node.store.forms import RedactedForm

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("kill_sweep")


def test_a_node_may_be_killed_at_any_moment() -> None:
    """Every phase, four points each: the table names no miss, and nearly every process really was killed."""
    command = [sys.executable, "kill_sweep.py", "--per-phase", "3", "--moments", "1", "--documents", "8"]
    done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| ([a-z ]+) \| (\d+) \| (\d+) \| (\d+) \| 0 \| none \|$", done.stdout, flags=re.MULTILINE)
    phases = ["ingest", "delete", "compaction", "redaction", "calibration", "index swap", "backup"]
    assert [row[0] for row in rows] == phases
    assert sum(int(row[3]) for row in rows) >= 21


def changed(statement: str) -> Callable[[NodeHome], None]:
    def change(home: NodeHome) -> None:
        with closing(sqlite3.connect(home.passages)) as database, database:
            database.execute("PRAGMA foreign_keys = ON")
            database.execute(statement)

    return change


def cut_off(home: NodeHome) -> None:
    with home.passages.open("r+b") as file:
        file.truncate(40_000)


@pytest.mark.parametrize(
    "damage",
    [
        changed("DELETE FROM documents WHERE document_id = '001.md'"),
        changed("UPDATE documents SET document_id = 'back.md' WHERE document_id = '001.md'"),
        changed("DELETE FROM passages WHERE passage_id = 2"),
        changed("UPDATE passages SET text = replace(text, 'mg', 'ml') WHERE passage_id = 2"),
        cut_off,
    ],
    ids=["lost", "another", "half", "altered", "cut off"],
)
def test_the_sweep_notices(sweep: ModuleType, tmp_path: Path, damage: Callable[[NodeHome], None]) -> None:
    """A lost, a strange, a half and an altered document and a store cut short are misses."""
    phase = next(sweep.phases(tmp_path, 8))
    home = NodeHome(phase.base / "home")
    damage(home)
    assert sweep.misses(phase, home, 0)


@pytest.mark.parametrize("text", ["[]", '["d", "n", "t", "s", "v", "seen by Dr. Quistgaard"]'])
def test_the_sweep_notices_a_form_that_is_another(sweep: ModuleType, tmp_path: Path, text: str, monkeypatch) -> None:
    """One that was put in another's place, its digest made to fit."""
    phase = next(one for one in sweep.phases(tmp_path, 8) if one.name == "redaction")
    home = NodeHome(phase.base / "home")
    phase.action(home)
    assert sweep.misses(phase, home, len(phase.states) - 1) == []
    monkeypatch.setattr(RedactedForm, "sha256", lambda form, number: "right")
    changed(f"UPDATE redacted SET form = '{text}', sha256 = 'right' WHERE passage_id = 2")(home)  # noqa: S608
    assert sweep.misses(phase, home, len(phase.states) - 1)


def test_the_sweep_finds_nothing_where_nothing_is(sweep: ModuleType, tmp_path: Path) -> None:
    """The same home without damage has no miss; with an acknowledgement that nothing was stored for it has one."""
    phase = next(sweep.phases(tmp_path, 8))
    copy = sweep._copied(phase.base, tmp_path / "copy")
    assert sweep.misses(phase, NodeHome(copy / "home"), 0) == []
    assert sweep.misses(phase, NodeHome(phase.base / "home"), 1) == ["another content"]
