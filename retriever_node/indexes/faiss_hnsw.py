"""Approximate search in a navigable small-world graph over 8-bit vectors, re-scored exactly."""

from pathlib import Path
from typing import Annotated, Final, cast

import faiss
from pydantic import Field

from fedrag.core.protocols import VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.approximate import Approximate, ApproximateSettings
from retriever_node.faiss_files import read_index, write_index
from retriever_node.openmp import openmp_threads
from retriever_node.rescoring import Positions

_FILE: Final = "hnsw.faiss"


class Settings(ApproximateSettings):
    """`links` is HNSW's M. With one of `build_threads` the same rows always make the same graph."""

    links: Annotated[int, Field(ge=4, le=64)] = 16
    ef_construction: Annotated[int, Field(ge=8, le=1000)] = 200
    ef_search: Annotated[int, Field(ge=8, le=4096)] = 192


class FaissHnsw(Approximate[Settings, faiss.IndexHNSWSQ]):
    """FAISS `HNSW{M}_SQ8`, inner product. 8 bits per number cost about one per cent of recall, which scoring the best
    candidates again from the float32 rows gives back (Malkov and Yashunin 2018 for the graph)."""

    def _built(self, rows: FloatMatrix) -> faiss.IndexHNSWSQ:
        bits = faiss.ScalarQuantizer.QT_8bit
        links, metric = self._settings.links, faiss.METRIC_INNER_PRODUCT
        index = faiss.IndexHNSWSQ(rows.shape[1], bits, links, metric)  # type: ignore[arg-type]  # FAISS's stub is wrong
        index.hnsw.efConstruction = self._settings.ef_construction
        with openmp_threads(self._settings.build_threads):
            index.train(rows)
            index.add(rows)
        return index

    def _candidates(self, index: faiss.IndexHNSWSQ, queries: FloatMatrix, count: int) -> Positions:
        parameters = faiss.SearchParametersHNSW(  # type: ignore[attr-defined]  # FAISS's stub lacks it
            efSearch=max(self._settings.ef_search, count)
        )
        with openmp_threads(1):
            _, positions = index.search(queries, count, params=parameters)
        return cast(Positions, positions)

    def _write(self, index: faiss.IndexHNSWSQ, folder: Path) -> None:
        write_index(index, folder / _FILE)

    def _read(self, folder: Path, rows: FloatMatrix) -> faiss.IndexHNSWSQ:
        return read_index(folder / _FILE, faiss.IndexHNSWSQ, *rows.shape)


def build(settings: Settings) -> VectorIndex:
    return FaissHnsw(settings)
