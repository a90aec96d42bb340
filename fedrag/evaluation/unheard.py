"""One source of recorded answers is away: taken for silent by the vote over all, and the vote fitted without it."""

from collections.abc import Sequence

from fedrag.evaluation.metrics.ece import ece
from fedrag.evaluation.metrics.outcomes import Outcome
from fedrag.evaluation.metrics.strict_accuracy import strict_accuracy
from fedrag.evaluation.report import Cell, Table
from fedrag.evaluation.turning import Asked, Votes
from reasoner.source_answer import SourceAnswer
from reasoner.weighted_vote import SourceAnswers


def unheard(asked: Sequence[Asked], votes: Votes) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for away in sorted(votes.sources):
        silent = [_outcome(one, {**one.answers, away: SourceAnswer(None)}, votes) for one in asked]
        others = [_outcome(one, {name: of for name, of in one.answers.items() if name != away}, votes) for one in asked]
        rows.append((away, strict_accuracy(silent), ece(silent), strict_accuracy(others), ece(others)))
    return Table(
        "One source is not heard",
        ("who", "taken for silent: right", "ECE", "vote fitted without it: right", "ECE"),
        tuple(rows),
    )


def _outcome(one: Asked, heard: SourceAnswers, votes: Votes) -> Outcome:
    of = votes.models[one.apart].probabilities(heard, one.options)
    best = max(of, key=lambda option: (of[option], option))
    return Outcome(answered=True, correct=best == one.right, confidence=of[best])
