"""`fedrag statistics` tells what hospitals counted together, without a term."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from typer.testing import CliRunner

from fedrag.cli import app
from fedrag.config import CoordinatorConfig, StatisticsConfig
from fedrag.core.statistics import SharedStatistics
from fedrag.home import CoordinatorHome, create_coordinator
from fedrag.kept_statistics import KeptStatistics, StatisticsFile

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
COUNTED = SharedStatistics.of(
    "0" * 32, "1" * 64, ("ashford", "birch", "cedar"), np.array([9, 70, 4, 0, 9], dtype=np.uint64)
)


@pytest.fixture
def home(tmp_path):
    place = CoordinatorHome(tmp_path / "coordinator")
    config = CoordinatorConfig(coordinator="c", encoder={"name": "hashing"}, statistics=StatisticsConfig(share=False))
    create_coordinator(place, config)
    return place


def run(*arguments):
    return CliRunner().invoke(app, ["statistics", *arguments])


def test_nothing_was_counted(home) -> None:
    """As long as there is no file, or one that was altered."""
    assert "have not counted" in run("show", "--home", str(home.folder)).output
    StatisticsFile(home.statistics).write(KeptStatistics(shared=COUNTED, made_at=NOON))
    altered = home.statistics.read_text().replace("cedar", "dales")
    home.statistics.write_text(altered)
    assert "have not counted" in run("show", "--home", str(home.folder)).output


def test_what_was_counted_and_who_has_it(home) -> None:
    """Numbers by hand; the file is its owner's only."""
    StatisticsFile(home.statistics).write(
        KeptStatistics(shared=COUNTED, made_at=NOON, adopted={"birch": NOON, "dale": NOON})
    )
    assert home.statistics.stat().st_mode & 0o077 == 0
    told = json.loads(run("show", "--home", str(home.folder), "--json").output)
    assert (told["epoch"], told["passages"], told["terms"], told["terms_found"]) == (COUNTED.epoch, 9, 3, 2)
    assert told["hospitals"] == ["ashford", "birch", "cedar"]
    assert told["adopted"].keys() == {"birch", "dale"}
    lines = run("show", "--home", str(home.folder)).output.splitlines()
    assert "9 passages, 2 of 3 terms found" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["ashford", "birch", "cedar", "dale"]
    assert "does not have it yet" in lines[1]
    assert "joined later" in lines[4]


def test_where_it_is_switched_off_it_is_not_run(home) -> None:
    """By its code."""
    assert run("run", "--home", str(home.folder)).exception.code == "statistics_off"
