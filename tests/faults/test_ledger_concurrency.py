"""Many askers, several processes, all killed in the middle of it: no quota is exceeded, nothing acknowledged is lost.

`benchmarks/ledger_concurrency.py` does this with a hundred kills; here with sixteen, and its oracle is shown to notice.
"""

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("ledger_concurrency")


def test_no_quota_is_exceeded_and_nothing_acknowledged_is_lost(benchmark: ModuleType, tmp_path: Path) -> None:
    """The benchmark itself, small: no violation, processes really were killed, and the quotas really were reached."""
    kills, _ = benchmark.killed(tmp_path, processes=4, askers=64, requests=200, rounds=4, seed=1)
    assert kills >= 8
    benchmark.work(tmp_path / "state.sqlite", _told(tmp_path), range(64), 12, 99)
    assert benchmark.violations(tmp_path) == []
    assert len(benchmark.acknowledged(tmp_path)) > 100
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as database:
        (charged,) = database.execute("SELECT count(*) FROM charges").fetchone()
    assert charged > benchmark.GRANTED.per_project_per_day - benchmark.PER_REQUEST


def _told(folder: Path) -> int:
    return os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def changed(statement: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "state.sqlite")) as database, database:
            database.execute(statement)

    return change


def forgot(folder: Path) -> None:
    """The whole end of the log is gone, and what it says of its charges."""
    with closing(sqlite3.connect(folder / "state.sqlite")) as database, database:
        database.execute("DELETE FROM audit WHERE position > 3")


@pytest.mark.parametrize(
    ("damage", "noticed"),
    [
        (lambda _folder: None, ""),
        (changed("DELETE FROM charges WHERE asker = 'asker3'"), "a line without its charge"),
        (forgot, "acknowledged and not in the log"),
        (changed("UPDATE charges SET asker = 'asker3' WHERE asker = 'asker4'"), "charged without a line"),
        (changed("UPDATE audit SET event = replace(event, 'hub', 'bus') WHERE position = 2"), "audit_broken"),
        (
            changed(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) "
                "INSERT INTO charges SELECT 'hub', 'asker3', 'more' || i, i, 'records', 'study', 20450, 1 FROM n"
            ),
            "asker3 was given",
        ),
    ],
    ids=["nothing", "lost charge", "lost line", "another asker", "changed line", "over quota"],
)
def test_the_oracle_notices(benchmark: ModuleType, tmp_path: Path, damage, noticed: str) -> None:
    """A lost charge, a lost line, a charge moved to another asker and one too many are violations."""
    benchmark.work(tmp_path / "state.sqlite", _told(tmp_path), range(8), 6, 1)
    damage(tmp_path)
    found = benchmark.violations(tmp_path)
    assert bool(found) == bool(noticed), found
    assert any(re.match(noticed, one) for one in found) or not noticed
