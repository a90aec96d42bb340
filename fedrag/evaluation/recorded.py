"""Combining recorded answers of several sources, with no model at hand.

A method sees a question, its options and what each source answered with its reasoning; never the right answer. What a
baseline learns, it learns from the other folds.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from fedrag.core.errors import MissingExtra
from fedrag.core.protocols import Encoder
from fedrag.evaluation.answer_tables import confidence_pictures, confidence_table
from fedrag.evaluation.contenders import FOLDS, fold_of
from fedrag.evaluation.metrics.bootstrap import holm, paired_difference
from fedrag.evaluation.metrics.outcomes import Outcome
from fedrag.evaluation.metrics.strict_accuracy import strict_accuracy
from fedrag.evaluation.recorded_votes import CALIBRATED, FERA, SETS_APART, answer_sets, calibrated, fera, liars
from fedrag.evaluation.recordings import RecordedQuestion, RecordedTask, Vote
from fedrag.evaluation.report import NOT_RUN, Cell, Findings, Table
from fedrag.evaluation.run import Run
from fedrag.evaluation.turning_tables import turning_tables

_NEIGHBOURS: Final = 40
NEEDS_A_MODEL: Final = "fedrag: self-critique over groups (FERA, UA-SCA)"


Method = Callable[[RecordedQuestion], Vote]


def single(source: str) -> Method:
    """That source's answer, with confidence 1 where it has one: it does not say more."""

    def vote(question: RecordedQuestion) -> Vote:
        choice = question.answers[source].choice
        return Vote(choice, float(choice is not None))

    return vote


def constant(letter: str) -> Method:
    return lambda _: Vote(letter, 1.0)


def first_of(order: Sequence[str]) -> Method:
    """The answer of the first source in this order that gives one."""

    def vote(question: RecordedQuestion) -> Vote:
        choice = next((question.answers[one].choice for one in order if question.answers[one].choice), None)
        return Vote(choice, float(choice is not None))

    return vote


def majority(best: str) -> Method:
    """The most frequent choice, ties to the source that is best; confidence is the share of sources that agree."""

    def vote(question: RecordedQuestion) -> Vote:
        votes = Counter(answer.choice for answer in question.answers.values() if answer.choice is not None)
        if not votes:
            return Vote(None, 0.0)
        most = max(votes.values())
        tied = sorted(choice for choice, count in votes.items() if count == most)
        preferred = question.answers[best].choice
        choice = preferred if preferred in tied else tied[0]
        return Vote(choice, most / len(question.answers))

    return vote


def measure(task: RecordedTask, run: Run, encoder: Encoder) -> Findings:
    questions = task.questions[: run.limit]
    sources = list(task.questions[0].answers)
    methods: dict[str, Method] = {
        **{f"source: {name}": single(name) for name in sources},
        "constant: always A": constant("A"),
        f"first that answers of {', '.join(task.order)}": first_of(task.order),
        f"majority, ties to {task.best}": majority(task.best),
    }
    made = {name: [method(question) for question in questions] for name, method in methods.items()}
    made[f"{_NEIGHBOURS} nearest questions choose the source"] = _neighbours(task, questions, run, encoder)
    made[FERA] = [fera(question) for question in questions]
    folds = calibrated(task, questions, lambda question: str(fold_of(question.id)))
    made[CALIBRATED] = [one.vote for one in folds]
    made[SETS_APART] = [one.vote for one in calibrated(task, questions, lambda question: question.group)]
    outcomes = {
        name: [_outcome(vote, task.gold[question.id]) for vote, question in zip(votes, questions, strict=True)]
        for name, votes in made.items()
    }
    agreeing = f"majority, ties to {task.best}"
    shown = {
        agreeing: outcomes[agreeing],
        f"{agreeing}, calibrated in five folds": _isotonic(outcomes[agreeing], questions),
        **{name: outcomes[name] for name in (FERA, CALIBRATED, SETS_APART)},
    }
    oracles = {
        f"oracle: any of {', '.join(pair)}": [_any(question, task.gold[question.id], pair) for question in questions]
        for pair in (task.pair, tuple(sources))
    }
    return Findings(
        (
            _accuracy(questions, outcomes | oracles, task, run),
            confidence_table(shown),
            answer_sets(task, folds),
            liars(task, questions),
            *turning_tables(task, questions),
        ),
        confidence_pictures(shown),
        task.notes,
    )


def _outcome(vote: Vote, gold: str) -> Outcome:
    return Outcome(vote.choice is not None, vote.choice == gold, vote.confidence)


def _any(question: RecordedQuestion, gold: str, sources: Sequence[str]) -> Outcome:
    right = any(question.answers[source].choice == gold for source in sources)
    return Outcome(answered=True, correct=right, confidence=1.0)


def _neighbours(task: RecordedTask, questions: Sequence[RecordedQuestion], run: Run, encoder: Encoder) -> list[Vote]:
    """The source that was right most often on the most similar questions of the other folds."""
    sources = list(task.questions[0].answers)
    vectors = run.vectors(encoder).queries([question.text for question in task.questions])
    folds = np.array([fold_of(question.id) for question in task.questions])
    right = np.array(
        [[question.answers[name].choice == task.gold[question.id] for name in sources] for question in task.questions],
        dtype=np.float64,
    )
    votes = []
    for row, question in enumerate(questions):
        others = np.flatnonzero(folds != folds[row])
        nearest = others[np.argsort(-(vectors[others] @ vectors[row]), kind="stable")[:_NEIGHBOURS]]
        shares = right[nearest].mean(axis=0)
        best = max(range(len(sources)), key=lambda at: (shares[at], sources[at] == task.best))
        choice = question.answers[sources[best]].choice
        votes.append(Vote(choice, float(shares[best]) if choice is not None else 0.0))
    return votes


def _isotonic(outcomes: Sequence[Outcome], questions: Sequence[RecordedQuestion]) -> list[Outcome]:
    """Confidence by isotonic regression (Zadrozny and Elkan 2002) on the other folds."""
    try:
        from sklearn.isotonic import IsotonicRegression  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("calibration needs scikit-learn: pip install 'fedrag[evaluation]'") from error
    folds = [fold_of(question.id) for question in questions]
    fitted = {}
    for fold in range(FOLDS):
        train = [one for one, other in zip(outcomes, folds, strict=True) if other != fold]
        if train:
            model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
            fitted[fold] = model.fit([one.confidence for one in train], [float(one.correct) for one in train])
    return [
        Outcome(one.answered, one.correct, float(fitted[fold].predict([one.confidence])[0]) if fold in fitted else 0.5)
        for one, fold in zip(outcomes, folds, strict=True)
    ]


def _accuracy(
    questions: Sequence[RecordedQuestion], outcomes: Mapping[str, Sequence[Outcome]], task: RecordedTask, run: Run
) -> Table:
    """Every method against the best source, and against the majority."""
    groups = sorted({question.group for question in questions})
    rivals = (f"source: {task.best}", f"majority, ties to {task.best}")
    right = {name: [float(one.correct) for one in made] for name, made in outcomes.items()}
    differences = {
        rival: {name: paired_difference(made, right[rival], run.seed) for name, made in right.items()}
        for rival in rivals
    }
    adjusted = {
        rival: dict(zip(found, holm([one.p for one in found.values()]), strict=True))
        for rival, found in differences.items()
    }
    blank = ("",) * (2 * len(rivals))
    rows: list[tuple[Cell, ...]] = [
        ("questions", len(questions), *(sum(one.group == group for one in questions) for group in groups), *blank)
    ]
    for name, made in outcomes.items():
        by_group = [
            strict_accuracy([one for one, question in zip(made, questions, strict=True) if question.group == group])
            for group in groups
        ]
        compared = [
            cell for rival in rivals for cell in (str(differences[rival][name]), f"{adjusted[rival][name]:.3f}")
        ]
        rows.append((name, strict_accuracy(made), *by_group, *compared))
    rows.append((NEEDS_A_MODEL, *(NOT_RUN,) * (len(groups) + 5)))
    headings = [f"difference from {task.best}", "p (Holm)", "difference from the majority", "p (Holm)"]
    return Table(
        "Strict accuracy: an answer that cannot be read is wrong",
        ("method", "all", *groups, *headings),
        tuple(rows),
        note="Self-critique asks a language model again; recorded answers cannot be asked.",
    )
