"""Words and vectors together: one similarity of both, and the exact best by it.

    similarity = (cosine + WORDS · words) / (1 + WORDS)

A weighted sum and not a fusion of ranks: it needs no list of other passages, so two hospitals' values mean the same.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.protocols import Neighbours, VectorIndex
from fedrag.core.wire import FloatMatrix, FloatVector
from retriever_node.documents import Passage
from retriever_node.lexical import TermIndex, Terms
from retriever_node.rescoring import rescored
from retriever_node.terms import RECIPE, passage_terms

WORDS: Final = 0.4
"""How much words count beside vectors. On the development halves .3 to .5 are alike. nDCG@10 of MedQuAD across
sources: .395; vectors alone .376, words alone .242, reciprocal ranks .338. Of SciFact: .724; .660, .696, .711."""
OWN: Final = "own"
"""The epoch of statistics that every collection makes of itself: nearly comparable (retriever_node/lexical.py)."""
_CANDIDATES: Final = 50
_AT_ONCE: Final = 500


def comparable_with(encoder: str, epoch: str = OWN) -> str:
    """What similarities of words and vectors must agree on before they mean the same; `epoch` names the statistics."""
    return f"{encoder}+{RECIPE}/{epoch}"


def term_index(ids: npt.NDArray[np.int64], lookup: Callable[[Sequence[int]], tuple[Passage, ...]]) -> TermIndex:
    """Of these passages, in this order. One that has been forgotten meanwhile has no terms."""

    def terms() -> Iterator[tuple[Terms, Terms]]:
        for first in range(0, len(ids), _AT_ONCE):
            some = [int(passage_id) for passage_id in ids[first : first + _AT_ONCE]]
            found = {passage.passage_id: passage for passage in lookup(some)}
            yield from (passage_terms(found[one]) if one in found else ((), ()) for one in some)

    return TermIndex.build(terms())


def fused(cosines: npt.NDArray[np.float64], words: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Similarities of words and vectors, in [-1 / (1 + WORDS), 1]."""
    return (cosines + WORDS * words.astype(np.float64)) / (1 + WORDS)


def best(index: VectorIndex, vectors: FloatMatrix, words: FloatVector, query: FloatVector, k: int) -> Neighbours:
    """The k rows of highest similarity; `words` (rows,) in [0, 1].

    The best by vector and the best by words are candidates. A row in neither list cannot have more than the last of
    both lists together; while that could still be among the k, the lists are made longer (Fagin, Lotem and Naor 2003).
    So the result is exact where the index is.
    """
    rows, depth = len(vectors), max(_CANDIDATES, 4 * k)
    while True:
        near = index.search(query[None, :], min(depth, rows))
        by_words = _highest(words, min(depth, rows))
        positions = near.positions[0][near.positions[0] >= 0]
        candidates = np.union1d(positions, by_words)
        found = _fused(vectors, words, query, candidates, k)
        if len(positions) == 0 or depth >= rows:
            return found
        bound = (float(near.similarities[0][len(positions) - 1]) + WORDS * float(words[by_words[-1]])) / (1 + WORDS)
        if found.similarities[0][min(k, len(candidates)) - 1] > bound:
            return found
        depth *= 4


def _fused(
    vectors: FloatMatrix, words: FloatVector, query: FloatVector, candidates: npt.NDArray[np.int64], k: int
) -> Neighbours:
    cosines = rescored(vectors, query[None, :], candidates[None, :], len(candidates))
    order, near = cosines.positions[0], cosines.similarities[0].astype(np.float64)
    similarity = fused(near, words[order]).astype(np.float32)
    top = np.lexsort((order, -similarity))[:k]
    positions = np.full((1, k), -1, dtype=np.int64)
    similarities = np.full((1, k), -np.inf, dtype=np.float32)
    positions[0, : len(top)], similarities[0, : len(top)] = order[top], similarity[top]
    return Neighbours(positions, similarities)


def _highest(values: FloatVector, count: int) -> npt.NDArray[np.int64]:
    """Positions of the highest, best first, ties by position."""
    if count < len(values):
        chosen = np.argpartition(-values, count - 1)[:count]
        least = values[chosen].min()
        chosen = np.union1d(np.flatnonzero(values > least), np.flatnonzero(values == least)[:count])
    else:
        chosen = np.arange(len(values))
    result: npt.NDArray[np.int64] = chosen[np.lexsort((chosen, -values[chosen]))][:count].astype(np.int64)
    return result
