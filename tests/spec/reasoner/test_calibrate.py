"""What sources have been worth, learned of judged answers: against shares that were put in, and through the command."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from fedrag.cli import app
from fedrag.core.errors import InputError
from reasoner.answer_sets import SetRule
from reasoner.source_answer import SourceAnswer
from reasoner.stated_uncertainty import StatedUncertainty, falling_steps
from reasoner.strategies.isolated import Settings, build
from reasoner.training.calibrate import Verdict, calibrate, worth
from reasoner.training.fit_stated import fit_stated
from reasoner.training.fit_votes import Judged
from reasoner.vote_model import VoteModel

OPTIONS = ("A", "B", "C", "D")


def made(count: int, *, good: float = 0.9, poor: float = 0.4, seed: int = 0, honest: bool = True) -> list[Judged]:
    """Two sources with these shares of right answers, at random among four options; the good one is honest about its
    doubts: it states more where it is wrong."""
    drawn, cases = np.random.default_rng(seed), []
    for _ in range(count):
        right = OPTIONS[drawn.integers(4)]
        said = {}
        for source, share in (("good", good), ("poor", poor)):
            correct = drawn.random() < share
            wrong = [option for option in OPTIONS if option != right]
            uncertainty = (
                float(drawn.uniform(0, 1) if correct else drawn.uniform(0.5, 2)) if source == "good" and honest else 0.0
            )
            said[source] = SourceAnswer(right if correct else wrong[drawn.integers(3)], "", uncertainty)
        cases.append(Judged(said, OPTIONS, right))
    return cases


def verdicts(cases: list[Judged]) -> list[Verdict]:
    """What feedback tells of an answer that followed the poor source."""
    chosen = [(one, one.answers["poor"].choice or "") for one in cases]
    return [Verdict(one.answers, choice, choice == one.right) for one, choice in chosen]


def test_a_vote_follows_who_was_right() -> None:
    """Where two disagree the one that is right 90 % of the time wins as long as it is not in doubt, and its probability
    is about that."""
    model = calibrate(made(800))
    held_out = made(400, seed=1)
    apart = [one for one in held_out if one.answers["good"].choice != one.answers["poor"].choice]
    apart = [one for one in apart if (one.answers["good"].uncertainty or 0) < 1]
    for one in apart:
        of = model.probabilities(one.answers, one.options)
        assert max(of, key=of.get) == one.answers["good"].choice
    chosen = [model.probabilities(one.answers, one.options)[one.answers["good"].choice] for one in held_out]
    right = [one.answers["good"].choice == one.right for one in held_out]
    assert np.mean(chosen) == pytest.approx(np.mean(right), abs=0.03)


def test_what_is_printed_is_of_questions_it_was_not_fitted_on() -> None:
    """A source that is right by chance alone is not learned: accuracy stays at chance."""
    noise = made(400, good=0.25, poor=0.25, honest=False)
    assert worth(noise).accuracy == pytest.approx(0.25, abs=0.08)
    found = worth(made(400))
    assert found.best == "good"
    assert found.accuracy == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("error", [0.05, 0.1])
def test_answer_sets_miss_as_often_as_they_say(error: float) -> None:
    """On 2,000 questions that it has not seen the share missed is the stated one, and a set is smaller than all
    options; a question whose right answer is no option counts as missed."""
    cases = made(800, good=0.8)
    found = worth(cases)
    assert len(found.given) == len(cases)
    rule, model = SetRule.calibrated(found.given, error), calibrate(cases)
    sets = [(one.right, rule.told(model.probabilities(one.answers, OPTIONS))) for one in made(2000, good=0.8, seed=2)]
    assert np.mean([right not in told.choices for right, told in sets]) == pytest.approx(error, abs=0.025)
    assert np.mean([len(told.choices) for _, told in sets]) < 3
    assert {(told.error, told.judged) for _, told in sets} == {(error, 800)}
    other = Judged(cases[0].answers, OPTIONS, "E")
    assert sorted(worth([*cases, other]).given)[0] == 0.0


def test_verdicts_teach_though_nobody_says_what_would_have_been_right() -> None:
    """Answers followed the poor source; wrong in 60 %: the vote turns to the good one."""
    model = calibrate(verdicts(made(600)))
    said = {"good": SourceAnswer("A"), "poor": SourceAnswer("B")}
    of = model.probabilities(said, OPTIONS)
    assert max(of, key=of.get) == "A"


def test_stated_uncertainty_becomes_the_share_that_was_right() -> None:
    """By steps from 200 answers on: sure below .5 is always right here, beyond 1 never."""
    stated = fit_stated([0.1] * 300 + [1.5] * 100, [True] * 300 + [False] * 100)
    assert stated.method == "isotonic"
    assert stated.probability(0.1) == pytest.approx(301 / 302)
    assert stated.probability(1.5) == pytest.approx(1 / 102)
    assert stated.probability(0.0) == stated.probability(0.1)


def test_few_answers_make_a_curve_and_one_that_rises_is_flat() -> None:
    """Who is right the more often the less sure it is, is not believed on that."""
    falling = fit_stated([0.0] * 30 + [2.0] * 30, [True] * 27 + [False] * 3 + [True] * 6 + [False] * 24)
    assert falling.method == "logistic"
    assert falling.probability(0.0) == pytest.approx(0.9, abs=0.07)
    assert falling.probability(2.0) == pytest.approx(0.2, abs=0.07)
    rising = fit_stated([0.0] * 30 + [2.0] * 30, [False] * 27 + [True] * 3 + [False] * 6 + [True] * 24)
    assert rising.slope == 0.0
    assert rising.probability(0.0) == rising.probability(2.0) == pytest.approx(27 / 60, abs=0.05)


def test_pooling_is_isotonic_regression() -> None:
    """Against its min-max formula: the value at i is the least over a ≤ i of the largest mean of a..b over b ≥ i; each
    step counts one answer more each way, and none rises."""
    drawn = np.random.default_rng(3)
    stated = drawn.permutation(np.arange(60)) / 30
    right = drawn.random(60) < 1 - stated / 2
    order = np.argsort(stated)
    good = right[order].astype(float)
    means = {(a, b): good[a : b + 1].mean() for a in range(60) for b in range(a, 60)}
    raw = [min(max(means[a, b] for b in range(i, 60)) for a in range(i + 1)) for i in range(60)]
    blocks = [[at for at in range(60) if abs(raw[at] - value) < 1e-12] for value in dict.fromkeys(raw)]
    expected, lowest = {}, 1.0
    for block in blocks:
        lowest = min(lowest, (good[block].sum() + 1) / (len(block) + 2))
        expected |= dict.fromkeys(block, lowest)
    steps = StatedUncertainty(judged=60, steps=falling_steps(stated.tolist(), right.tolist()))
    found = [steps.probability(float(stated[order[at]])) for at in range(60)]
    assert found == pytest.approx([expected[at] for at in range(60)])
    assert 2 < len(steps.steps) < 30


def lines(cases: list[Judged]) -> str:
    return "".join(
        json.dumps(
            {
                "options": one.options,
                "right": one.right,
                "answers": {
                    name: {"choice": said.choice, "uncertainty": said.uncertainty} for name, said in one.answers.items()
                },
            }
        )
        + "\n"
        for one in cases
    )


def test_the_command_writes_what_the_strategy_reads(tmp_path) -> None:
    """The same model as in this process, to the last digit; `isolated` opens it."""
    cases = made(300)
    (tmp_path / "judged.jsonl").write_text(lines(cases))
    ran = CliRunner().invoke(
        app,
        ["calibrate", "--judged", str(tmp_path / "judged.jsonl"), "--output", str(tmp_path / "vote.json"), "--json"],
    )
    assert ran.exit_code == 0, ran.output
    written = VoteModel.model_validate_json((tmp_path / "vote.json").read_text())
    assert written.model_copy(update={"sets": None}) == calibrate(cases)
    assert written.sets == SetRule.calibrated(worth(cases).given, 0.1)
    told = json.loads(ran.stdout)
    assert told["judged"] == 300
    assert told["stated"] == {"good": ["isotonic", 300], "poor": ["isotonic", 300]}
    opened = build(Settings(vote_model=tmp_path / "vote.json"))
    assert opened.judged == written


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        (lines(made(5)), ["--judged"], "too_few_judged"),
        ("{}\n", ["--judged"], "bad_judged_file"),
        ("", [], "bad_option"),
    ],
)
def test_what_cannot_be_learned_of_is_refused(tmp_path, text: str, arguments: list[str], code: str) -> None:
    file = tmp_path / "judged.jsonl"
    file.write_text(text)
    given = [*arguments, *([str(file)] if arguments else [])]
    ran = CliRunner().invoke(app, ["calibrate", *given, "--output", str(tmp_path / "vote.json")])
    assert isinstance(ran.exception, InputError)
    assert ran.exception.code == code
    assert not (tmp_path / "vote.json").exists()


def test_feedback_teaches_the_vote(tmp_path) -> None:
    """Sixty answers that followed `poor`, judged through the store that the coordinator keeps: the vote written by the
    command turns to `good`; answers that nobody judged teach nothing."""
    from made_answers import made as answer_made

    from fedrag.config import CoordinatorConfig, FeedbackConfig
    from fedrag.core.answer import Feedback, SourceChain
    from fedrag.core.question import AskRequest, Question
    from fedrag.feedback import FeedbackStore
    from fedrag.home import CoordinatorHome, create_coordinator

    home = CoordinatorHome(tmp_path / "coordinator")
    create_coordinator(home, CoordinatorConfig(coordinator="c"))
    store = FeedbackStore(home.feedback, FeedbackConfig())
    for number, one in enumerate(made(80)):
        said = one.answers
        chains = tuple(
            SourceChain(node=node, choice=of.choice, uncertainty=of.uncertainty, at_hospital=True)
            for node, of in said.items()
        )
        request = AskRequest(question=Question(text="Which?", options=dict.fromkeys(OPTIONS, "x")))
        chosen = said["poor"].choice
        answer = answer_made(request, text="x", choice=chosen).model_copy(
            update={"id": f"{number:032x}", "chains": chains}
        )
        store.remember(answer, "ann")
        if number < 60:
            store.record(answer.id, Feedback(answer_id=answer.id, correct=chosen == one.right), "ann")
    store.close()
    command = ["calibrate", "--home", str(home.folder), "--output", str(tmp_path / "vote.json"), "--json"]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert (told["judged"], told["accuracy"]) == (60, None)
    model = VoteModel.model_validate_json((tmp_path / "vote.json").read_text())
    of = model.probabilities({"good": SourceAnswer("A"), "poor": SourceAnswer("B")}, OPTIONS)
    assert max(of, key=of.get) == "A"
    assert set(model.stated) == {"good", "poor"}
