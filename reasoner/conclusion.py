"""From a reading to a conclusion: what is quoted, what is decided, and how surely. Pure; the words come later."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fedrag.core.answer import Conflict, Evidence
from fedrag.core.question import Question
from reasoner import findings
from reasoner.answerability import answerable_features
from reasoner.heads import Heads, logit
from reasoner.options import OptionScore, score
from reasoner.selection import select
from reasoner.statements import Reading, Statement
from reasoner.verdict import Verdict, asked_for, conflict_support, decide

CONFIDENCE_FEATURES: Final = ("decision", "answerable")


@dataclass(frozen=True, slots=True)
class Conclusion:
    """At most one of `verdict` and `options` is there.

    `quotes` are best first, `conflicts` nearest to the question first; `conflicts_matter` when one is about it.
    `decision` is the logit of the verdict, the best option or the best quote, `answerable` the probability that the
    evidence holds an answer, `confidence` the calibrated probability that this one is right.
    """

    quotes: tuple[Statement, ...]
    conflicts: tuple[Conflict, ...]
    conflicts_matter: bool
    verdict: Verdict | None
    options: tuple[OptionScore, ...]
    decision: float
    answerable: float
    confidence: float


def conclude(
    question: Question, evidence: Evidence, reading: Reading, heads: Heads, *, quotes: int, share: float
) -> Conclusion:
    """`reading` holds at least one statement. A closed question whose best article reports a study is decided by how
    its results are worded, and is as sure as that says; any other by which way the statements lean."""
    answerable = heads.answerable.probability(answerable_features(reading, evidence))
    conflicts = tuple(sorted(evidence.conflicts, key=lambda one: -conflict_support(one, reading.statements)))
    chosen = select(reading.statements, maximum=quotes, share=share)
    best = max(one.support for one in reading.statements)
    answers = asked_for(question)
    verdict: Verdict | None = None
    options: tuple[OptionScore, ...] = ()
    sure: float | None = None
    if answers is not None and findings.reports_a_study(text := findings.article(evidence)):
        verdict = findings.decide(text, answers, findings.load())
        decision, head, sure = logit(verdict.probability), heads.confidence.verdict, verdict.probability
    elif answers is not None:
        verdict = decide(question, answers, reading, conflicts, heads.leaning, heads.undecided)
        decision, head = logit(verdict.probability), heads.confidence.verdict
    elif question.options:
        options = score(question.options, reading, heads.option)
        decision, head = logit(options[0].probability), heads.confidence.choice
        chosen = _first(options[0].best, chosen)[:quotes]
    else:
        decision, head = logit(best), heads.confidence.text
    return Conclusion(
        quotes=chosen,
        conflicts=conflicts,
        conflicts_matter=any(conflict_support(one, reading.statements) >= share * best for one in conflicts),
        verdict=verdict,
        options=options,
        decision=decision,
        answerable=answerable,
        confidence=head.probability((decision, logit(answerable))) if sure is None else sure,
    )


def _first(best: Statement, chosen: Sequence[Statement]) -> tuple[Statement, ...]:
    return (best, *(one for one in chosen if one is not best))
