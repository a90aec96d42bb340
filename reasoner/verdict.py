"""Yes, no or maybe, from which way the evidence leans and whether it leans one way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fedrag.core.answer import Conflict, ConflictKind, Quote
from fedrag.core.question import Question
from reasoner.heads import Head, softmax
from reasoner.stance import closed, direction, hedged, strength
from reasoner.statements import Reading, Statement, last_sentence

LEANING_FEATURES: Final = ("lean",)
UNDECIDED_FEATURES: Final = ("conflict", "opposition", "hedged")
VERDICTS: Final = ("yes", "no", "maybe")
NUMBERS: Final = 0.5
_READ: Final = 4
"""Statements that take part: further ones are about something else more often than not."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word` is yes, no or maybe; `choice` what to answer with: an option's letter, or the word."""

    word: str
    choice: str
    probability: float


def asked_for(question: Question) -> Mapping[str, str] | None:
    """Verdict → what to answer with, when a question wants yes, no or maybe: by its options or by its grammar."""
    if question.options:
        words = {option.strip().casefold().rstrip("."): letter for letter, option in question.options.items()}
        return words if set(words) in ({"yes", "no"}, set(VERDICTS)) else None
    return {word: word for word in VERDICTS} if closed(question.text) else None


def decide(
    question: Question,
    answers: Mapping[str, str],
    reading: Reading,
    conflicts: Sequence[Conflict],
    leaning: Head,
    undecided: Head,
) -> Verdict:
    """Softmax over (lean, -lean, undecided); "maybe" takes part only where it can be answered."""
    lean_values, undecided_values = verdict_features(question.text, reading, conflicts)
    lean = leaning.logit(lean_values)
    logits = {"yes": lean, "no": -lean, "maybe": undecided.logit(undecided_values)}
    open_to = [word for word in VERDICTS if word in answers]
    probabilities = softmax([logits[word] for word in open_to])
    best = max(range(len(open_to)), key=lambda at: (probabilities[at], -at))
    return Verdict(open_to[best], answers[open_to[best]], probabilities[best])


def verdict_features(
    question: str, reading: Reading, conflicts: Sequence[Conflict]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """In the order of LEANING_FEATURES and of UNDECIDED_FEATURES.

    lean: mean direction of the best statements towards the question's, weighted by support and strength, in [-1, 1].
    conflict: support of a conflict's better supported quote relative to the best statement, largest over conflicts; a
    conflict of numbers counts NUMBERS as much as one of do against do not.
    opposition: weaker relative support of two statements of different hospitals that point different ways, where no
    conflict is known.
    hedged: weighted share of statements that leave it to circumstances.
    """
    largest = max(one.support for one in reading.statements)
    ranked = sorted(reading.statements, key=lambda one: (-one.support, one.citation, one.text))[:_READ]
    asked = direction(last_sentence(question))
    weights = [one.support / largest * strength(one.text) for one in ranked]
    total = sum(weights)
    directions = [asked * direction(one.text) for one in ranked]
    lean = sum(weight * towards for weight, towards in zip(weights, directions, strict=True)) / total
    opposed = max(
        (
            min(weights[i], weights[j])
            for i in range(len(ranked))
            for j in range(i)
            if ranked[i].node != ranked[j].node and directions[i] != directions[j]
        ),
        default=0.0,
    )
    return (lean,), (
        max((_bearing(one, reading.statements) for one in conflicts), default=0.0) / largest,
        0.0 if conflicts else opposed,
        sum(weight for weight, one in zip(weights, ranked, strict=True) if hedged(one.text)) / total,
    )


def _bearing(conflict: Conflict, statements: Sequence[Statement]) -> float:
    """How far a conflict leaves yes or no open. Both quotes are about the same thing, so the better one is enough."""
    support = max(_quote_support(quote, statements) for quote in (conflict.first, conflict.second))
    return support if conflict.kind is ConflictKind.NEGATION else NUMBERS * support


def conflict_support(conflict: Conflict, statements: Sequence[Statement]) -> float:
    """How far a conflict is about the question: the weaker support of its two quotes."""
    return min(_quote_support(quote, statements) for quote in (conflict.first, conflict.second))


def _quote_support(quote: Quote, statements: Sequence[Statement]) -> float:
    """Of the best sentence that shares text with the quote."""
    return max(
        (
            one.support
            for one in statements
            if one.citation == quote.citation and (one.text in quote.text or quote.text in one.text)
        ),
        default=0.0,
    )
