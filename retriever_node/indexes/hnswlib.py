"""Approximate search in a navigable small-world graph over float32 vectors, by the authors of the algorithm."""

import os
from pathlib import Path
from typing import Annotated, Final

import hnswlib  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy as np
from pydantic import Field

from fedrag.core.errors import IntegrityError
from fedrag.core.protocols import VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.approximate import Approximate, ApproximateSettings
from retriever_node.rescoring import Positions

_FILE: Final = "graph.hnswlib"


class Settings(ApproximateSettings):
    """`links` is HNSW's M. With one of `build_threads` the same rows always make the same graph."""

    links: Annotated[int, Field(ge=4, le=64)] = 16
    ef_construction: Annotated[int, Field(ge=8, le=1000)] = 200
    ef_search: Annotated[int, Field(ge=8, le=4096)] = 192
    rescored_minimum: Annotated[int, Field(ge=1, le=4096)] = 20
    rescored_per_result: Annotated[int, Field(ge=1, le=100)] = 2


class Hnswlib(Approximate[Settings, hnswlib.Index]):
    """Inner product over unit vectors. The graph keeps the rows in full, so scoring again costs little and gains the
    one order of ties (Malkov and Yashunin 2018)."""

    def _built(self, rows: FloatMatrix) -> hnswlib.Index:
        settings = self._settings
        index = hnswlib.Index(space="ip", dim=rows.shape[1])
        index.init_index(len(rows), M=settings.links, ef_construction=settings.ef_construction, random_seed=0)
        index.set_ef(settings.ef_search)
        index.add_items(rows, np.arange(len(rows)), num_threads=settings.build_threads)
        return index

    def _candidates(self, index: hnswlib.Index, queries: FloatMatrix, count: int) -> Positions:
        positions = np.full((len(queries), count), -1, dtype=np.int64)
        for number, query in enumerate(queries):
            positions[number] = _reached(index, query[None, :], count)
        return positions

    def _write(self, index: hnswlib.Index, folder: Path) -> None:
        path = folder / _FILE
        index.save_index(os.fspath(path))
        if path.stat().st_size != index.index_file_size():  # it does not say when a disk is full
            raise OSError("the index was not written in full")

    def _read(self, folder: Path, rows: FloatMatrix) -> hnswlib.Index:
        index = hnswlib.Index(space="ip", dim=rows.shape[1])
        try:
            index.load_index(os.fspath(folder / _FILE))
        except RuntimeError:
            raise IntegrityError("the index file cannot be read") from None
        if index.get_current_count() != len(rows) or not np.array_equal(index.get_items([0])[0], rows[0]):
            raise IntegrityError("the index file is not of these rows")
        index.set_ef(self._settings.ef_search)
        return index


def _reached(index: hnswlib.Index, query: FloatMatrix, count: int) -> Positions | int:
    try:
        found, _ = index.knn_query(query, count, num_threads=1)
    except RuntimeError:  # fewer than that many rows can be reached
        return -1
    positions: Positions = found[0].astype(np.int64)
    return positions


def build(settings: Settings) -> VectorIndex:
    return Hnswlib(settings)
