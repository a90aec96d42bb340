"""Who has a say, followed by the running coordinator: kept over a restart, shown to its operator, and put back."""

import json
from pathlib import Path

import pytest
from made_answers import made as answer_made
from typer.testing import CliRunner

from fedrag.cli import app
from fedrag.config import CoordinatorConfig
from fedrag.core.answer import Answer, SourceChain
from fedrag.core.config import PluginConfig
from fedrag.core.errors import InputError
from fedrag.core.question import AskRequest, Question
from fedrag.home import CoordinatorHome, create_coordinator
from fedrag.kept_drift import DriftStore
from fedrag.vote_watch import VoteWatch
from reasoner.drift import Drift
from reasoner.source_answer import SourceAnswer
from reasoner.training.fit_votes import Judged, fit_votes, whole
from reasoner.vote_model import VoteModel

OPTIONS = {"A": "2 mg", "B": "5 mg", "C": "9 mg"}
CANARY = "zinnober"


@pytest.fixture(scope="module")
def vote() -> VoteModel:
    """Three of which each is wrong in one of ten questions."""
    names = ("east", "north", "west")
    said = [
        {name: SourceAnswer("B" if number % 10 == at else "A") for at, name in enumerate(names)}
        for number in range(200)
    ]
    cases = [Judged(one, OPTIONS, "A") for one in said]
    return whole(fit_votes(names, cases), cases)


def answered(number: int, **choices: str) -> Answer:
    question = Question(text=f"{CANARY} {number}?", options=OPTIONS)
    chains = tuple(SourceChain(node=node, choice=choice, at_hospital=True) for node, choice in choices.items())
    return answer_made(AskRequest(question=question), text="x", choice="A").model_copy(
        update={"question": question, "chains": chains}
    )


def watch(vote: VoteModel, path: Path) -> VoteWatch:
    return VoteWatch(vote, DriftStore(path), bytes(32))


def turned(watching: VoteWatch, start: int = 0) -> int:
    """Questions in which west disagrees with two who agree, until it has no say."""
    for number in range(start, start + 50):
        if watching.left_out():
            return number - start
        watching.observe(answered(number, east="A", north="A", west="B"))
    raise AssertionError("never left out")


def test_it_is_left_out_and_stays_so_over_a_restart(vote, tmp_path) -> None:
    """Within ten questions; another process, or the same one later, knows it, and nothing of the questions."""
    watching = watch(vote, tmp_path / "drift.sqlite")
    assert turned(watching) <= 10
    assert watching.left_out() == {"west"}
    watching.close()
    again = watch(vote, tmp_path / "drift.sqlite")
    assert again.left_out() == {"west"}
    again.close()
    assert all(CANARY.encode() not in one.read_bytes() for one in tmp_path.iterdir())


def test_a_question_counts_once(vote, tmp_path) -> None:
    """However often the same is asked: nobody takes a hospital's say away by asking one question on which it stands
    alone."""
    watching = watch(vote, tmp_path / "drift.sqlite")
    for _ in range(100):
        watching.observe(answered(1, east="A", north="A", west="B"))
    assert watching.left_out() == frozenset()
    one = watching.drift
    assert turned(watching, 2) > 0
    watching.close()
    once = watch(vote, tmp_path / "other.sqlite")
    once.observe(answered(1, east="A", north="A", west="B"))
    assert once.drift == one
    once.close()


def test_answers_without_chains_say_nothing(vote, tmp_path) -> None:
    """Nor such as nobody chose anything in."""
    watching = watch(vote, tmp_path / "drift.sqlite")
    watching.observe(answered(1))
    assert watching.drift == Drift()
    watching.close()


def test_a_vote_fitted_anew_begins_anew(vote, tmp_path) -> None:
    """It was judged with what was said until then."""
    watching = watch(vote, tmp_path / "drift.sqlite")
    turned(watching)
    watching.close()
    later = watch(vote.model_copy(update={"judged": 201}), tmp_path / "drift.sqlite")
    assert later.left_out() == frozenset()
    later.close()


def test_what_cannot_be_kept_is_no_reason_to_fail(vote, tmp_path) -> None:
    """The file is gone from under it: questions are answered as before."""
    watching = watch(vote, tmp_path / "drift.sqlite")
    watching.close()
    watching.observe(answered(1, east="A", north="A", west="B"))
    assert watching.left_out() == frozenset()


@pytest.fixture
def home(vote, tmp_path) -> CoordinatorHome:
    place = CoordinatorHome(tmp_path / "coordinator")
    (tmp_path / "vote.json").write_text(vote.model_dump_json())
    strategy = {"name": "isolated", "settings": {"vote_model": str(tmp_path / "vote.json")}}
    settings = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "strategy": strategy}
    create_coordinator(
        place, CoordinatorConfig(coordinator="c", reasoner=PluginConfig(name="openai", settings=settings))
    )
    return place


def test_an_operator_sees_it_and_counts_it_again(home, vote) -> None:
    """While the service runs: it takes note with the next question."""
    watching = watch(vote, home.drift)
    turned(watching)
    folder = ["--home", str(home.folder)]
    shown = json.loads(CliRunner().invoke(app, ["votes", "show", *folder, "--json"]).stdout)["sources"]
    assert [(one["node"], one["counted"], one["left_out_times"]) for one in shown] == [
        ("east", True, 0),
        ("north", True, 0),
        ("west", False, 1),
    ]
    assert all(0.65 < one["usual_agreement"] < 0.85 for one in shown)  # whatever leads where the two others differ
    assert "west  not counted: it stopped agreeing" in CliRunner().invoke(app, ["votes", "show", *folder]).stdout
    assert CliRunner().invoke(app, ["votes", "count", *folder, "--id", "west"]).exit_code == 0
    watching.observe(answered(1000, east="A", north="A", west="A"))
    assert watching.left_out() == frozenset()
    watching.close()
    unknown = CliRunner().invoke(app, ["votes", "count", *folder, "--id", "nobody"])
    assert isinstance(unknown.exception, InputError)
    assert unknown.exception.code == "unknown_source"


def test_without_a_fitted_vote_there_is_nothing_to_see(tmp_path) -> None:
    """Nor a file."""
    place = CoordinatorHome(tmp_path / "coordinator")
    create_coordinator(place, CoordinatorConfig(coordinator="c"))
    shown = CliRunner().invoke(app, ["votes", "show", "--home", str(place.folder)])
    assert "no fitted vote is in use" in shown.stdout
    assert not place.drift.exists()
