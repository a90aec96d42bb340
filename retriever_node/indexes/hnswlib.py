"""Approximate search in a navigable small-world graph over float32 vectors, by the authors of the algorithm."""

import os
from pathlib import Path
from typing import Annotated, Final

import hnswlib  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy as np
from pydantic import Field

from fedrag.core.config import Config
from fedrag.core.errors import IntegrityError
from fedrag.core.protocols import Neighbours, VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.indexes.faiss_flat import FaissFlat
from retriever_node.rescoring import Positions, completed, rescored

_FILE: Final = "graph.hnswlib"


class Settings(Config):
    """`links` is HNSW's M. The best max(`rescored_minimum`, `rescored_per_result` · k) rows are scored again."""

    links: Annotated[int, Field(ge=4, le=64)] = 16
    ef_construction: Annotated[int, Field(ge=8, le=1000)] = 200
    ef_search: Annotated[int, Field(ge=8, le=4096)] = 192
    rescored_minimum: Annotated[int, Field(ge=1, le=4096)] = 20
    rescored_per_result: Annotated[int, Field(ge=1, le=100)] = 2
    exact_below: Annotated[int, Field(ge=0)] = 10_000
    """With fewer rows than this every row is compared."""
    build_threads: Annotated[int, Field(ge=1, le=64)] = 1
    """With one thread the same rows always make the same graph."""


class Hnswlib:
    """Inner product over unit vectors. The graph keeps the rows in full, so scoring again costs little and gains the
    one order of ties (Malkov and Yashunin 2018)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._exact = FaissFlat()
        self._indexed: tuple[FloatMatrix, hnswlib.Index] | None = None

    def build(self, vectors: FloatMatrix) -> None:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if self._compares_every(rows):
            return
        settings = self._settings
        index = hnswlib.Index(space="ip", dim=rows.shape[1])
        index.init_index(len(rows), M=settings.links, ef_construction=settings.ef_construction, random_seed=0)
        index.set_ef(settings.ef_search)
        index.add_items(rows, np.arange(len(rows)), num_threads=settings.build_threads)
        self._indexed = (rows, index)

    def search(self, queries: FloatMatrix, k: int) -> Neighbours:
        if self._indexed is None:
            return self._exact.search(queries, k)
        rows, index = self._indexed
        settings = self._settings
        fetched = min(len(rows), max(settings.rescored_minimum, settings.rescored_per_result * k))
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        positions = np.full((len(asked), fetched), -1, dtype=np.int64)
        for number, query in enumerate(asked):
            positions[number] = _reached(index, query[None, :], fetched)
        return rescored(rows, asked, completed(rows, asked, positions), k)

    def save(self, folder: Path) -> None:
        if self._indexed is not None:
            index, path = self._indexed[1], folder / _FILE
            index.save_index(os.fspath(path))
            if path.stat().st_size != index.index_file_size():  # it does not say when a disk is full
                raise OSError("the index was not written in full")

    def load(self, folder: Path, vectors: FloatMatrix) -> None:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if self._compares_every(rows):
            return
        index = hnswlib.Index(space="ip", dim=rows.shape[1])
        try:
            index.load_index(os.fspath(folder / _FILE))
        except RuntimeError:
            raise IntegrityError("the index file cannot be read") from None
        if index.get_current_count() != len(rows) or not np.array_equal(index.get_items([0])[0], rows[0]):
            raise IntegrityError("the index file is not of these rows")
        index.set_ef(self._settings.ef_search)
        self._indexed = (rows, index)

    def _compares_every(self, rows: FloatMatrix) -> bool:
        if len(rows) >= max(1, self._settings.exact_below):
            return False
        self._exact.build(rows)
        self._indexed = None
        return True


def _reached(index: hnswlib.Index, query: FloatMatrix, count: int) -> Positions | int:
    try:
        found, _ = index.knn_query(query, count, num_threads=1)
    except RuntimeError:  # fewer than that many rows can be reached
        return -1
    positions: Positions = found[0].astype(np.int64)
    return positions


def build(settings: Settings) -> VectorIndex:
    return Hnswlib(settings)
