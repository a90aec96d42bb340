"""The passage store: one SQLite file per node that is the truth about its documents, passages and vectors.

Indexes are built from it and can always be thrown away. One document is one transaction, flushed to disk before `put`
returns, so a node that is killed has every document either wholly or not at all.

Callers know `PassageStore`; what each of its methods does stands in the part that is named after what it is about.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedrag.core.collection import EncoderIdentity
from fedrag.core.wire import FloatMatrix
from retriever_node.calibration import Calibrations
from retriever_node.documents import Document, Passage, PassageDraft
from retriever_node.facts import Fact
from retriever_node.store import catalogue, documents, forms, people, soundness, succession
from retriever_node.store.catalogue import Counts
from retriever_node.store.database import Database
from retriever_node.store.documents import StoredDocument
from retriever_node.store.forms import RedactedForm
from retriever_node.store.opening import open_database
from retriever_node.store.people import Provenance
from retriever_node.store.soundness import Problem
from retriever_node.store.vectors import StoredVectors, stored_vectors


class PassageStore:
    """Usable from several threads: one connection behind one lock, held for a single statement or transaction. Several
    processes may open the same file (write-ahead log): readers never wait, a second writer waits up to 30 seconds.

    Every method raises Unavailable (`store_unavailable`) when the file is locked or the disk is full, and
    IntegrityError (`corrupt_store`) when it is damaged.
    """

    def __init__(self, database: Database, encoder: EncoderIdentity) -> None:
        self._database = database
        self.encoder = encoder

    @classmethod
    def open(cls, path: Path, encoder: EncoderIdentity) -> "PassageStore":
        """Opens the store, or makes it, readable by its owner only.

        Raises ConfigError: `other_encoder` when its vectors were made by an encoder that cannot be compared with this
        one, `newer_format`, `store_unavailable`. Raises IntegrityError: `not_a_store`, `corrupt_store`.
        """
        return cls(open_database(path, encoder), encoder)

    def close(self) -> None:
        self._database.close()

    def checkpoint(self) -> bool:
        """Moves the write-ahead log into the file and empties it. False when another process was reading for so long
        that some of it is still there; the next one takes it."""
        return self._database.checkpoint()

    # Documents in and out

    def put(
        self,
        document: Document,
        passages: Sequence[PassageDraft],
        vectors: FloatMatrix,
        *,
        ingested_sha256: str | None = None,
    ) -> None:
        """Stores a document in place of any earlier one with its id; on disk when this returns.

        Raises IntegrityError (`bad_vectors`) unless `vectors` is one finite row of the encoder's dimension per passage.
        """
        documents.put(self._database, document, passages, vectors, self.encoder.dimension, ingested_sha256)

    def forget(self, collection: str, document_id: str) -> bool:
        """Deletes a document with its passages and vectors and overwrites their pages; False when there is none.
        Call `checkpoint` to take them out of the write-ahead log as well."""
        return documents.forget(self._database, collection, document_id)

    def documents(self, collection: str) -> dict[str, StoredDocument]:
        """Document id → what was ingested."""
        return documents.stored(self._database, collection)

    def document_hashes(self, collection: str) -> dict[str, str]:
        """Document id → fingerprint of what was ingested."""
        return {name: stored.ingested_sha256 for name, stored in self.documents(collection).items()}

    def passages(self, ids: Sequence[int]) -> tuple[Passage, ...]:
        """In the order asked for. A passage that has been forgotten is not among them."""
        return documents.passages_of(self._database, ids)

    def vectors(self, collection: str) -> tuple[npt.NDArray[np.int64], FloatMatrix]:
        """Passage ids (n,) and vectors (n, dimension)."""
        stored = self.stored_vectors(collection)
        return stored.ids, stored.vectors

    def stored_vectors(self, collection: str) -> StoredVectors:
        """One consistent view, whatever other threads and processes write meanwhile."""
        return stored_vectors(self._database, collection, self.encoder.dimension)

    # Whom they are about

    def provenance(self, ids: Sequence[int]) -> dict[int, Provenance]:
        """Passage id → whose records it is made from; no patients for documents that are about none."""
        return people.provenance(self._database, ids)

    def count_patients(self, collection: str) -> int:
        """Known ones whose records the collection holds."""
        return people.count_patients(self._database, collection)

    def identifiers(self, patient: str) -> tuple[str, ...]:
        """The strings known to name a patient; gone with their last document."""
        return people.identifiers(self._database, patient)

    def known(self, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Passage id → the strings known to name the patients it is about; only of passages that are about some."""
        return people.known(self._database, ids)

    def facts(self) -> dict[int, Fact]:
        """Number of a fact → what it states; of all collections."""
        return people.facts(self._database)

    def patients_with(self, facts: Collection[int], collections: Collection[str]) -> frozenset[int]:
        """Numbers of the patients of whom documents of these collections state at least one of the facts."""
        return people.patients_with(self._database, facts, collections)

    def patient_keys(self, patients: Collection[int]) -> tuple[str, ...]:
        """The stable keys of the patients with these numbers, in order of the keys."""
        return people.patient_keys(self._database, patients)

    # Redacted forms

    def redacted(self, ids: Sequence[int], redaction: str) -> dict[int, RedactedForm]:
        """Passage id → its redacted form. A form of another version, or one that is not to the last byte what was put,
        is none."""
        return forms.redacted(self._database, ids, redaction)

    def unredacted(self, collection: str, redaction: str, after: int, limit: int) -> tuple[int, ...]:
        """The first passages above the id `after` that have no form of this version."""
        return forms.unredacted(self._database, collection, redaction, after, limit)

    def count_unredacted(self, collection: str, redaction: str, after: int = 0) -> int:
        return forms.count_unredacted(self._database, collection, redaction, after)

    def put_redacted(self, made: Iterable[tuple[int, tuple[str, ...], RedactedForm | None]]) -> None:
        """Keeps forms in place of any earlier ones; None: the passage has none. With each comes what was known of its
        patients when it was made: where a passage is gone or more is known by now, its form is not kept."""
        forms.put(self._database, made)

    def forget_redacted(self, collection: str) -> None:
        """All forms of a collection."""
        forms.forget(self._database, collection)

    # Collections as a whole

    def collections(self) -> tuple[str, ...]:
        return catalogue.collections(self._database)

    def generation(self, collection: str) -> int:
        """Grows with every document put or forgotten; 0 for a collection never written to."""
        return catalogue.generation(self._database, collection)

    def counts(self, collection: str) -> Counts:
        return catalogue.counts(self._database, collection)

    def fingerprint(self, collection: str) -> str:
        """Of a collection's passages, without reading one: two stores with a common past may have the same generation
        and another content."""
        return catalogue.fingerprint(self._database, collection)

    def put_calibrations(self, collection: str, generation: int, fitted: Calibrations) -> None:
        """Keeps what was fitted on this generation; older ones are dropped."""
        catalogue.put_calibrations(self._database, collection, generation, fitted)

    def calibrations(self, collection: str) -> tuple[int, Calibrations] | None:
        """The newest and the generation they were fitted on; None when there never were any. A store of an earlier
        format knows none for words: they are then those of a generation before the first."""
        return catalogue.calibrations(self._database, collection)

    def described(self, collection: str, content_sha256: str, now: datetime) -> tuple[int, datetime]:
        """Version and time of the description with this content: those of the last one while the content stays the
        same, the next version and `now` when it has changed. Versions count from 1 and never go back."""
        return catalogue.described(self._database, collection, content_sha256, now)

    # Soundness, and what comes after

    def check(self) -> tuple[Problem, ...]:
        """Everything found wrong; empty when the store is sound. Reads the whole file."""
        return soundness.check(self._database, self.encoder.dimension)

    def unsound(self) -> tuple[tuple[str, str], ...]:
        """Collection and id of every document that is not, to the last byte, what was put, or cannot be searched."""
        return soundness.unsound(self._database, self.encoder.dimension)

    def mend(self) -> tuple[tuple[tuple[str, str], ...], int, int]:
        """Forgets the documents that are unsound, so that the next ingest brings them back, and takes out rows that
        belong to nothing, and redacted forms that are not what was put: which documents, how many rows, how many
        forms."""
        return soundness.mend(self._database, self.encoder.dimension)

    @property
    def document_key(self) -> bytes:
        """The secret from which ids of patients' documents are made; it is as old as the store and never leaves it."""
        return succession.document_key(self._database)

    def newest_passage(self) -> int:
        """The highest id that a passage was ever given; later ones have higher ids."""
        return succession.newest_passage(self._database)

    def continue_after(self, document_key: bytes, passage_id: int, generations: dict[str, int]) -> None:
        """Makes an empty store the successor of a lost one: the same ids for patients' documents, no passage id and no
        known generation a second time."""
        succession.continue_after(self._database, document_key, passage_id, generations)
