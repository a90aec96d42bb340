"""The sentences of the evidence, each with how well it supports an answer to the question."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from fedrag.core.answer import Evidence, EvidencePassage
from fedrag.core.protocols import Encoder
from fedrag.core.question import Question
from fedrag.core.wire import FloatVector, NodeId
from reasoner.heads import Head, logit, sigmoid
from reasoner.quantities import Quantity, quantities
from reasoner.sentences import spans
from reasoner.words import overlap, stems, words

MAXIMUM_STATEMENTS: Final = 64
"""Sentences that are encoded, those of the best passages first: about half a second on one processor core."""
LONG_CHARACTERS: Final = 300
PIECES: Final = 4
"""Word pieces from which on a word counts as a technical term."""
SAME_BEGINNING: Final = 4
SUPPORT_FEATURES: Final = ("similarity", "passage", "overlap", "quantity", "rank", "length")

_ASKS_QUANTITY: Final = re.compile(
    r"\bhow (?:much|many|long|often|large|soon|far|high|low|fast|strong)\b|\bdos(?:e|es|age|ing)\b|\bwhen\b|\bat what\b"
    r"|\b(?:what|which) (?:\w+ )?(?:strength|amount|level|rate|range|interval|target|limit|concentration|time|inr)"
    r"|\bper (?:kilo|kg)|\bby when\b|\bregimen\b",
    re.IGNORECASE,
)
_TERM: Final = re.compile(r"[^\W\d_][\w-]{4,}")


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a released passage.

    `text` is an exact stretch of the passage; `similarity` its cosine with the question; `features` those of
    SUPPORT_FEATURES; `trust` the log of its source's weight relative to the average; `support` the calibrated
    probability that it holds part of the answer: sigmoid(head(features) + trust).
    """

    citation: int
    node: NodeId
    text: str
    stems: frozenset[str]
    quantities: tuple[Quantity, ...]
    vector: FloatVector
    similarity: float
    features: tuple[float, ...]
    trust: float
    support: float


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything read once: the statements in order of the evidence, and the vectors of question and options."""

    statements: tuple[Statement, ...]
    question_stems: frozenset[str]
    options: tuple[FloatVector, ...]
    """An option's own words, in order of its letter."""
    claims: tuple[FloatVector, ...]
    """The question's last sentence followed by the option."""
    passages: tuple[float, ...]
    """Cosine of each passage with the question: that of its offer where this encoder made it, else of its best
    sentence."""
    unknown_terms: int
    """Technical terms of the question that occur nowhere in the evidence."""


def read(
    question: Question, evidence: Evidence, encoder: Encoder, head: Head, maximum: int = MAXIMUM_STATEMENTS
) -> Reading:
    """Two calls of the encoder: one for the question and its options, one for the first `maximum` sentences."""
    options = [option for _, option in sorted(question.options.items())]
    asked = last_sentence(question.text)
    queries = encoder.encode_queries([question.text, *options, *(f"{asked} {option}" for option in options)])
    sentences = _sentences(evidence)[:maximum]
    vectors = encoder.encode_passages([text for _, text in sentences]) if sentences else ()
    wanted, asks = frozenset(stems(question.text)), bool(_ASKS_QUANTITY.search(question.text))
    sources = len(evidence.source_weights)
    statements = []
    for (passage, text), vector in zip(sentences, vectors, strict=True):
        own, found = frozenset(stems(text)), quantities(text)
        similarity = float(vector @ queries[0])
        features = _features(passage, text, similarity, overlap(wanted, own), asks and bool(found))
        # The odds of a source that is trusted twice as much as the average are twice as high.
        trust = math.log(max(passage.weight * sources, 0.01))
        support = sigmoid(head.logit(features) + trust)
        statements.append(
            Statement(passage.number, passage.node, text, own, found, vector, similarity, features, trust, support)
        )
    return Reading(
        statements=tuple(statements),
        question_stems=wanted,
        options=tuple(queries[1 : 1 + len(options)]),
        claims=tuple(queries[1 + len(options) :]),
        passages=_similarities(evidence, statements, encoder),
        unknown_terms=_unknown_terms(question.text, evidence, encoder),
    )


def weighed(reading: Reading, head: Head) -> Reading:
    """The same reading under another head."""
    return replace(
        reading,
        statements=tuple(
            replace(one, support=sigmoid(head.logit(one.features) + one.trust)) for one in reading.statements
        ),
    )


def _features(
    passage: EvidencePassage, text: str, similarity: float, coverage: float, holds_quantity: bool
) -> tuple[float, ...]:
    """In the order of SUPPORT_FEATURES; `coverage` is the share of the question's words found in the sentence."""
    return (
        similarity,
        logit(passage.probability, margin=0.02),
        coverage,
        float(holds_quantity),
        1 / passage.number,
        min(len(text), LONG_CHARACTERS) / LONG_CHARACTERS,
    )


def _sentences(evidence: Evidence) -> list[tuple[EvidencePassage, str]]:
    return [
        (passage, passage.passage.text[span.start : span.end])
        for passage in evidence.passages
        for span in spans(passage.passage.text)
    ]


def _similarities(evidence: Evidence, statements: Sequence[Statement], encoder: Encoder) -> tuple[float, ...]:
    found = []
    for passage in evidence.passages:
        offered = passage.similarity
        if offered is not None and offered.comparable_with == encoder.identity.comparable_with:
            found.append(offered.value)
        else:
            own = [one.similarity for one in statements if one.citation == passage.number]
            found.append(max(own, default=0.0))
    return tuple(found)


def _unknown_terms(question: str, evidence: Evidence, encoder: Encoder) -> int:
    """Words that the encoder knows only in PIECES or more pieces are rare: names of drugs and diseases. One counts when
    no word of the evidence, titles included, begins like it."""
    spans_of_tokens = encoder.token_spans(question)
    known = {
        word[:SAME_BEGINNING]
        for passage in evidence.passages
        for text in (passage.passage.text, passage.passage.citation.title, passage.passage.citation.section)
        for word in words(text)
    }
    terms = {
        match.group().lower()
        for match in _TERM.finditer(question)
        if sum(match.start() <= start and end <= match.end() for start, end in spans_of_tokens) >= PIECES
    }
    return sum(term[:SAME_BEGINNING] not in known for term in terms)


def last_sentence(text: str) -> str:
    """What a vignette ends with: the question itself."""
    found = spans(text)
    return text[found[-1].start : found[-1].end] if found else text
