"""Whether the evidence is about the question at all."""

from typing import Final

from fedrag.core.answer import Evidence
from reasoner.statements import Reading
from reasoner.words import overlap

ANSWERABLE_FEATURES: Final = ("passage", "sentence", "lead", "coverage", "unknown")
_TOP: Final = 3
_ENOUGH: Final = 2


def answerable_features(reading: Reading, evidence: Evidence) -> tuple[float, ...]:
    """In the order of ANSWERABLE_FEATURES.

    passage, sentence: cosine of the best passage, of the best sentence. lead: by how much the best passage exceeds
    the median one (a question the evidence is about singles some passage out). coverage: share of the question's words
    that occur in the best three passages. unknown: technical terms of the question that the evidence does not mention,
    at most two.
    """
    ranked = sorted(zip(reading.passages, evidence.passages, strict=True), key=lambda pair: (-pair[0], pair[1].number))
    similarities = [similarity for similarity, _ in ranked]
    best = {passage.number for _, passage in ranked[:_TOP]}
    words = {stem for one in reading.statements if one.citation in best for stem in one.stems}
    return (
        similarities[0],
        max(one.similarity for one in reading.statements),
        similarities[0] - similarities[len(similarities) // 2],
        overlap(reading.question_stems, words),
        float(min(reading.unknown_terms, _ENOUGH)),
    )
