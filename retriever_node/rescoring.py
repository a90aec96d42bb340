"""Exact similarities of candidate rows, and their one order."""

import numpy as np
import numpy.typing as npt

from fedrag.core.protocols import Neighbours
from fedrag.core.wire import FloatMatrix, FloatVector

Positions = npt.NDArray[np.int64]


def rescored(vectors: FloatMatrix, queries: FloatMatrix, candidates: Positions, k: int) -> Neighbours:
    """The best k of each query's candidates (queries, c), by exact cosine similarity; -1 means no candidate.

    A similarity is the dot product summed in double precision and rounded to float32. It depends on the two vectors
    alone, not on the rows around them, so equal passages tie exactly, in one index and between two.
    """
    chosen = np.full((len(queries), k), -1, dtype=np.int64)
    similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
    for number, (query, row) in enumerate(zip(queries.astype(np.float64), candidates, strict=True)):
        positions = row[row >= 0]
        scores = (vectors[positions] * query).sum(axis=1).astype(np.float32)
        best = np.lexsort((positions, -scores))[:k]
        chosen[number, : len(best)] = positions[best]
        similarities[number, : len(best)] = scores[best]
    return Neighbours(chosen, similarities)


def completed(vectors: FloatMatrix, queries: FloatMatrix, candidates: Positions) -> Positions:
    """The candidates, where there are as many as were asked for. A search that looks at a part of the rows may come
    back with fewer (many equal rows cut a graph apart, a list may be short), and then what it has not reached may be
    better than what it has: for such a query every row is compared."""
    asked = min(len(vectors), candidates.shape[1])
    for number in np.flatnonzero((candidates >= 0).sum(axis=1) < asked):
        candidates[number] = _nearest(vectors, queries[number], candidates.shape[1])
    return candidates


def _nearest(vectors: FloatMatrix, query: FloatVector, count: int) -> Positions:
    order = np.argsort(-(vectors @ query), kind="stable")[:count]
    return np.pad(order, (0, count - len(order)), constant_values=-1)
