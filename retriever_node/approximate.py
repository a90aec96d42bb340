"""What approximate indexes share: few rows are compared one by one, of many the best candidates are scored again."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import numpy as np
from pydantic import Field

from fedrag.core.config import Config
from fedrag.core.protocols import Neighbours
from fedrag.core.wire import FloatMatrix
from retriever_node.indexes.faiss_flat import FaissFlat
from retriever_node.rescoring import Positions, completed, rescored


class ApproximateSettings(Config):
    """The best max(`rescored_minimum`, `rescored_per_result` · k) rows are scored again."""

    rescored_minimum: Annotated[int, Field(ge=1, le=4096)] = 30
    rescored_per_result: Annotated[int, Field(ge=1, le=100)] = 4
    exact_below: Annotated[int, Field(ge=0)] = 10_000
    """With fewer rows than this every row is compared."""
    build_threads: Annotated[int, Field(ge=1, le=64)] = 1


Chosen = TypeVar("Chosen", bound=ApproximateSettings)
Library = TypeVar("Library")
"""The index of a library, which an index here is made around."""


class Approximate(ABC, Generic[Chosen, Library]):
    """A vector index whose candidates come from a library's."""

    def __init__(self, settings: Chosen) -> None:
        self._settings = settings
        self._exact = FaissFlat()
        self._indexed: tuple[FloatMatrix, Library] | None = None

    @abstractmethod
    def _built(self, rows: FloatMatrix) -> Library: ...

    @abstractmethod
    def _candidates(self, index: Library, queries: FloatMatrix, count: int) -> Positions:
        """(queries, count) rows, about the nearest; -1 where none was reached."""

    @abstractmethod
    def _write(self, index: Library, folder: Path) -> None: ...

    @abstractmethod
    def _read(self, folder: Path, rows: FloatMatrix) -> Library: ...

    def build(self, vectors: FloatMatrix) -> None:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if not self._compares_every(rows):
            self._indexed = (rows, self._built(rows))

    def search(self, queries: FloatMatrix, k: int) -> Neighbours:
        if self._indexed is None:
            return self._exact.search(queries, k)
        rows, index = self._indexed
        count = min(len(rows), max(self._settings.rescored_minimum, self._settings.rescored_per_result * k))
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        return rescored(rows, asked, completed(rows, asked, self._candidates(index, asked, count)), k)

    def save(self, folder: Path) -> None:
        if self._indexed is not None:
            self._write(self._indexed[1], folder)

    def load(self, folder: Path, vectors: FloatMatrix) -> None:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if not self._compares_every(rows):
            self._indexed = (rows, self._read(folder, rows))

    def _compares_every(self, rows: FloatMatrix) -> bool:
        if len(rows) >= max(1, self._settings.exact_below):
            return False
        self._exact.build(rows)
        self._indexed = None
        return True
