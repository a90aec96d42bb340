"""`fedrag model learn` makes the table that the reasoner `routed` reads. Oracle: sums counted by hand."""

import json

import pytest
from typer.testing import CliRunner

from fedrag.cli import app
from fedrag.encoders import ENCODERS
from reasoner.model_choice import load

HEART, SKIN = "warfarin dose for the heart", "eczema cream for the skin"


def line(question, model, correct, cost) -> str:
    return json.dumps({"question": question, "model": model, "correct": correct, "cost": cost})


def learn(output, *arguments):
    return CliRunner().invoke(
        app, ["model", "learn", *map(str, arguments), "--encoder", "hashing", "--output", str(output)]
    )


@pytest.fixture
def logs(tmp_path):
    """North asked `plain`, which knows the heart; south asked `dear`, which knows both."""
    north, south = tmp_path / "north.jsonl", tmp_path / "south.jsonl"
    north.write_text("\n".join([line(HEART, "plain", True, 1)] * 60 + [line(SKIN, "plain", False, 1)] * 60) + "\n")
    south.write_text("\n".join([line(one, "dear", 1.0, 5.0) for one in (HEART, SKIN) * 60]))
    return north, south


def test_a_table_is_learned_from_the_logs_of_several(logs, tmp_path) -> None:
    """Its sums are those of the files, its choice what they show."""
    table = tmp_path / "models.json"
    done = learn(table, *logs)
    assert done.exit_code == 0, done.output
    made = load(table)
    assert made.models == ("plain", "dear")
    assert made.asked.sum(axis=0).tolist() == [120, 120]
    assert made.right.sum(axis=0).tolist() == [60, 120]
    assert made.cost.sum(axis=0).tolist() == [120, 600]
    queries = ENCODERS.build("hashing").encode_queries([HEART, SKIN])
    assert made.expected(queries).order(0.05)[:, 0].tolist() == [0, 1]
    assert "plain" in done.output
    assert HEART.split()[0] not in table.read_text() + done.output


def test_a_model_that_is_new_is_added_to_a_table(logs, tmp_path) -> None:
    """Cells stay where they were."""
    table, more = tmp_path / "models.json", tmp_path / "more.jsonl"
    learn(table, *logs)
    before = load(table)
    more.write_text(line(SKIN, "new", 0.5, 2))
    assert learn(table, more, "--onto", table).exit_code == 0
    after = load(table)
    assert after.models == ("plain", "dear", "new")
    assert (after.centres == before.centres).all()
    assert after.right.sum(axis=0).tolist() == [60, 120, 0.5]


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", line(HEART, "plain", 2, 1), line(HEART, "plain", True, -1), json.dumps({"question": HEART})],
    ids=["nothing", "no JSON", "more than right", "a gift", "no model"],
)
def test_a_log_that_is_none_is_refused_without_repeating_it(text, tmp_path) -> None:
    """The line and the field are named, nothing is written."""
    log = tmp_path / "log.jsonl"
    log.write_text(text)
    done = learn(tmp_path / "models.json", log)
    assert done.exit_code != 0
    assert "warfarin" not in done.output
    assert not (tmp_path / "models.json").exists()
