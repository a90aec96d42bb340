"""One collection, searchable: its stored vectors and terms, the index built from them, and the calibration of its
scores."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import structlog

from fedrag.core.collection import Prototype
from fedrag.core.errors import InputError
from fedrag.core.protocols import Neighbours, RemovesRows, VectorIndex
from fedrag.core.question import PassageFilter
from fedrag.core.wire import FloatVector
from retriever_node import hybrid
from retriever_node.calibration import Calibration, Calibrations
from retriever_node.generations import SavedGenerations
from retriever_node.lexical import ScoredTerms, Terms
from retriever_node.prototypes import prototypes
from retriever_node.rows import Rows
from retriever_node.store import PassageStore, StoredVectors

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Hit:
    """The id of a passage that was found, and how near it is."""

    passage_id: int
    similarity: float
    probability: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One generation, whole: its rows, the index of their vectors, and their words under the collection's own
    statistics."""

    generation: int
    rows: Rows
    index: VectorIndex
    scored: ScoredTerms | None
    calibrations: Calibrations

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        return self.rows.ids

    def search(self, vector: FloatVector, question: Terms, k: int, wanted: PassageFilter | None) -> tuple[Hit, ...]:
        vectors, allowed = self.rows.vectors, self.rows.passing(wanted)
        if self.scored is not None and question:
            found = hybrid.best(self.index, vectors, self.scored.score(question), vector, k, allowed)
            return self._hits(found, self.calibrations.both)
        return self._hits(hybrid.nearest(self.index, vectors, vector, k, allowed), self.calibrations.vectors)

    def _hits(self, found: Neighbours, calibration: Calibration) -> tuple[Hit, ...]:
        return tuple(
            Hit(int(self.ids[position]), float(similarity), calibration.probability(float(similarity)))
            for position, similarity in zip(found.positions[0], found.similarities[0], strict=True)
            if position >= 0
        )


class Collection:
    """Searches see one snapshot from beginning to end; `refresh` builds the next one aside and then puts it in place.
    A passage that was forgotten since is in no result, whatever the snapshot holds.

    Usable from several threads; no search waits for a build.
    """

    def __init__(
        self,
        store: PassageStore,
        collection_id: str,
        index: Callable[[], VectorIndex],
        saved: SavedGenerations | None = None,
        reader: Callable[[], PassageStore] | None = None,
        *,
        words: bool = False,
    ) -> None:
        self.id = collection_id
        self._store = store
        self._index = index
        self._saved = saved
        self._reader = reader
        self._words = words
        self._building = threading.Lock()
        self._describing = threading.Lock()
        self._snapshot = self._read(None)
        self._prototypes: tuple[int, tuple[Prototype, ...]] | None = None

    @classmethod
    def open(
        cls,
        store: PassageStore,
        collection_id: str,
        index: Callable[[], VectorIndex],
        saved: SavedGenerations | None = None,
        reader: Callable[[], PassageStore] | None = None,
        *,
        words: bool = False,
    ) -> "Collection":
        """Searchable when it returns: at once where the store's generation is saved whole, else when it is built.

        Args:
            index: makes an empty index: `lambda: INDEXES.build("faiss_hnsw")`.
            saved: where built generations are kept; None builds anew at each start.
            reader: opens the store once more. What a build reads then holds up no search; closed again afterwards.
            words: searches look for the question's words too, where it is told them.
        """
        return cls(store, collection_id, index, saved, reader, words=words)

    @property
    def generation(self) -> int:
        """Of the snapshot that is searched."""
        return self._snapshot.generation

    @property
    def calibrations(self) -> Calibrations:
        return self._snapshot.calibrations

    def __len__(self) -> int:
        """Passages that can be found."""
        return len(self._snapshot.ids)

    @property
    def term_statistics_epoch(self) -> str | None:
        """Whose statistics words are scored with; None where words are not searched for."""
        return hybrid.OWN if self._words else None

    def comparable_with(self, question: Terms = ()) -> str:
        """What the similarities that `search` finds may be compared with."""
        encoder = self._store.encoder.comparable_with
        return hybrid.comparable_with(encoder) if self._words and question else encoder

    def search(
        self, vector: FloatVector, k: int, question: Terms = (), wanted: PassageFilter | None = None
    ) -> tuple[Hit, ...]:
        """At most k hits among the passages whose dates are wanted, most similar first, ties by document id and offset;
        by words and vectors where the question's terms are given and words are searched for, else by vectors alone.

        Raises InputError: `wrong_dimension`, `not_a_unit_vector`.
        """
        if vector.shape != (self._store.encoder.dimension,):
            raise InputError(f"the vector has shape {vector.shape}", code="wrong_dimension")
        if not abs(float(np.linalg.norm(vector)) - 1) < 1e-3:
            raise InputError("the vector does not have length 1", code="not_a_unit_vector")
        snapshot, asked = self._snapshot, k
        while True:
            hits = snapshot.search(vector, question, asked, wanted)
            if self._store.generation(self.id) == snapshot.generation:
                return hits[:k]
            there = {passage.passage_id for passage in self._store.passages([hit.passage_id for hit in hits])}
            kept = tuple(hit for hit in hits if hit.passage_id in there)[:k]
            if len(kept) == k or asked >= len(snapshot.ids):
                return kept
            asked = min(4 * asked, len(snapshot.ids))

    def refresh(self) -> bool:
        """Moves on to the generation and calibrations that the store has now; False when there was nothing new. It ends
        with that generation, however much is ingested meanwhile; who calls during a build waits for it, and builds
        again only for what that build had not seen.

        Searches go on in the old snapshot meanwhile. Text of a forgotten passage is gone from the store at once.
        """
        wanted = self._store.generation(self.id)
        with self._building:
            before = self._snapshot
            if before.generation < wanted:
                self._snapshot = self._read(before)
                return True
            fitted = self._store.calibrations(self.id)
            calibrations = fitted[1] if fitted else Calibrations()
            self._snapshot = replace(before, calibrations=calibrations)
            return calibrations != before.calibrations

    def prototypes(self) -> tuple[Prototype, ...]:
        """Of the snapshot that is searched; computed once per generation."""
        with self._describing:
            snapshot = self._snapshot
            if self._prototypes is None or self._prototypes[0] != snapshot.generation:
                self._prototypes = (snapshot.generation, prototypes(snapshot.rows.vectors))
            return self._prototypes[1]

    def described(self, content_sha256: str, now: datetime) -> tuple[int, datetime]:
        """Version and time of its description with this content (`PassageStore.described`)."""
        return self._store.described(self.id, content_sha256, now)

    def _read(self, before: Snapshot | None) -> Snapshot:
        """What is saved of the store's generation; what is built of it, and then saved, where nothing is."""
        with self._reading() as store:
            fitted = store.calibrations(self.id)
            calibrations = fitted[1] if fitted else Calibrations()
            generation, content = store.generation(self.id), store.fingerprint(self.id)
            index = self._index()
            if self._saved is not None and (rows := self._saved.open(generation, content, index)) is not None:
                return Snapshot(generation, rows, index, _scored(rows), calibrations)
            stored = store.stored_vectors(self.id)
            rows = Rows.read(stored.ids, stored.vectors, store.passages, words=self._words)
            if stored.generation != generation:
                content = store.fingerprint(self.id)
            known = content if store.generation(self.id) == stored.generation else None
        built = self._built(before, stored)
        rows, index = self._kept(rows, stored.generation, known, built)
        return Snapshot(stored.generation, rows, index, _scored(rows), calibrations)

    def _reading(self) -> AbstractContextManager[PassageStore]:
        return nullcontext(self._store) if self._reader is None else closing(self._reader())

    def _built(self, before: Snapshot | None, stored: StoredVectors) -> VectorIndex:
        """Where passages have only gone, an index that can follow does; a passage never changes under its id."""
        if before is not None and isinstance(before.index, RemovesRows):
            stays = np.isin(before.ids, stored.ids)
            if np.array_equal(before.ids[stays], stored.ids):
                return before.index.without(np.flatnonzero(~stays), stored.vectors)
        index = self._index()
        index.build(stored.vectors)
        return index

    def _kept(self, rows: Rows, generation: int, content: str | None, index: VectorIndex) -> tuple[Rows, VectorIndex]:
        """Saved, where there is a place for it; else as it is, with nothing left on disk of what came before. Without a
        known content it has no name to be saved under: the store has moved on, and so will the next refresh."""
        if self._saved is None:
            return rows, index
        if content is None or not len(rows.ids):
            self._saved.remove()
            return rows, index
        loaded = self._index()
        kept = self._saved.save(generation, content, rows, index, loaded)
        if kept is None:
            _log.warning("index_not_saved", collection=self.id, generation=generation)
            return rows, index
        return kept, loaded


def _scored(rows: Rows) -> ScoredTerms | None:
    return rows.terms.scored_with(rows.terms.statistics()) if rows.terms is not None else None
