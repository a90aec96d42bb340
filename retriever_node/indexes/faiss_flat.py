"""Exact search: every row is compared. The oracle of the other indexes."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import faiss
import numpy as np

from fedrag.core.config import Config
from fedrag.core.protocols import Neighbours, VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.openmp import openmp_threads
from retriever_node.rescoring import Positions, rescored

Compare = Callable[[FloatMatrix, int], tuple[FloatMatrix, Positions]]
"""Queries and a number to the inner products of that many best rows, and their positions, best first."""

_ROUNDING: Final = 1e-5
"""More than float32 summation can put a similarity of two unit vectors wrong."""
_MARGIN: Final = 16


class Settings(Config):
    """None."""


def on_processor(rows: FloatMatrix) -> Compare:
    """FAISS's comparison of every row, where the rows lie: they may be memory-mapped."""

    def compare(queries: FloatMatrix, count: int) -> tuple[FloatMatrix, Positions]:
        with openmp_threads(1):
            return faiss.knn(queries, rows, count, metric=faiss.METRIC_INNER_PRODUCT)

    return compare


class FaissFlat:
    """Exact inner products, ties by position.

    FAISS chooses among equal similarities by its heap's order, so more rows than asked for are fetched, until the last
    is out of reach of the k-th; those are scored again in double precision and ordered. Nothing is made of the rows, so
    nothing is saved.
    """

    def __init__(self, comparison: Callable[[FloatMatrix], Compare] = on_processor) -> None:
        self._comparison = comparison
        self._indexed: tuple[FloatMatrix, Compare] | None = None

    def build(self, vectors: FloatMatrix) -> None:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        self._indexed = (rows, self._comparison(rows)) if len(rows) else None

    def search(self, queries: FloatMatrix, k: int) -> Neighbours:
        if self._indexed is None or k < 1:
            none = np.empty((0, queries.shape[1]), dtype=np.float32)
            return rescored(none, queries, np.empty((len(queries), 0), dtype=np.int64), k)
        rows, compare = self._indexed
        wanted = min(k, len(rows))
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        fetched = min(len(rows), wanted + _MARGIN)
        while True:
            similarities, positions = compare(asked, fetched)
            found = rescored(rows, asked, positions, k)
            clear = similarities[:, -1] < found.similarities[:, wanted - 1] - _ROUNDING
            if fetched == len(rows) or clear.all():
                return found
            fetched = min(len(rows), 4 * fetched)

    def save(self, folder: Path) -> None:
        pass

    def load(self, folder: Path, vectors: FloatMatrix) -> None:  # noqa: ARG002 - there is nothing in it
        self.build(vectors)


def build(settings: Settings) -> VectorIndex:  # noqa: ARG001 - every plug-in is built from its settings
    return FaissFlat()
