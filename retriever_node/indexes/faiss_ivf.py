"""Approximate search in inverted lists: the rows around the centroids nearest to the query, re-scored exactly."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, cast

import faiss
import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedrag.core.protocols import VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.approximate import Approximate, ApproximateSettings
from retriever_node.faiss_files import read_index, write_index
from retriever_node.openmp import openmp_threads
from retriever_node.rescoring import Positions

_FILE: Final = "ivf.faiss"
_LISTS_PER_ROOT: Final = 4
MINIMUM_MEMBERS: Final = 5
"""Of a list that has lost rows, as of a prototype: a mean of fewer says too much of each."""


class Codes(StrEnum):
    """How a row is kept in its list."""

    SQ8 = "sq8"
    """8 bits per number, a quarter of the memory."""
    FLAT = "flat"
    """float32."""


class Settings(ApproximateSettings):
    """The rows of the `probes` lists nearest to the query are compared with it."""

    lists: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Not given: four times the square root of the number of rows."""
    probes: Annotated[int, Field(ge=1, le=65_536)] = 64
    codes: Codes = Codes.SQ8
    rows_per_list: Annotated[int, Field(ge=1, le=1000)] = 64
    """So many rows for each list are enough to find the centroids."""


class FaissIvf(Approximate[Settings, faiss.IndexIVF]):
    """FAISS `IVF{lists}`, inner product, spherical k-means (Jégou et al. 2011 for the inverted lists). Rows can be
    removed; the lists stay those that were trained, unless one that loses rows has so few that its centroid would tell
    what they were."""

    def _built(self, rows: FloatMatrix) -> faiss.IndexIVF:
        lists = min(len(rows), self._settings.lists or round(_LISTS_PER_ROOT * len(rows) ** 0.5))
        index = self._untrained(rows.shape[1], lists)
        index.cp.min_points_per_centroid = 1  # a list of few rows is nothing to warn about
        index.cp.max_points_per_centroid = self._settings.rows_per_list
        with openmp_threads(self._settings.build_threads):
            index.train(rows)
            index.add(rows)
        return index

    def _candidates(self, index: faiss.IndexIVF, queries: FloatMatrix, count: int) -> Positions:
        enough = -(-2 * count * index.nlist // index.ntotal)  # lists of average length that hold twice as many rows
        parameters = faiss.SearchParametersIVF(  # type: ignore[call-arg]  # FAISS's stub is wrong
            nprobe=min(index.nlist, max(self._settings.probes, enough))
        )
        with openmp_threads(1):
            _, positions = index.search(queries, count, params=parameters)
        return cast(Positions, positions)

    def _write(self, index: faiss.IndexIVF, folder: Path) -> None:
        write_index(index, folder / _FILE)

    def _read(self, folder: Path, rows: FloatMatrix) -> faiss.IndexIVF:
        return read_index(folder / _FILE, faiss.IndexIVF, *rows.shape)

    def without(self, positions: Positions, vectors: FloatMatrix) -> VectorIndex:
        other = FaissIvf(self._settings)
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if other._compares_every(rows) or self._indexed is None:
            return other
        before, index = self._indexed
        stays = np.ones(len(before), dtype=bool)
        stays[positions] = False
        if _smallest_losing(index, stays) < MINIMUM_MEMBERS:
            other.build(rows)
        else:
            other._indexed = (rows, _with_rows(index, stays))
        return other

    def _untrained(self, dimension: int, lists: int) -> faiss.IndexIVF:
        centroids, metric = faiss.IndexFlatIP(dimension), faiss.METRIC_INNER_PRODUCT
        if self._settings.codes is Codes.FLAT:
            return faiss.IndexIVFFlat(centroids, dimension, lists, metric)
        return faiss.IndexIVFScalarQuantizer(centroids, dimension, lists, faiss.ScalarQuantizer.QT_8bit, metric)


def _smallest_losing(index: faiss.IndexIVF, stays: npt.NDArray[np.bool_]) -> int:
    """How many rows are in the smallest of the lists that lose one."""
    lists = cast(faiss.InvertedLists, index.invlists)
    smallest = len(stays)
    for number in range(index.nlist):
        size = lists.list_size(number)
        if size and not stays[faiss.rev_swig_ptr(lists.get_ids(number), size)].all():
            smallest = min(smallest, size)
    return smallest


def _with_rows(index: faiss.IndexIVF, stays: npt.NDArray[np.bool_]) -> faiss.IndexIVF:
    """The same lists with the rows that stay, numbered anew. FAISS's own removal writes into the lists, which may be
    those of a file."""
    fewer = cast(faiss.IndexIVF, faiss.clone_index(index))
    before, after = cast(faiss.InvertedLists, index.invlists), faiss.ArrayInvertedLists(index.nlist, index.code_size)
    numbers = np.cumsum(stays) - 1
    for number in range(index.nlist):
        size = before.list_size(number)
        rows = faiss.rev_swig_ptr(before.get_ids(number), size) if size else np.empty(0, dtype=np.int64)
        kept = stays[rows]
        if kept.any():
            codes = faiss.rev_swig_ptr(before.get_codes(number), size * index.code_size)
            moved = numbers[rows[kept]]
            entries = np.ascontiguousarray(codes.reshape(size, -1)[kept])
            after.add_entries(number, len(moved), faiss.swig_ptr(moved), faiss.swig_ptr(entries))
    after.this.disown()  # type: ignore[attr-defined]  # FAISS's stub lacks it
    fewer.replace_invlists(after, True)
    fewer.ntotal = int(stays.sum())
    return fewer


def build(settings: Settings) -> VectorIndex:
    return FaissIvf(settings)
