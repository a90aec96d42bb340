"""One collection, searchable: its stored vectors, the index built from them, and the calibration of its scores."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from fedrag.core.collection import Prototype
from fedrag.core.errors import InputError
from fedrag.core.protocols import VectorIndex
from fedrag.core.wire import FloatMatrix, FloatVector
from retriever_node.calibration import DEFAULT, Calibration
from retriever_node.prototypes import prototypes
from retriever_node.store import PassageStore


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage a search found. It has no wire form: what leaves a hospital is an offer or a release."""

    passage_id: int
    similarity: float
    probability: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One generation, whole. `ids[position]` is the passage of the index's row."""

    generation: int
    ids: npt.NDArray[np.int64]
    vectors: FloatMatrix
    index: VectorIndex
    calibration: Calibration


class Collection:
    """Searches see one snapshot from beginning to end; `refresh` builds the next one aside and then puts it in place.

    Usable from several threads.
    """

    def __init__(self, store: PassageStore, collection_id: str, index: Callable[[], VectorIndex]) -> None:
        self.id = collection_id
        self._store = store
        self._index = index
        self._building = threading.Lock()
        self._snapshot = self._read()
        self._prototypes: tuple[int, tuple[Prototype, ...]] | None = None

    @classmethod
    def open(cls, store: PassageStore, collection_id: str, index: Callable[[], VectorIndex]) -> "Collection":
        """`index` makes an empty index: `lambda: INDEXES.build("faiss_hnsw")`."""
        return cls(store, collection_id, index)

    @property
    def generation(self) -> int:
        """Of the snapshot that is searched."""
        return self._snapshot.generation

    @property
    def calibration(self) -> Calibration:
        return self._snapshot.calibration

    def __len__(self) -> int:
        """Passages that can be found."""
        return len(self._snapshot.ids)

    def search(self, vector: FloatVector, k: int) -> tuple[Hit, ...]:
        """At most k hits, most similar first, ties by document id and offset.

        Raises InputError: `wrong_dimension`, `not_a_unit_vector`.
        """
        if vector.shape != (self._store.encoder.dimension,):
            raise InputError(f"the vector has shape {vector.shape}", code="wrong_dimension")
        if not abs(float(np.linalg.norm(vector)) - 1) < 1e-3:
            raise InputError("the vector does not have length 1", code="not_a_unit_vector")
        snapshot = self._snapshot
        found = snapshot.index.search(vector[None, :], k)
        return tuple(
            Hit(int(snapshot.ids[position]), float(similarity), snapshot.calibration.probability(float(similarity)))
            for position, similarity in zip(found.positions[0], found.similarities[0], strict=True)
            if position >= 0
        )

    def refresh(self) -> bool:
        """Moves on to the store's present generation and calibration; False when there was nothing new.

        Searches go on in the old snapshot meanwhile. Text of a forgotten passage is gone from the store at once.
        """
        with self._building:
            fitted = self._store.calibration(self.id)
            same_calibration = (fitted[1] if fitted else DEFAULT) == self._snapshot.calibration
            if self._store.generation(self.id) == self._snapshot.generation and same_calibration:
                return False
            self._snapshot = self._read()
            return True

    def prototypes(self) -> tuple[Prototype, ...]:
        """Of the snapshot that is searched; computed once per generation."""
        with self._building:
            snapshot = self._snapshot
            if self._prototypes is None or self._prototypes[0] != snapshot.generation:
                self._prototypes = (snapshot.generation, prototypes(snapshot.vectors))
            return self._prototypes[1]

    def described(self, content_sha256: str, now: datetime) -> tuple[int, datetime]:
        """Version and time of its description with this content (`PassageStore.described`)."""
        return self._store.described(self.id, content_sha256, now)

    def _read(self) -> Snapshot:
        stored = self._store.stored_vectors(self.id)
        fitted = self._store.calibration(self.id)
        index = self._index()
        index.build(stored.vectors)
        return Snapshot(stored.generation, stored.ids, stored.vectors, index, fitted[1] if fitted else DEFAULT)
