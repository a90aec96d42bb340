"""Approximate search in a navigable small-world graph over 8-bit vectors, re-scored exactly."""

from typing import Annotated

import faiss
import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedrag.core.config import Config
from fedrag.core.protocols import Neighbours, VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.indexes.faiss_flat import FaissFlat
from retriever_node.openmp import openmp_threads
from retriever_node.rescoring import rescored


class Settings(Config):
    """`links` is HNSW's M. The best max(`rescored_minimum`, `rescored_per_result` · k) rows are scored again."""

    links: Annotated[int, Field(ge=4, le=64)] = 16
    ef_construction: Annotated[int, Field(ge=8, le=1000)] = 100
    ef_search: Annotated[int, Field(ge=8, le=4096)] = 64
    rescored_minimum: Annotated[int, Field(ge=1, le=4096)] = 30
    rescored_per_result: Annotated[int, Field(ge=1, le=100)] = 4
    exact_below: Annotated[int, Field(ge=0)] = 2000
    """With fewer rows than this every row is compared."""
    build_threads: Annotated[int, Field(ge=1, le=64)] = 1
    """With one thread the same rows always make the same graph."""


class FaissHnsw:
    """FAISS `HNSW{M}_SQ8`, inner product. 8 bits per number cost about one per cent of recall, which scoring the best
    candidates again from the float32 rows gives back (Malkov and Yashunin 2018 for the graph)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._exact = FaissFlat()
        self._indexed: tuple[FloatMatrix, faiss.IndexHNSWSQ] | None = None

    def build(self, vectors: FloatMatrix) -> None:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if len(rows) < max(1, self._settings.exact_below):
            self._exact.build(rows)
            self._indexed = None
            return
        bits = faiss.ScalarQuantizer.QT_8bit
        links, metric = self._settings.links, faiss.METRIC_INNER_PRODUCT
        index = faiss.IndexHNSWSQ(rows.shape[1], bits, links, metric)  # type: ignore[arg-type]  # FAISS's stub is wrong
        index.hnsw.efConstruction = self._settings.ef_construction
        with openmp_threads(self._settings.build_threads):
            index.train(rows)
            index.add(rows)
        self._indexed = (rows, index)

    def search(self, queries: FloatMatrix, k: int) -> Neighbours:
        if self._indexed is None:
            return self._exact.search(queries, k)
        rows, index = self._indexed
        settings = self._settings
        fetched = min(len(rows), max(settings.rescored_minimum, settings.rescored_per_result * k))
        parameters = faiss.SearchParametersHNSW(  # type: ignore[attr-defined]  # FAISS's stub lacks it
            efSearch=max(settings.ef_search, fetched)
        )
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        with openmp_threads(1):
            _, positions = index.search(asked, fetched, params=parameters)
        for number in np.flatnonzero((positions >= 0).sum(axis=1) < min(k, len(rows))):
            positions[number] = self._every(rows, asked[number], fetched)
        return rescored(rows, asked, positions, k)

    def _every(self, rows: FloatMatrix, query: FloatMatrix, count: int) -> npt.NDArray[np.int64]:
        """The graph can be cut into parts (many equal rows do it); what cannot be reached is compared one by one."""
        return np.argsort(-(rows @ query), kind="stable")[:count]


def build(settings: Settings) -> VectorIndex:
    return FaissHnsw(settings)
