"""Worked examples shown to a model before its question, chosen near the question and unlike each other.

MMR as FERA uses it: argmax_S of mean_{d in S} Sim(q, d) - λ · Div(S), where Div is subtracted and so measures how much
S repeats itself: the mean cosine similarity of its pairs. Chosen greedily, as the set of subsets is too large.
"""

from collections.abc import Sequence

import numpy as np

from fedrag.core.protocols import Encoder
from fedrag.core.traces import Demonstration
from fedrag.core.wire import FloatMatrix, FloatVector

__all__ = ["Demonstration", "chosen", "nearest", "positions"]


def nearest(
    question: str, demonstrations: Sequence[Demonstration], encoder: Encoder, count: int, redundancy: float = 0.5
) -> tuple[Demonstration, ...]:
    """At most `count`, the first one first; `redundancy` is λ, 0 asks for likeness to the question alone."""
    return tuple(demonstrations[at] for at in positions(question, demonstrations, encoder, count, redundancy))


def positions(
    question: str, demonstrations: Sequence[Demonstration], encoder: Encoder, count: int, redundancy: float = 0.5
) -> list[int]:
    """Of those that `nearest` chooses, in that order."""
    if not demonstrations or count < 1:
        return []
    vectors = encoder.encode_passages([one.text for one in demonstrations])
    return chosen(encoder.encode_queries([question])[0], vectors, count, redundancy)


def chosen(query: FloatVector, vectors: FloatMatrix, count: int, redundancy: float) -> list[int]:
    """Rows of `vectors`, unit vectors, in the order in which they were taken; of equals the earlier row."""
    likeness, among = vectors @ query, vectors @ vectors.T
    taken: list[int] = []
    for _ in range(min(count, len(vectors))):
        value = np.full(len(vectors), -np.inf)
        for row in (one for one in range(len(vectors)) if one not in taken):
            together = [*taken, row]
            pairs = among[np.ix_(together, together)][np.triu_indices(len(together), 1)]
            repeats = float(pairs.mean()) if len(pairs) else 0.0
            value[row] = float(likeness[together].mean()) - redundancy * repeats
        taken.append(int(np.argmax(value)))
    return taken
