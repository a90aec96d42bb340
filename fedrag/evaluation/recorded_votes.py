"""The product's weighted votes over recorded answers: learned in folds, with a liar among them, as answer sets."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final

from fedrag.evaluation.contenders import fold_of
from fedrag.evaluation.recordings import RecordedQuestion, RecordedTask, Vote
from fedrag.evaluation.report import Cell, Table
from reasoner.answer_sets import answer_set, threshold
from reasoner.source_answer import SourceAnswer
from reasoner.training.fit_votes import Judged, fit_votes
from reasoner.weighted_vote import SourceAnswers, fera_weights, weighted_vote

FERA: Final = "fedrag: weighted vote (FERA, UA-WA), a source's own doubts as its uncertainty"
CALIBRATED: Final = "fedrag: calibrated vote, learned on the other folds"
SETS_APART: Final = "fedrag: calibrated vote, learned on the other sets"
TEMPERATURE: Final = 1.0
"""FERA names none."""
GAPS: Final = 3
"""A chain of thought that admits more is no more unsure."""
ERRORS: Final = (0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A vote, and the probability of every option that it was chosen by; `apart` is what the model was not fitted on
    with this question."""

    question: RecordedQuestion
    apart: str
    probabilities: Mapping[str, float]

    @property
    def vote(self) -> Vote:
        best = max(self.probabilities, key=lambda option: (self.probabilities[option], option), default=None)
        return Vote(best, self.probabilities[best] if best is not None else 0.0)


def fera(question: RecordedQuestion) -> Vote:
    """UA-WA; a recorded model's uncertainty is how often its chain of thought admits that something is missing, as no
    probabilities of its tokens are there."""
    said = answers(question)
    stated = {name: replace(one, uncertainty=float(min(GAPS, one.gaps))) for name, one in said.items()}
    return fera_vote(stated, question.options)


def answers(question: RecordedQuestion) -> dict[str, SourceAnswer]:
    return {name: SourceAnswer.of(one.choice, one.reasoning) for name, one in question.answers.items()}


def calibrated(
    task: RecordedTask, questions: Sequence[RecordedQuestion], apart: Callable[[RecordedQuestion], str]
) -> list[Calibrated]:
    """Each question by a model that was fitted on the questions with another `apart`."""
    said = {question.id: answers(question) for question in questions}
    return _calibrated(questions, {question.id: apart(question) for question in questions}, said, said, task.gold)


def _calibrated(
    questions: Sequence[RecordedQuestion],
    apart: Mapping[str, str],
    learned_from: Mapping[str, SourceAnswers],
    heard: Mapping[str, SourceAnswers],
    gold: Mapping[str, str],
) -> list[Calibrated]:
    sources = tuple(learned_from[questions[0].id])
    models = {
        left_out: fit_votes(
            sources,
            [Judged(learned_from[one.id], one.options, gold[one.id]) for one in questions if apart[one.id] != left_out],
        )
        for left_out in sorted(set(apart.values()))
    }
    return [
        Calibrated(one, apart[one.id], models[apart[one.id]].probabilities(heard[one.id], one.options))
        for one in questions
    ]


def answer_sets(task: RecordedTask, votes: Sequence[Calibrated]) -> Table:
    """Thresholds are those of the other folds; a question whose right option is not among its options is an error."""
    rows: list[tuple[Cell, ...]] = []
    for error in ERRORS:
        by_fold = {
            fold: threshold(
                [one.probabilities.get(task.gold[one.question.id], 0.0) for one in votes if one.apart != fold], error
            )
            for fold in sorted({one.apart for one in votes})
        }
        sets = [answer_set(one.probabilities, by_fold[one.apart]) for one in votes]
        missed = [task.gold[one.question.id] not in found for one, found in zip(votes, sets, strict=True)]
        rows.append((error, fmean(missed), fmean(map(len, sets)), fmean(len(one) == 1 for one in sets)))
    return Table(
        "Answer sets (split conformal), of the calibrated vote",
        ("error stated", "error found", "mean options in the set", "sets of one"),
        tuple(rows),
    )


def liars(task: RecordedTask, questions: Sequence[RecordedQuestion]) -> Table:
    """Each source in turn answers wrongly and without a doubt: with the wrong option that most of the others chose."""
    everyone = tuple(questions[0].answers)
    apart = {question.id: str(fold_of(question.id)) for question in questions}
    honest = {question.id: answers(question) for question in questions}
    rows: list[tuple[Cell, ...]] = []
    for liar in everyone:
        lying = {question.id: _lying(question, liar, task.gold[question.id]) for question in questions}
        without = {name: {one: said for one, said in heard.items() if one != liar} for name, heard in honest.items()}
        left_out = _right(_calibrated(questions, apart, without, without, task.gold), task)
        noticed = _right(_calibrated(questions, apart, lying, lying, task.gold), task)
        turned = _right(_calibrated(questions, apart, honest, lying, task.gold), task)
        raw = fmean(fera_vote(lying[one.id], one.options).choice == task.gold[one.id] for one in questions)
        equal = fmean(
            fera_vote(
                {name: replace(said, uncertainty=None) for name, said in lying[one.id].items()}, one.options
            ).choice
            == task.gold[one.id]
            for one in questions
        )
        rows.append((liar, left_out, noticed, noticed - left_out, turned, raw, equal))
    return Table(
        "One source lies: wrong answers, uncertainty zero",
        (
            "who lies",
            "calibrated vote without it",
            "calibrated vote that was judged with it",
            "difference",
            "that was judged before it began to lie",
            "raw FERA weights",
            "equal weights",
        ),
        tuple(rows),
        note="Uncertainty of the others is how often they admit that something is missing. A source that is always "
        "wrong tells by that what is not right: hence the gain where judged questions showed it. What the last three "
        "columns show is what nobody notices; one that begins to lie is noticed, in the next table.",
    )


def _right(votes: Sequence[Calibrated], task: RecordedTask) -> float:
    return fmean(one.vote.choice == task.gold[one.question.id] for one in votes)


def _lying(question: RecordedQuestion, liar: str, gold: str) -> dict[str, SourceAnswer]:
    said = {name: replace(one, uncertainty=float(min(GAPS, one.gaps))) for name, one in answers(question).items()}
    return said | {liar: lie(said, {liar}, question.options, gold)}


def lie(said: SourceAnswers, liars: Collection[str], options: Collection[str], right: str) -> SourceAnswer:
    """The wrong option that most of the others chose, without a doubt."""
    others = [one.choice for name, one in said.items() if name not in liars]
    wrong = sorted(set(options) - {right}, key=lambda option: (-others.count(option), option))
    return SourceAnswer(wrong[0] if wrong else None, "", uncertainty=0.0)


def fera_vote(said: SourceAnswers, options: Collection[str]) -> Vote:
    share = weighted_vote(said, fera_weights(said, TEMPERATURE), options)
    best = max(share, key=lambda option: (share[option], option), default=None)
    return Vote(best, share[best]) if best is not None and share[best] > 0 else Vote(None, 0.0)
