"""Words and vectors together: one similarity of both, and the exact best by it.

    similarity = (cosine + WORDS · words) / (1 + WORDS)

A weighted sum and not a fusion of ranks: it needs no list of other passages, so two hospitals' values mean the same.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.exchange import WORDS
from fedrag.core.protocols import Neighbours, VectorIndex
from fedrag.core.wire import FloatMatrix, FloatVector
from retriever_node.documents import Passage
from retriever_node.lexical import TermIndex
from retriever_node.rescoring import rescored
from retriever_node.terms import RECIPE, passage_terms

OWN: Final = "own"
"""The epoch of statistics that every collection makes of itself: nearly comparable (retriever_node/lexical.py)."""
COMPARED: Final = 20_000
"""Among so many rows every one is compared rather than the index asked."""
_CANDIDATES: Final = 50
_AT_ONCE: Final = 500

PassageLookup = Callable[[Sequence[int]], tuple[Passage, ...]]


def comparable_with(encoder: str, epoch: str = OWN) -> str:
    """What similarities of words and vectors must agree on before they mean the same; `epoch` names the statistics."""
    return f"{encoder}+{RECIPE}/{epoch}"


def in_order(ids: npt.NDArray[np.int64], lookup: PassageLookup) -> Iterator[Passage | None]:
    """These passages, some hundred in memory at a time; None for one that has been forgotten meanwhile."""
    for first in range(0, len(ids), _AT_ONCE):
        some = [int(passage_id) for passage_id in ids[first : first + _AT_ONCE]]
        found = {passage.passage_id: passage for passage in lookup(some)}
        yield from (found.get(one) for one in some)


def term_index(ids: npt.NDArray[np.int64], lookup: PassageLookup) -> TermIndex:
    """Of these passages, in this order."""
    passages = in_order(ids, lookup)
    return TermIndex.build(passage_terms(passage) if passage else ((), ()) for passage in passages)


def fused(cosines: npt.NDArray[np.float64], words: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Similarities of words and vectors, in [-1 / (1 + WORDS), 1]."""
    return (cosines + WORDS * words.astype(np.float64)) / (1 + WORDS)


def best(
    index: VectorIndex,
    vectors: FloatMatrix,
    words: FloatVector,
    query: FloatVector,
    k: int,
    allowed: npt.NDArray[np.bool_] | None = None,
) -> Neighbours:
    """The k rows of highest similarity among those that are allowed; `words` (rows,) in [0, 1].

    The best by vector and the best by words are candidates. A row in neither list cannot have more than the last of
    both lists together; while that could still be among the k, the lists are made longer (Fagin, Lotem and Naor 2003).
    So the result is exact where the index is.
    """
    rows, depth = len(vectors), max(_CANDIDATES, 4 * k)
    if allowed is not None:
        chosen = np.flatnonzero(allowed)
        if len(chosen) <= COMPARED:
            return _fused(vectors, words, query, chosen, k)
        words = np.where(allowed, words, np.float32(-1))
        depth = depth * rows // len(chosen)
    while True:
        near = index.search(query[None, :], min(depth, rows))
        by_words = _highest(words, min(depth, rows))
        positions = near.positions[0][near.positions[0] >= 0]
        candidates = np.union1d(positions, by_words)
        if allowed is not None:
            candidates = candidates[allowed[candidates]]
        found = _fused(vectors, words, query, candidates, k)
        if len(positions) == 0 or depth >= rows:
            return found
        bound = (float(near.similarities[0][len(positions) - 1]) + WORDS * float(words[by_words[-1]])) / (1 + WORDS)
        if len(candidates) >= k and found.similarities[0][k - 1] > bound:
            return found
        depth *= 4


def nearest(
    index: VectorIndex, vectors: FloatMatrix, query: FloatVector, k: int, allowed: npt.NDArray[np.bool_] | None = None
) -> Neighbours:
    """The k rows of highest cosine among those that are allowed.

    Where these are few all of them are compared; else the index is asked for so many that k of them should be allowed,
    and for more until they are.
    """
    if allowed is None:
        return index.search(query[None, :], k)
    chosen, rows = np.flatnonzero(allowed), len(vectors)
    if len(chosen) <= COMPARED:
        return rescored(vectors, query[None, :], chosen[None, :], k)
    depth = 2 * k * rows // len(chosen)
    while True:
        positions = index.search(query[None, :], min(depth, rows)).positions[0]
        passed = positions[positions >= 0]
        passed = passed[allowed[passed]]
        if len(passed) >= k or depth >= rows:
            return rescored(vectors, query[None, :], passed[None, :], k)
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
