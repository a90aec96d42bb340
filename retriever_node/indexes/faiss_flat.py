"""Exact search: every row is compared. The oracle of the other indexes."""

from typing import Final

import faiss
import numpy as np

from fedrag.core.config import Config
from fedrag.core.protocols import Neighbours, VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.openmp import openmp_threads
from retriever_node.rescoring import rescored

_ROUNDING: Final = 1e-5
"""More than float32 summation can put a similarity of two unit vectors wrong."""
_MARGIN: Final = 16


class Settings(Config):
    """None."""


class FaissFlat:
    """Exact inner products (FAISS `IndexFlatIP`), ties by position.

    FAISS chooses among equal similarities by its heap's order, so more rows than asked for are fetched, until the last
    is out of reach of the k-th; those are scored again in double precision and ordered.
    """

    def __init__(self) -> None:
        self._indexed: tuple[FloatMatrix, faiss.IndexFlatIP] | None = None

    def build(self, vectors: FloatMatrix) -> None:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        index = faiss.IndexFlatIP(rows.shape[1])
        index.add(rows)
        self._indexed = (rows, index)

    def search(self, queries: FloatMatrix, k: int) -> Neighbours:
        rows, index = self._indexed or (np.empty((0, queries.shape[1]), dtype=np.float32), None)
        wanted = min(k, len(rows))
        if index is None or wanted == 0:
            return rescored(rows, queries, np.empty((len(queries), 0), dtype=np.int64), k)
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        fetched = min(len(rows), wanted + _MARGIN)
        while True:
            with openmp_threads(1):
                similarities, positions = index.search(asked, fetched)
            found = rescored(rows, asked, positions, k)
            clear = similarities[:, -1] < found.similarities[:, wanted - 1] - _ROUNDING
            if fetched == len(rows) or clear.all():
                return found
            fetched = min(len(rows), 4 * fetched)


def build(settings: Settings) -> VectorIndex:  # noqa: ARG001 - every plug-in is built from its settings
    return FaissFlat()
