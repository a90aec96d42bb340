"""Whether the evidence is about the question at all."""

from typing import Final

from fedrag.core.answer import Evidence
from reasoner.heads import logit
from reasoner.statements import Reading
from reasoner.words import overlap

ANSWERABLE_FEATURES: Final = ("passage", "sentence", "lead", "coverage", "unknown")
_TOP: Final = 3
_ENOUGH: Final = 2


def answerable_features(reading: Reading, evidence: Evidence) -> tuple[float, ...]:
    """In the order of ANSWERABLE_FEATURES.

    passage: logit of the best passage's calibrated probability. sentence: best similarity of a sentence. lead: by how
    much the best passage's logit exceeds the median one's (a question the evidence is about singles some passage out).
    coverage: share of the question's words that occur in the best three passages. unknown: technical terms of the
    question that the evidence does not mention, at most two.
    """
    logits = sorted((logit(one.probability, margin=0.02) for one in evidence.passages), reverse=True)
    best = {one.number for one in sorted(evidence.passages, key=lambda one: (-one.probability, one.number))[:_TOP]}
    words = {stem for one in reading.statements if one.citation in best for stem in one.stems}
    return (
        logits[0],
        max(one.similarity for one in reading.statements),
        logits[0] - logits[len(logits) // 2],
        overlap(reading.question_stems, words),
        float(min(reading.unknown_terms, _ENOUGH)),
    )
