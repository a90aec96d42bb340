"""Hospitals that replay recorded chains of thought, as real processes through the live API.

Oracle: the same votes, made in this process by the evaluation's own functions.
"""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedrag import terminal
from fedrag.config import CoordinatorConfig
from fedrag.core.config import PluginConfig
from fedrag.core.errors import ConfigError, InputError
from fedrag.core.wire import ReleaseClass
from fedrag.evaluation.recorded_votes import answers, fera
from fedrag.evaluation.recordings import RecordedAnswer, RecordedQuestion, RecordedTask
from fedrag.evaluation.run import Half, Run
from fedrag.evaluation.suites.mirage_traces import CALIBRATED, FERA, chosen, node_of, serve
from reasoner.training.fit_votes import Judged, fit_votes
from retriever_node.assemble import assemble, assemble_reasoning
from retriever_node.backup import backup, restore
from retriever_node.cli import app
from retriever_node.config import CollectionConfig, NodeConfig, TracesConfig
from retriever_node.demonstrations import load
from retriever_node.home import NodeHome, create_node

ARMS = ("arm_one", "arm_three")
OPTIONS = {"A": "aspirin", "B": "bisoprolol"}


def question(number: int) -> RecordedQuestion:
    """arm_one is always right, arm_three never, and chooses nothing where it admits a gap; texts carry what a
    redactor takes out."""
    right = "AB"[number % 2]
    wrong = "BA"[number % 2]
    gap = number % 3 == 0
    said = {
        "arm_one": RecordedAnswer(right, "The documents do not mention it." if number % 4 == 0 else "Clear."),
        "arm_three": RecordedAnswer(None if gap else wrong, "No information." if gap else "Surely."),
    }
    text = f"On 3 May 2021 Mr. Smith (case {number}) asks: which one?"
    return RecordedQuestion(f"set-{number}", "set", text, OPTIONS, said)


@pytest.fixture(scope="module")
def task() -> RecordedTask:
    asked = tuple(map(question, range(60)))
    gold = {one.id: one.answers["arm_one"].choice or "" for one in asked}
    return RecordedTask("mirage-traces", asked, gold, "arm_one", ARMS, ARMS)


def test_answers_over_http_are_those_of_one_process(task: RecordedTask, tmp_path: Path) -> None:
    """Four questions, both votes: choice and confidence to the last digit; every hospital reasoned, no passage left,
    and the signals are named."""
    run = Run(None, None, Half.ALL, tmp_path / "runs", terminal.progress, "test")
    asked = chosen(task, 4, 0)
    assert len(asked) == 4
    served = serve(task, asked, tmp_path, run)
    others = [one for one in task.questions if one.id not in {found.id for found in chosen(task, 60, 0)}]
    model = fit_votes(ARMS, [Judged(answers(one), one.options, task.gold[one.id]) for one in others])
    for one in asked:
        of = model.probabilities(answers(one), one.options)
        best = max(of, key=lambda option: (of[option], option))
        calibrated, raw = served[CALIBRATED][one.id], served[FERA][one.id]
        assert (calibrated.vote.choice, calibrated.vote.confidence) == (best, pytest.approx(of[best], abs=1e-12))
        expected = fera(one)
        assert (raw.vote.choice, raw.vote.confidence) == (
            expected.choice,
            pytest.approx(expected.confidence, abs=1e-12),
        )
        assert best == task.gold[one.id]
        for reply in (calibrated, raw):
            assert reply.hospitals == 2
            assert reply.answer.evidence.passages == ()
            assert {chain.node: chain.choice for chain in reply.answer.chains} == {
                node_of(arm): said.choice for arm, said in one.answers.items()
            }
        assert calibrated.answer.reasoner.signals[0] == "judged_votes"
        assert "Smith" not in calibrated.answer.model_dump_json()


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.md").write_text("# A\n\nAdults take 5 mg.\n")
    traces = TracesConfig.model_validate(
        {
            "reasoner": {"name": "model", "settings": {"backend": {"name": "extractive"}}},
            "demonstrations_class": "patient",
        }
    )
    collection = CollectionConfig(id="documents", folder=tmp_path / "documents", release_class=ReleaseClass.PUBLIC)
    encoder = PluginConfig(name="hashing")
    made = NodeHome(tmp_path / "node")
    create_node(made, NodeConfig(node="north", name="North", encoder=encoder, collections=(collection,), traces=traces))
    return made


def test_demonstrations_are_taken_in_redacted_and_backed_up(home: NodeHome, tmp_path: Path) -> None:
    """Of class `patient`: identifiers are gone from every part, the file is the owner's alone, the log tells how many;
    a second file takes the place of the first, one with a mistake does not."""
    from datetime import UTC, datetime

    file = tmp_path / "worked.jsonl"
    line = {"question": "Mr. Vennerholm, ada@example.org?", "trace": "Call 555-302-9944.", "answer": "5 mg"}
    file.write_text(json.dumps(line) + "\n\n")
    command = ["ingest", "--home", str(home.folder), "--demonstrations", str(file), "--json"]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout) == {"kept": 1, "withheld": 0}
    (kept,) = load(home.demonstrations)
    assert not any(word in kept.text for word in ("Vennerholm", "ada@example.org", "9944"))
    assert kept.answer == "5 mg"
    assert home.demonstrations.stat().st_mode & 0o077 == 0
    with sqlite3.connect(home.state) as connection:
        (event,) = connection.execute("SELECT event FROM audit ORDER BY position DESC LIMIT 1").fetchone()
    assert json.loads(event)["kind"] == "demonstrations"
    assert json.loads(event)["figures"] == {"kept": 1, "withheld": 0}
    backup(home, tmp_path / "backup", datetime.now(UTC))
    restore(tmp_path / "backup", NodeHome(tmp_path / "again"), datetime.now(UTC))
    assert load(NodeHome(tmp_path / "again").demonstrations) == (kept,)
    file.write_text(json.dumps(line) + '\n{"trace": 3}\n')
    ran = CliRunner().invoke(app, command)
    assert isinstance(ran.exception, InputError)
    assert (ran.exception.code, "line 2" in ran.exception.message) == ("bad_demonstration", True)
    assert load(home.demonstrations) == (kept,)


def test_a_node_opens_the_model_that_its_configuration_names(home: NodeHome, monkeypatch) -> None:
    """And an installation without a reasoner says which image has one."""
    node = assemble(home)
    reasoning = assemble_reasoning(home, node)
    assert reasoning is not None
    reasoning.reasoner.close()

    def gone(*_: object) -> object:
        raise ModuleNotFoundError("No module named 'reasoner'", name="reasoner")

    monkeypatch.setattr("fedrag.core.plugins.import_module", gone)
    with pytest.raises(ConfigError) as error:
        assemble_reasoning(home, replace(node))
    assert error.value.code == "no_local_reasoner"
    node.store.close()
    node.state.close()


def test_the_coordinators_configuration_takes_the_vote(tmp_path: Path) -> None:
    """`calibrated` without a file, and a file without `calibrated`, are mistakes that show at the start."""
    from fedrag.assemble import connect

    for settings in ({"weights": "calibrated"}, {"vote_model": str(tmp_path / "vote.json")}):
        config = CoordinatorConfig(
            coordinator="c",
            encoder=PluginConfig(name="hashing"),
            reasoner=PluginConfig(name="traces", settings=settings),
        )
        with pytest.raises(ConfigError) as error:
            connect(config, dict, None)
        assert error.value.code == "bad_vote_model"
