"""Selection tasks and recorded answers, measured on tables small enough to know every right figure."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedrag.encoders import ENCODERS
from fedrag.evaluation import recorded, selection
from fedrag.evaluation.contenders import fold_of
from fedrag.evaluation.recorded import first_of, majority
from fedrag.evaluation.recorded_votes import calibrated
from fedrag.evaluation.recordings import RecordedAnswer, RecordedQuestion, RecordedTask
from fedrag.evaluation.report import NOT_RUN
from fedrag.evaluation.run import Half, Run
from fedrag.evaluation.selection import Request, SelectionTask

ENCODER = ENCODERS.build("hashing", {"dimension": 64})
ARMS = ("big", "small", "third")


@contextmanager
def silent(what: str) -> Iterator[object]:
    yield lambda done, total: None


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(data=None, limit=None, half=Half.SEEN, output=tmp_path, progress=silent, command="test", identity="one")


def question(number: int, *choices: str | None) -> RecordedQuestion:
    answers = {arm: RecordedAnswer(choice, "because") for arm, choice in zip(ARMS, choices, strict=True)}
    return RecordedQuestion(f"q{number}", "set", f"question {number}", {"A": "yes", "B": "no"}, answers)


@pytest.mark.parametrize(
    ("choices", "expected", "confidence"),
    [
        (("A", "B", "B"), "B", 2 / 3),
        (("B", "A", None), "B", 1 / 3),
        ((None, "B", "A"), "A", 1 / 3),
        ((None, None, None), None, 0.0),
    ],
)
def test_a_majority_counts_what_was_said_of_all_who_were_asked(choices, expected, confidence) -> None:
    """Silence is no vote and lowers agreement; a tie goes to the best source, else to the first letter."""
    vote = majority("big")(question(1, *choices))
    assert vote.choice == expected
    assert vote.confidence == pytest.approx(confidence)


def test_the_first_that_answers_speaks() -> None:
    """In the order given."""
    assert first_of(ARMS)(question(1, None, "B", "A")).choice == "B"
    assert first_of(ARMS)(question(1, None, None, None)).choice is None


def test_unanswered_questions_stay_in_every_accuracy(run) -> None:
    """Three questions, one never answered by anyone: a perfect source has 2 of 3, and so has the oracle."""
    questions = (question(1, "A", "A", "B"), question(2, "B", "A", "A"), question(3, None, None, None))
    gold = {"q1": "A", "q2": "B", "q3": "A"}
    task = RecordedTask("small", questions, gold, best="big", order=ARMS, pair=("big", "small"))
    rows = {row[0]: row for row in recorded.measure(task, run, ENCODER).tables[0].rows}
    assert rows["source: big"][1] == pytest.approx(2 / 3)
    assert rows["oracle: any of big, small, third"][1] == pytest.approx(2 / 3)
    assert rows["majority, ties to big"][1] == pytest.approx(1 / 3)
    assert rows["constant: always A"][1] == pytest.approx(2 / 3)
    assert rows[recorded.NEEDS_A_MODEL][1] == NOT_RUN


def test_a_vote_never_learns_from_its_own_answer() -> None:
    """Turning round what is right for one question changes votes of others, and not by a hair its own."""
    questions = tuple(question(number, *("AB"[number * step % 3 % 2] for step in (1, 2, 3))) for number in range(60))
    gold = {one.id: "AB"[number % 2] for number, one in enumerate(questions)}
    turned = gold | {"q7": "AB"[gold["q7"] == "A"]}

    def votes(right: dict[str, str]) -> dict[str, dict[str, float]]:
        task = RecordedTask("small", questions, right, best="big", order=ARMS, pair=("big", "small"))
        made = calibrated(task, questions, lambda one: str(fold_of(one.id)))
        return {one.question.id: dict(one.probabilities) for one in made}

    before, after = votes(gold), votes(turned)
    assert before["q7"] == after["q7"]
    assert any(before[one] != after[one] for one in gold)


def test_selection_ranks_by_what_is_known(run) -> None:
    """Lung questions belong to one engine, skin questions to another: descriptions and neighbours find it, and a method
    that may not learn from an origin does not."""
    sources = {"Lung": "asthma and lung disease", "Skin": "eczema and skin disease", "Other": "travel advice"}
    requests = tuple(
        Request(
            f"r{number}",
            f"asthma lung question {number}" if number % 2 else f"eczema skin question {number}",
            origin="one" if number % 2 else "two",
            relevance={"Lung": 10, "Skin": 1, "Other": 0} if number % 2 else {"Lung": 0, "Skin": 10, "Other": 0},
        )
        for number in range(20)
    )
    table = selection.measure(SelectionTask("small", sources, requests), run, ENCODER).tables[0]
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows["BM25 on descriptions"]["nDCG@1"] == 1.0
    assert rows["TF-IDF neighbours and prior, five folds"]["nP@1"] == 1.0
    assert rows["TF-IDF neighbours and prior, leave origin out"]["nP@1"] == pytest.approx(0.05)
    assert rows["constant: best on average of these very requests"]["nP@1"] == pytest.approx(0.55)
    assert 0.2 < rows[selection.RANDOM]["nP@1"] < 0.5
    assert rows["fedrag: mixture, learned, five folds"]["nP@1"] == 1.0
    assert rows["fedrag: mixture, learned, leave origin out"]["nP@1"] == pytest.approx(0.05)
    assert rows["fedrag: mixture, descriptions read as text, nothing learned"]["nP@1"] > 0.9
