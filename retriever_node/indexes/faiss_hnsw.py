"""Approximate search in a navigable small-world graph over 8-bit vectors, re-scored exactly."""

from pathlib import Path
from typing import Annotated, Final

import faiss
import numpy as np
from pydantic import Field

from fedrag.core.config import Config
from fedrag.core.protocols import Neighbours, VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.faiss_files import read_index, write_index
from retriever_node.indexes.faiss_flat import FaissFlat
from retriever_node.openmp import openmp_threads
from retriever_node.rescoring import completed, rescored

_FILE: Final = "hnsw.faiss"


class Settings(Config):
    """`links` is HNSW's M. The best max(`rescored_minimum`, `rescored_per_result` · k) rows are scored again."""

    links: Annotated[int, Field(ge=4, le=64)] = 16
    ef_construction: Annotated[int, Field(ge=8, le=1000)] = 200
    ef_search: Annotated[int, Field(ge=8, le=4096)] = 192
    rescored_minimum: Annotated[int, Field(ge=1, le=4096)] = 30
    rescored_per_result: Annotated[int, Field(ge=1, le=100)] = 4
    exact_below: Annotated[int, Field(ge=0)] = 10_000
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
        if self._compares_every(rows):
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
        return rescored(rows, asked, completed(rows, asked, positions), k)

    def save(self, folder: Path) -> None:
        if self._indexed is not None:
            write_index(self._indexed[1], folder / _FILE)

    def load(self, folder: Path, vectors: FloatMatrix) -> None:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if not self._compares_every(rows):
            self._indexed = (rows, read_index(folder / _FILE, faiss.IndexHNSWSQ, *rows.shape))

    def _compares_every(self, rows: FloatMatrix) -> bool:
        if len(rows) >= max(1, self._settings.exact_below):
            return False
        self._exact.build(rows)
        self._indexed = None
        return True


def build(settings: Settings) -> VectorIndex:
    return FaissHnsw(settings)
