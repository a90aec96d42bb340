"""One collection, searchable: its stored vectors and terms, the index built from them, and the calibration of its
scores."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import structlog

from fedrag.core.collection import Prototype
from fedrag.core.errors import InputError
from fedrag.core.protocols import Encoder, Neighbours, RemovesRows, VectorIndex
from fedrag.core.question import PassageFilter
from fedrag.core.wire import FloatVector
from retriever_node import hybrid
from retriever_node.calibration import Calibration, Calibrations, fit
from retriever_node.generations import SavedGenerations
from retriever_node.lexical import ScoredTerms, Terms, TermStatistics
from retriever_node.passages import Field
from retriever_node.prototypes import prototypes
from retriever_node.rows import Rows
from retriever_node.store import PassageStore
from retriever_node.store.vectors import StoredVectors

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Hit:
    """The id of a passage that was found, and how near it is."""

    passage_id: int
    similarity: float
    comparable_with: str
    probability: float


@dataclass(frozen=True, slots=True)
class CommonTerms:
    """Statistics of terms that hospitals share, and what a similarity of words and vectors under them says here:
    `both`, fitted on `generation`."""

    epoch: str
    statistics: TermStatistics
    both: Calibration
    generation: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One generation, whole: its rows, the index of their vectors, and their words under the statistics of `epoch`,
    common ones or the collection's own. `content`: the store's fingerprint of it; None where the store had moved on
    before it was known. `compared`: what similarities of vectors alone may be compared with."""

    generation: int
    content: str | None
    rows: Rows
    index: VectorIndex
    scored: ScoredTerms | None
    epoch: str
    compared: str
    calibrations: Calibrations

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        return self.rows.ids

    def search(self, vector: FloatVector, question: Terms, k: int, wanted: PassageFilter | None) -> tuple[Hit, ...]:
        vectors, allowed = self.rows.vectors, self.rows.passing(wanted)
        if self.scored is not None and question:
            found = hybrid.best(self.index, vectors, self.scored.score(question), vector, k, allowed)
            return self._hits(found, self.comparable_with(question), self.calibrations.both)
        found = hybrid.nearest(self.index, vectors, vector, k, allowed)
        return self._hits(found, self.compared, self.calibrations.vectors)

    def comparable_with(self, question: Terms) -> str:
        return hybrid.comparable_with(self.compared, self.epoch) if self.scored and question else self.compared

    def _hits(self, found: Neighbours, comparable_with: str, calibration: Calibration) -> tuple[Hit, ...]:
        return tuple(
            Hit(int(self.ids[position]), float(similarity), comparable_with, calibration.probability(float(similarity)))
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
        self._common: CommonTerms | None = None
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
        return self._snapshot.epoch if self._words else None

    def comparable_with(self, question: Terms = ()) -> str:
        """What the similarities that `search` finds may be compared with."""
        return self._snapshot.comparable_with(question)

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
            self._snapshot = replace(before, calibrations=self._calibrations(self._store))
            return self._snapshot.calibrations != before.calibrations

    def own_statistics(self) -> TermStatistics:
        """Of the words of the snapshot that is searched; of none where words are not searched for."""
        terms = self._snapshot.rows.terms
        return terms.statistics() if terms is not None else TermStatistics(0, 0, {})

    def fitted_to(
        self, epoch: str, statistics: TermStatistics, encoder: Encoder, fields: Sequence[Field]
    ) -> CommonTerms | None:
        """These statistics with the calibration that they need here. None where words are not searched for, or the
        collection is moving on: then later. Takes seconds, and changes nothing."""
        snapshot = self._snapshot
        if snapshot.rows.terms is None:
            return None
        with self._reading() as store:
            stored = store.stored_vectors(self.id)
            if not np.array_equal(stored.ids, snapshot.ids):
                return None
            scored, rows = _scored(snapshot.rows, statistics), snapshot.rows
            made = fit(rows.ids, stored.documents, rows.vectors, store.passages, encoder, fields, scored=scored)
        return CommonTerms(epoch, statistics, made.both, snapshot.generation)

    @property
    def common(self) -> CommonTerms | None:
        """What it was last told to `share`."""
        return self._common

    def share(self, common: CommonTerms) -> None:
        """Score words with common statistics from now on; searches that run end with what they began with."""
        with self._building:
            before = self._snapshot
            scored = _scored(before.rows, common.statistics)
            self._common = common
            calibrations = self._calibrations(self._store)
            self._snapshot = replace(before, scored=scored, epoch=common.epoch, calibrations=calibrations)

    def prototypes(self) -> tuple[Prototype, ...]:
        """Of the snapshot that is searched; computed once per generation, and saved beside it."""
        with self._describing:
            snapshot = self._snapshot
            if self._prototypes is None or self._prototypes[0] != snapshot.generation:
                self._prototypes = (snapshot.generation, self._prototypes_of(snapshot))
            return self._prototypes[1]

    def described(self, content_sha256: str, now: datetime) -> tuple[int, datetime]:
        """Version and time of its description with this content (`PassageStore.described`)."""
        return self._store.described(self.id, content_sha256, now)

    def _prototypes_of(self, snapshot: Snapshot) -> tuple[Prototype, ...]:
        if self._saved is None or snapshot.content is None:
            return prototypes(snapshot.rows.vectors)
        place = self._saved.prototypes(snapshot.generation, snapshot.content)
        if (found := place.open()) is not None:
            return found
        if made := prototypes(snapshot.rows.vectors):
            place.save(made)
            if self._store.generation(self.id) != snapshot.generation:
                place.remove()  # who moved on meanwhile may have cleared up before they were there
        return made

    def _read(self, before: Snapshot | None) -> Snapshot:
        """What is saved of the store's generation; what is built of it, and then saved, where nothing is."""
        with self._reading() as store:
            calibrations = self._calibrations(store)
            generation, content = store.generation(self.id), store.fingerprint(self.id)
            index = self._index()
            if self._saved is not None and (rows := self._saved.open(generation, content, index)) is not None:
                return self._whole(generation, content, rows, index, calibrations)
            stored = store.stored_vectors(self.id)
            rows = Rows.read(stored.ids, stored.vectors, store.passages, words=self._words)
            if stored.generation != generation:
                content = store.fingerprint(self.id)
            known = content if store.generation(self.id) == stored.generation else None
        built = self._built(before, stored)
        rows, index = self._kept(rows, stored.generation, known, built)
        return self._whole(stored.generation, known, rows, index, calibrations)

    def _whole(
        self, generation: int, content: str | None, rows: Rows, index: VectorIndex, calibrations: Calibrations
    ) -> Snapshot:
        epoch, statistics = (self._common.epoch, self._common.statistics) if self._common else (hybrid.OWN, None)
        compared = self._store.encoder.comparable_with
        return Snapshot(generation, content, rows, index, _scored(rows, statistics), epoch, compared, calibrations)

    def _calibrations(self, store: PassageStore) -> Calibrations:
        fitted = store.calibrations(self.id)
        calibrations = fitted[1] if fitted else Calibrations()
        return replace(calibrations, both=self._common.both) if self._common else calibrations

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


def _scored(rows: Rows, common: TermStatistics | None) -> ScoredTerms | None:
    """With its own statistics, or with common ones and its own for terms that these do not count."""
    if rows.terms is None:
        return None
    own = rows.terms.statistics()
    return rows.terms.scored_with(own if common is None else replace(common, beyond=own))
