"""The passage store: one SQLite file per node that is the truth about its documents, passages and vectors.

Indexes are built from it and can always be thrown away. One document is one transaction, flushed to disk before `put`
returns, so a node that is killed has every document either wholly or not at all.
"""

import hashlib
import json
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from fedrag.core.collection import EncoderIdentity
from fedrag.core.errors import ConfigError, IntegrityError, Unavailable
from fedrag.core.wire import FloatMatrix
from retriever_node.calibration import Calibration, Calibrations
from retriever_node.documents import Document, Passage, PassageDraft
from retriever_node.facts import Fact

_APPLICATION_ID: Final = 0x66726167
_KEY_BYTES: Final = 32
_BUSY_MS: Final = 30_000
_AT_ONCE: Final = 500

_FIRST_FORMAT: Final = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE collections (
    collection TEXT PRIMARY KEY,
    generation INTEGER NOT NULL DEFAULT 0,
    description_version INTEGER NOT NULL DEFAULT 0,
    description_sha256 TEXT NOT NULL DEFAULT '',
    described_at TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE calibrations (
    collection TEXT NOT NULL REFERENCES collections,
    generation INTEGER NOT NULL,
    slope REAL NOT NULL,
    intercept REAL NOT NULL,
    PRIMARY KEY (collection, generation)
) STRICT;
CREATE TABLE documents (
    document INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT NOT NULL REFERENCES collections,
    document_id TEXT NOT NULL,
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    version TEXT NOT NULL,
    effective_date TEXT,
    source TEXT NOT NULL,
    ingested_sha256 TEXT NOT NULL,
    UNIQUE (collection, document_id)
) STRICT;
CREATE TABLE passages (
    passage_id INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    section TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX passages_of_document ON passages (document);
CREATE TABLE vectors (
    passage_id INTEGER PRIMARY KEY REFERENCES passages ON DELETE CASCADE,
    vector BLOB NOT NULL
) STRICT;
"""

_WITH_PROVENANCE: Final = """
ALTER TABLE documents ADD COLUMN encounter TEXT NOT NULL DEFAULT '';
CREATE TABLE patients (
    patient INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    identifiers TEXT NOT NULL
) STRICT;
CREATE TABLE patients_of_documents (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    patient INTEGER NOT NULL REFERENCES patients,
    PRIMARY KEY (document, patient)
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_of_patient ON patients_of_documents (patient);
CREATE TRIGGER patient_without_documents AFTER DELETE ON patients_of_documents
WHEN NOT EXISTS (SELECT 1 FROM patients_of_documents WHERE patient = OLD.patient)
BEGIN DELETE FROM patients WHERE patient = OLD.patient; END;
"""

_WITH_WORDS: Final = """
ALTER TABLE calibrations ADD COLUMN both_slope REAL;
ALTER TABLE calibrations ADD COLUMN both_intercept REAL;
"""

_WITH_CHECKSUMS: Final = """
ALTER TABLE documents ADD COLUMN rows_sha256 TEXT NOT NULL DEFAULT ''
"""

_WITH_REDACTED: Final = """
CREATE TABLE redacted (
    passage_id INTEGER PRIMARY KEY REFERENCES passages ON DELETE CASCADE,
    redaction TEXT NOT NULL,
    form TEXT NOT NULL,
    sha256 TEXT NOT NULL
) STRICT;
CREATE TRIGGER patient_known_better AFTER UPDATE OF identifiers ON patients WHEN OLD.identifiers <> NEW.identifiers
BEGIN DELETE FROM redacted WHERE passage_id IN
    (SELECT passage_id FROM passages JOIN patients_of_documents USING (document) WHERE patient = NEW.patient); END;
"""

_WITH_FACTS: Final = """
CREATE TABLE facts (
    fact INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    system TEXT NOT NULL,
    code TEXT NOT NULL,
    label TEXT NOT NULL,
    UNIQUE (kind, system, code, label)
) STRICT;
CREATE TABLE facts_of_documents (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    fact INTEGER NOT NULL REFERENCES facts,
    PRIMARY KEY (document, fact)
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_of_fact ON facts_of_documents (fact);
CREATE TRIGGER fact_without_documents AFTER DELETE ON facts_of_documents
WHEN NOT EXISTS (SELECT 1 FROM facts_of_documents WHERE fact = OLD.fact)
BEGIN DELETE FROM facts WHERE fact = OLD.fact; END;
"""

_STEPS: Final = (_FIRST_FORMAT, _WITH_PROVENANCE, _WITH_WORDS, _WITH_CHECKSUMS, _WITH_REDACTED, _WITH_FACTS)
"""What each format adds to the one before it: a new store takes all steps, an older one those it has not taken."""

_CHECKSUMS_SINCE: Final = 4
FORMAT: Final = len(_STEPS)

_PASSAGES: Final = """
SELECT passage_id, collection, document_id, name, title, section, version, effective_date, start, "end", text
FROM passages JOIN documents USING (document)
"""

_PROVENANCE: Final = """
SELECT passage_id, encounter, json_group_array(key) FILTER (WHERE key IS NOT NULL)
FROM passages JOIN documents USING (document)
LEFT JOIN patients_of_documents USING (document) LEFT JOIN patients USING (patient)
"""

_KNOWN: Final = """
SELECT passage_id, json_group_array(identifiers)
FROM passages JOIN patients_of_documents USING (document) JOIN patients USING (patient)
"""

_FORMS: Final = "SELECT passage_id, redaction, form, sha256 FROM redacted"
_UNREDACTED: Final = """
FROM passages CROSS JOIN documents USING (document) LEFT JOIN redacted USING (passage_id)
WHERE collection = ? AND passage_id > ? AND redaction IS NOT ?
"""
"""In the order of passages: each batch goes on where the one before it ended."""

_HEADS: Final = """
SELECT document, rows_sha256, collection, document_id, name, title, version, effective_date, source, ingested_sha256,
encounter FROM documents
"""
_PATIENTS_OF: Final = "SELECT key FROM patients_of_documents JOIN patients USING (patient) WHERE document = ?"
_FACTS_OF: Final = """
SELECT kind, system, code, label FROM facts_of_documents JOIN facts USING (fact) WHERE document = ?
"""
_WITH_FACT: Final = """
SELECT DISTINCT patient FROM facts_of_documents JOIN documents USING (document)
JOIN patients_of_documents USING (document)
"""
_ROWS_OF: Final = """
SELECT section, start, "end", text, vector FROM passages LEFT JOIN vectors USING (passage_id) WHERE document = ?
ORDER BY start, passage_id
"""
_STRAYS: Final = (
    "DELETE FROM passages WHERE document NOT IN (SELECT document FROM documents)",
    "DELETE FROM vectors WHERE passage_id NOT IN (SELECT passage_id FROM passages)",
    "DELETE FROM redacted WHERE passage_id NOT IN (SELECT passage_id FROM passages)",
    "DELETE FROM patients_of_documents WHERE document NOT IN (SELECT document FROM documents)",
    "DELETE FROM patients_of_documents WHERE patient NOT IN (SELECT patient FROM patients)",
    "DELETE FROM patients WHERE patient NOT IN (SELECT patient FROM patients_of_documents)",
    "DELETE FROM facts_of_documents WHERE document NOT IN (SELECT document FROM documents)",
    "DELETE FROM facts_of_documents WHERE fact NOT IN (SELECT fact FROM facts)",
    "DELETE FROM facts WHERE fact NOT IN (SELECT fact FROM facts_of_documents)",
    "DELETE FROM calibrations WHERE collection NOT IN (SELECT collection FROM collections)",
    "INSERT OR IGNORE INTO collections (collection) SELECT collection FROM documents",
)


def rows_sha256(
    head: Sequence[str | None],
    patients: Iterable[str],
    rows: Iterable[tuple[str, int, int, str, bytes | None]],
    facts: Iterable[tuple[str, ...]] = (),
) -> str:
    """Of everything stored about one document: its own fields, its patients' keys, of each passage, in order of offset,
    section, start, end, text and vector, and its facts where it has some."""
    digest = hashlib.sha256(json.dumps([*head, sorted(patients)]).encode())
    if stated := sorted(facts):
        digest.update(json.dumps(stated).encode())
    for section, start, end, text, vector in rows:
        raw = vector or b""
        digest.update(json.dumps([section, start, end, text, len(raw)]).encode() + raw)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """All vectors of one collection at one generation, ordered by document id and offset whatever the order of
    ingestion. `documents` is an integer per row, equal for passages of one document."""

    generation: int
    ids: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]
    vectors: FloatMatrix


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What was ingested under an id: a fingerprint of its content and of how it was cut and embedded, and its file."""

    ingested_sha256: str
    source: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Whose records a passage is made from. It has no wire form and is in no citation."""

    patients: tuple[str, ...]
    encounter: str


@dataclass(frozen=True, slots=True)
class RedactedForm:
    """What may leave of a passage, as the redaction of this version made it: its text, and all that a citation says in
    words."""

    redaction: str
    document_id: str
    document_name: str
    title: str
    section: str
    version: str
    text: str

    def sha256(self, passage_id: int) -> str:
        """Of the form of this passage, so that it is taken for no other's."""
        return hashlib.sha256(json.dumps([passage_id, self.redaction, self.dumped()]).encode()).hexdigest()

    def dumped(self) -> str:
        words = (self.document_id, self.document_name, self.title, self.section, self.version, self.text)
        return json.dumps(words, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Counts:
    documents: int
    passages: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something `check` found wrong; `count` rows of it."""

    code: str
    count: int


class PassageStore:
    """Usable from several threads: one connection behind one lock, held for a single statement or transaction. Several
    processes may open the same file (write-ahead log): readers never wait, a second writer waits up to 30 seconds.

    Every method raises Unavailable (`store_unavailable`) when the file is locked or the disk is full, and
    IntegrityError (`corrupt_store`) when it is damaged.
    """

    def __init__(self, connection: sqlite3.Connection, encoder: EncoderIdentity) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self.encoder = encoder

    @classmethod
    def open(cls, path: Path, encoder: EncoderIdentity) -> "PassageStore":
        """Opens the store, or makes it, readable by its owner only.

        Raises ConfigError: `other_encoder` when its vectors were made by an encoder that cannot be compared with this
        one, `newer_format`, `store_unavailable`. Raises IntegrityError: `not_a_store`, `corrupt_store`.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        except (OSError, sqlite3.OperationalError):
            raise ConfigError(f"{path} cannot be opened", code="store_unavailable") from None
        store = cls(connection, encoder)
        try:
            store._prepare(path)
        except BaseException:
            connection.close()
            raise
        return store

    def _prepare(self, path: Path) -> None:
        """Looks before it touches: a file that is not ours stays as it is."""
        with self._translated():
            self._connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            written = self._recognise(path)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
        if written < FORMAT:
            self._bring_up_to_date(path)
        self._require_encoder(path)

    def _bring_up_to_date(self, path: Path) -> None:
        with self._writing() as database:
            written = self._recognise(path)  # another process may have been faster
            for step in _STEPS[written:]:
                for statement in step.split(";\n"):
                    database.execute(statement)
            for head in database.execute(_HEADS).fetchall() if 0 < written < _CHECKSUMS_SINCE else ():
                checksum = self._rows_sha256(database, head)
                database.execute("UPDATE documents SET rows_sha256 = ? WHERE document = ?", (checksum, head[0]))
            if not written:
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                database.execute("INSERT INTO settings VALUES ('encoder', ?)", (self.encoder.model_dump_json(),))
            if written < FORMAT:
                database.execute(f"PRAGMA user_version = {FORMAT}")
                database.execute(
                    "INSERT OR IGNORE INTO settings VALUES ('document_key', ?)", (secrets.token_hex(_KEY_BYTES),)
                )

    def _recognise(self, path: Path) -> int:
        """The format it was written in; 0 for an empty file."""
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (written,) = self._connection.execute("PRAGMA user_version").fetchone()
        if not tables and not application:
            return 0
        if application != _APPLICATION_ID:
            raise IntegrityError(f"{path} is not a passage store", code="not_a_store")
        if written > FORMAT:
            raise ConfigError(f"{path} has format {written}; this version reads up to {FORMAT}", code="newer_format")
        return int(written)

    def _require_encoder(self, path: Path) -> None:
        rows = self._read("SELECT value FROM settings WHERE name = 'encoder'")
        try:
            made_with = EncoderIdentity.model_validate_json(rows[0][0] if rows else "")
        except ValidationError:
            raise IntegrityError(f"{path} does not say which encoder made it", code="corrupt_store") from None
        if made_with.comparable_with != self.encoder.comparable_with:
            raise ConfigError(
                f"{path} was made with encoder {made_with.name} ({made_with.comparable_with}), not with "
                f"{self.encoder.name} ({self.encoder.comparable_with}): use that one, or ingest into a new store",
                code="other_encoder",
            )

    def close(self) -> None:
        with self._lock:
            self._connection.close()

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
        expected = (len(passages), self.encoder.dimension)
        if vectors.shape != expected or not np.isfinite(vectors).all():
            raise IntegrityError(f"vectors {vectors.shape} are not {expected} finite numbers", code="bad_vectors")
        rows = np.ascontiguousarray(vectors, dtype="<f4")
        effective = document.effective_date.isoformat() if document.effective_date else None
        head = (
            *(document.collection, document.document_id, document.name, document.title, document.version, effective),
            *(document.source, ingested_sha256 or document.content_sha256, document.encounter),
        )
        written = [
            (passage.section, passage.start, passage.end, passage.text, vector.tobytes())
            for passage, vector in zip(passages, rows, strict=True)
        ]
        facts = [astuple(one) for one in document.facts]
        checksum = rows_sha256(head, set(document.patients), sorted(written, key=lambda row: row[1]), facts)
        with self._writing() as database:
            self._touch(database, document.collection)
            database.execute(
                "DELETE FROM documents WHERE collection = ? AND document_id = ?",
                (document.collection, document.document_id),
            )
            key = database.execute(
                "INSERT INTO documents (collection, document_id, name, title, version, effective_date, source,"
                " ingested_sha256, encounter, rows_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*head, checksum),
            ).lastrowid
            self._put_patients(database, key, document)
            for fact in facts:
                database.execute("INSERT OR IGNORE INTO facts (kind, system, code, label) VALUES (?, ?, ?, ?)", fact)
                database.execute(
                    "INSERT INTO facts_of_documents SELECT ?, fact FROM facts"
                    " WHERE (kind, system, code, label) = (?, ?, ?, ?)",
                    (key, *fact),
                )
            for *passage, vector in written:
                passage_id = database.execute(
                    'INSERT INTO passages (document, section, start, "end", text) VALUES (?, ?, ?, ?, ?)',
                    (key, *passage),
                ).lastrowid
                database.execute("INSERT INTO vectors VALUES (?, ?)", (passage_id, vector))

    def _put_patients(self, database: sqlite3.Connection, document: int | None, about: Document) -> None:
        for patient in about.patients:
            rows = database.execute("SELECT identifiers FROM patients WHERE key = ?", (patient,)).fetchall()
            known = tuple(dict.fromkeys((*(json.loads(rows[0][0]) if rows else ()), *about.identifiers)))
            (number,) = database.execute(
                "INSERT INTO patients (key, identifiers) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET identifiers = excluded.identifiers RETURNING patient",
                (patient, json.dumps(known)),
            ).fetchone()
            database.execute("INSERT OR IGNORE INTO patients_of_documents VALUES (?, ?)", (document, number))

    def provenance(self, ids: Sequence[int]) -> dict[int, Provenance]:
        """Passage id → whose records it is made from; no patients for documents that are about none."""
        found: dict[int, Provenance] = {}
        for some, marks in _some(ids):
            rows = self._read(_PROVENANCE + f" WHERE passage_id IN ({marks}) GROUP BY passage_id", *some)
            found.update((row[0], Provenance(tuple(sorted(json.loads(row[2]))), row[1])) for row in rows)
        return found

    def count_patients(self, collection: str) -> int:
        """Known ones whose records the collection holds."""
        rows = self._read(
            "SELECT count(DISTINCT patient) FROM patients_of_documents JOIN documents USING (document)"
            " WHERE collection = ?",
            collection,
        )
        return int(rows[0][0])

    def identifiers(self, patient: str) -> tuple[str, ...]:
        """The strings known to name a patient; gone with their last document."""
        rows = self._read("SELECT identifiers FROM patients WHERE key = ?", patient)
        return tuple(json.loads(rows[0][0])) if rows else ()

    def known(self, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Passage id → the strings known to name the patients it is about; only of passages that are about some."""
        found: dict[int, tuple[str, ...]] = {}
        for some, marks in _some(ids):
            rows = self._read(_KNOWN + f" WHERE passage_id IN ({marks}) GROUP BY passage_id", *some)
            found.update((row[0], _strings(row[1])) for row in rows)
        return found

    def facts(self) -> dict[int, Fact]:
        """Number of a fact → what it states; of all collections."""
        return {row[0]: Fact(*row[1:]) for row in self._read("SELECT fact, kind, system, code, label FROM facts")}

    def patients_with(self, facts: Collection[int], collections: Collection[str]) -> frozenset[int]:
        """Numbers of the patients of whom documents of these collections state at least one of the facts."""
        found: set[int] = set()
        among = ",".join("?" * len(collections))
        for some, marks in _some(sorted(facts)):
            where = f" WHERE fact IN ({marks}) AND collection IN ({among})"
            found.update(row[0] for row in self._read(_WITH_FACT + where, *some, *sorted(collections)))
        return frozenset(found)

    def patient_keys(self, patients: Collection[int]) -> tuple[str, ...]:
        """The stable keys of the patients with these numbers, in order of the keys."""
        found: list[str] = []
        for some, marks in _some(sorted(patients)):
            found += (row[0] for row in self._read(f"SELECT key FROM patients WHERE patient IN ({marks})", *some))  # noqa: S608 - question marks
        return tuple(sorted(found))

    def redacted(self, ids: Sequence[int], redaction: str) -> dict[int, RedactedForm]:
        """Passage id → its redacted form. A form of another version, or one that is not to the last byte what was put,
        is none."""
        found: dict[int, RedactedForm] = {}
        for some, marks in _some(ids):
            for row in self._read(_FORMS + f" WHERE redaction = ? AND passage_id IN ({marks})", redaction, *some):
                form = _form(*row)
                if form is not None:
                    found[row[0]] = form
        return found

    def unredacted(self, collection: str, redaction: str, after: int, limit: int) -> tuple[int, ...]:
        """The first passages above the id `after` that have no form of this version."""
        rows = self._read(
            "SELECT passage_id" + _UNREDACTED + "ORDER BY passage_id LIMIT ?", collection, after, redaction, limit
        )
        return tuple(row[0] for row in rows)

    def count_unredacted(self, collection: str, redaction: str, after: int = 0) -> int:
        return int(self._read("SELECT count(*)" + _UNREDACTED, collection, after, redaction)[0][0])

    def put_redacted(self, made: Iterable[tuple[int, tuple[str, ...], RedactedForm | None]]) -> None:
        """Keeps forms in place of any earlier ones; None: the passage has none. With each comes what was known of its
        patients when it was made: where a passage is gone or more is known by now, its form is not kept."""
        with self._writing() as database:
            for passage_id, known, form in made:
                database.execute("DELETE FROM redacted WHERE passage_id = ?", (passage_id,))
                rows = database.execute(_KNOWN + " WHERE passage_id = ? GROUP BY passage_id", (passage_id,)).fetchall()
                there = database.execute("SELECT 1 FROM passages WHERE passage_id = ?", (passage_id,)).fetchone()
                if form is not None and there and (_strings(rows[0][1]) if rows else ()) == known:
                    row = (passage_id, form.redaction, form.dumped(), form.sha256(passage_id))
                    database.execute("INSERT INTO redacted VALUES (?, ?, ?, ?)", row)

    def forget_redacted(self, collection: str) -> None:
        """All forms of a collection."""
        with self._writing() as database:
            database.execute(
                "DELETE FROM redacted WHERE passage_id IN"
                " (SELECT passage_id FROM passages JOIN documents USING (document) WHERE collection = ?)",
                (collection,),
            )

    def newest_passage(self) -> int:
        """The highest id that a passage was ever given; later ones have higher ids."""
        rows = self._read("SELECT seq FROM sqlite_sequence WHERE name = 'passages'")
        return int(rows[0][0]) if rows else 0

    @property
    def document_key(self) -> bytes:
        """The secret from which ids of patients' documents are made; it is as old as the store and never leaves it."""
        rows = self._read("SELECT value FROM settings WHERE name = 'document_key'")
        return bytes.fromhex(rows[0][0]) if rows else b""

    def forget(self, collection: str, document_id: str) -> bool:
        """Deletes a document with its passages and vectors and overwrites their pages; False when there is none.
        Call `checkpoint` to take them out of the write-ahead log as well."""
        with self._writing() as database:
            gone = database.execute(
                "DELETE FROM documents WHERE collection = ? AND document_id = ?", (collection, document_id)
            ).rowcount
            if gone:
                self._touch(database, collection)
        return bool(gone)

    def checkpoint(self) -> bool:
        """Moves the write-ahead log into the file and empties it. False when another process was reading for so long
        that some of it is still there; the next one takes it."""
        with self._translated():
            ((hindered, _, _),) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return not hindered

    def collections(self) -> tuple[str, ...]:
        return tuple(row[0] for row in self._read("SELECT collection FROM collections ORDER BY collection"))

    def generation(self, collection: str) -> int:
        """Grows with every document put or forgotten; 0 for a collection never written to."""
        rows = self._read("SELECT generation FROM collections WHERE collection = ?", collection)
        return int(rows[0][0]) if rows else 0

    def counts(self, collection: str) -> Counts:
        (row,) = self._read(
            "SELECT count(DISTINCT document), count(passage_id) FROM documents LEFT JOIN passages USING (document)"
            " WHERE collection = ?",
            collection,
        )
        return Counts(documents=int(row[0]), passages=int(row[1]))

    def documents(self, collection: str) -> dict[str, StoredDocument]:
        """Document id → what was ingested."""
        rows = self._read("SELECT document_id, ingested_sha256, source FROM documents WHERE collection = ?", collection)
        return {row[0]: StoredDocument(row[1], row[2]) for row in rows}

    def document_hashes(self, collection: str) -> dict[str, str]:
        """Document id → fingerprint of what was ingested."""
        return {name: stored.ingested_sha256 for name, stored in self.documents(collection).items()}

    def passages(self, ids: Sequence[int]) -> tuple[Passage, ...]:
        """In the order asked for. A passage that has been forgotten is not among them."""
        found: dict[int, Passage] = {}
        for some, marks in _some(ids):
            rows = self._read(_PASSAGES + f" WHERE passage_id IN ({marks})", *some)
            found.update((row[0], _passage(row)) for row in rows)
        return tuple(found[int(passage_id)] for passage_id in ids if int(passage_id) in found)

    def fingerprint(self, collection: str) -> str:
        """Of a collection's passages, without reading one: two stores with a common past may have the same generation
        and another content."""
        rows = self._read(
            "SELECT document_id, ingested_sha256, min(passage_id), max(passage_id), count(passage_id)"
            " FROM documents LEFT JOIN passages USING (document) WHERE collection = ? GROUP BY document"
            " ORDER BY document_id",
            collection,
        )
        digest = hashlib.sha256()
        for row in rows:
            digest.update(json.dumps(row).encode())
        return digest.hexdigest()

    def vectors(self, collection: str) -> tuple[npt.NDArray[np.int64], FloatMatrix]:
        """Passage ids (n,) and vectors (n, dimension)."""
        stored = self.stored_vectors(collection)
        return stored.ids, stored.vectors

    def stored_vectors(self, collection: str) -> StoredVectors:
        """One consistent view, whatever other threads and processes write meanwhile."""
        with self._transaction("DEFERRED") as database:
            row = database.execute("SELECT generation FROM collections WHERE collection = ?", (collection,)).fetchone()
            rows = database.execute(
                "SELECT passage_id, document, vector FROM documents JOIN passages USING (document)"
                " JOIN vectors USING (passage_id) WHERE collection = ? ORDER BY document_id, start, passage_id",
                (collection,),
            ).fetchall()
        raw = b"".join(row[2] for row in rows)
        if len(raw) != len(rows) * self.encoder.dimension * 4:
            raise IntegrityError("stored vectors do not have the encoder's dimension", code="corrupt_store")
        return StoredVectors(
            generation=int(row[0]) if row else 0,
            ids=np.array([row[0] for row in rows], dtype=np.int64),
            documents=np.array([row[1] for row in rows], dtype=np.int64),
            vectors=np.frombuffer(raw, dtype="<f4").reshape(len(rows), self.encoder.dimension),
        )

    def put_calibrations(self, collection: str, generation: int, fitted: Calibrations) -> None:
        """Keeps what was fitted on this generation; older ones are dropped."""
        with self._writing() as database:
            database.execute("INSERT OR IGNORE INTO collections (collection) VALUES (?)", (collection,))
            database.execute(
                "DELETE FROM calibrations WHERE collection = ? AND generation <= ?", (collection, generation)
            )
            database.execute(
                "INSERT INTO calibrations VALUES (?, ?, ?, ?, ?, ?)",
                (
                    *(collection, generation),
                    *(fitted.vectors.slope, fitted.vectors.intercept),
                    *(fitted.both.slope, fitted.both.intercept),
                ),
            )

    def calibrations(self, collection: str) -> tuple[int, Calibrations] | None:
        """The newest and the generation they were fitted on; None when there never were any. A store of an earlier
        format knows none for words: they are then those of a generation before the first."""
        rows = self._read(
            "SELECT generation, slope, intercept, both_slope, both_intercept FROM calibrations WHERE collection = ?"
            " ORDER BY generation DESC LIMIT 1",
            collection,
        )
        if not rows:
            return None
        generation, *fitted = rows[0]
        vectors = Calibration(*fitted[:2])
        if None in fitted:
            return -1, Calibrations(vectors)
        return int(generation), Calibrations(vectors, Calibration(*fitted[2:]))

    def described(self, collection: str, content_sha256: str, now: datetime) -> tuple[int, datetime]:
        """Version and time of the description with this content: those of the last one while the content stays the
        same, the next version and `now` when it has changed. Versions count from 1 and never go back."""
        with self._writing() as database:
            database.execute("INSERT OR IGNORE INTO collections (collection) VALUES (?)", (collection,))
            database.execute(
                "UPDATE collections SET description_version = description_version + 1, description_sha256 = ?,"
                " described_at = ? WHERE collection = ? AND description_sha256 <> ?",
                (content_sha256, now.isoformat(), collection, content_sha256),
            )
            version, described_at = database.execute(
                "SELECT description_version, described_at FROM collections WHERE collection = ?", (collection,)
            ).fetchone()
        return int(version), datetime.fromisoformat(described_at)

    def check(self) -> tuple[Problem, ...]:
        """Everything found wrong; empty when the store is sound. Reads the whole file."""
        faults = [row[0] for row in self._read("PRAGMA integrity_check") if row[0] != "ok"]
        problems = [
            Problem("corrupt_pages", len(faults)),
            Problem("broken_reference", len(self._read("PRAGMA foreign_key_check"))),
            Problem(
                "passage_without_vector",
                self._count("passages LEFT JOIN vectors USING (passage_id) WHERE vector IS NULL"),
            ),
            Problem(
                "document_without_passage",
                self._count("documents LEFT JOIN passages USING (document) WHERE passage_id IS NULL"),
            ),
            Problem("wrong_dimension", self._count(f"vectors WHERE length(vector) <> {4 * self.encoder.dimension}")),
        ]
        if not any(problem.count for problem in problems):
            crooked = sum(self._not_unit(collection) for collection in self.collections())
            problems.append(Problem("not_a_unit_vector", crooked))
        if not any(problem.count for problem in problems):
            problems.append(Problem("altered_document", len(self.unsound())))
            problems.append(Problem("altered_redaction", len(self._altered_forms())))
        return tuple(problem for problem in problems if problem.count)

    def unsound(self) -> tuple[tuple[str, str], ...]:
        """Collection and id of every document that is not, to the last byte, what was put, or cannot be searched."""
        with self._transaction("DEFERRED") as database:
            return tuple(
                (head[2], head[3])
                for head in database.execute(_HEADS).fetchall()
                if self._rows_sha256(database, head) != head[1] or not self._searchable(database, head[0])
            )

    def mend(self) -> tuple[tuple[tuple[str, str], ...], int, int]:
        """Forgets the documents that are unsound, so that the next ingest brings them back, and takes out rows that
        belong to nothing, and redacted forms that are not what was put: which documents, how many rows, how many
        forms."""
        with self._writing() as database:
            strays = sum(database.execute(statement).rowcount for statement in _STRAYS)
        altered = self._altered_forms()
        self.put_redacted((passage_id, (), None) for passage_id in altered)
        unsound = self.unsound()
        for collection, document_id in unsound:
            self.forget(collection, document_id)
        self.checkpoint()
        return unsound, strays, len(altered)

    def continue_after(self, document_key: bytes, passage_id: int, generations: dict[str, int]) -> None:
        """Makes an empty store the successor of a lost one: the same ids for patients' documents, no passage id and no
        known generation a second time."""
        with self._writing() as database:
            database.execute("UPDATE settings SET value = ? WHERE name = 'document_key'", (document_key.hex(),))
            database.execute("INSERT INTO sqlite_sequence VALUES ('passages', ?)", (passage_id,))
            for collection, generation in generations.items():
                row = (collection, generation + 1)
                database.execute("INSERT INTO collections (collection, generation) VALUES (?, ?)", row)

    def _rows_sha256(self, database: sqlite3.Connection, head: tuple[Any, ...]) -> str:
        patients = [row[0] for row in database.execute(_PATIENTS_OF, head[:1])]
        facts = database.execute(_FACTS_OF, head[:1]).fetchall()
        return rows_sha256(head[2:], patients, database.execute(_ROWS_OF, head[:1]), facts)

    def _altered_forms(self) -> tuple[int, ...]:
        with self._transaction("DEFERRED") as database:
            return tuple(row[0] for row in database.execute(_FORMS) if _form(*row) is None)

    def _searchable(self, database: sqlite3.Connection, document: int) -> bool:
        rows = database.execute(_ROWS_OF, (document,)).fetchall()
        fits = all(row[4] is not None and len(row[4]) == 4 * self.encoder.dimension for row in rows)
        lengths = [float(np.linalg.norm(np.frombuffer(row[4], dtype="<f4"))) for row in rows] if fits else []
        return bool(lengths) and all(abs(length - 1) < 1e-3 for length in lengths)

    def _not_unit(self, collection: str) -> int:
        lengths = np.linalg.norm(self.vectors(collection)[1], axis=1)
        return int(np.sum(~(np.abs(lengths - 1) < 1e-3)))  # a NaN is not near 1 either

    def _count(self, rows: str) -> int:
        return int(self._read(f"SELECT count(*) FROM {rows}")[0][0])  # noqa: S608 - constant text of this file

    def _touch(self, database: sqlite3.Connection, collection: str) -> None:
        database.execute(
            "INSERT INTO collections (collection, generation) VALUES (?, 1)"
            " ON CONFLICT (collection) DO UPDATE SET generation = generation + 1",
            (collection,),
        )

    def _read(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self._translated():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            raise Unavailable(
                f"the passage store cannot be used: {error.sqlite_errorname}", code="store_unavailable"
            ) from None
        except sqlite3.ProgrammingError:
            raise Unavailable("the passage store is closed", code="store_unavailable") from None
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"the passage store is damaged: {error.sqlite_errorname}", code="corrupt_store"
            ) from None

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        with self._translated():
            self._connection.execute(f"BEGIN {kind}")
            try:
                yield self._connection
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._transaction("IMMEDIATE") as database:
            yield database


def advance_descriptions(path: Path, now_s: int, collections: Iterable[str] = ()) -> None:
    """Of a store that was taken back to an earlier state: its next descriptions have higher versions than any it gave
    out, since these grow more slowly than the seconds do; a router refuses a version lower than one it has seen.
    `collections` that it may have lost count as well."""
    with closing(sqlite3.connect(path)) as database, database:
        for collection in collections:
            database.execute("INSERT OR IGNORE INTO collections (collection) VALUES (?)", (collection,))
        database.execute("UPDATE collections SET description_version = max(description_version, ?)", (now_s,))


def _some(ids: Sequence[int]) -> Iterator[tuple[list[int], str]]:
    """As many at once as a statement takes, and its question marks."""
    for first in range(0, len(ids), _AT_ONCE):
        some = [int(passage_id) for passage_id in ids[first : first + _AT_ONCE]]
        yield some, ",".join("?" * len(some))


def _strings(lists: str) -> tuple[str, ...]:
    """JSON of lists of strings, each written as JSON itself, to what is in any of them."""
    return tuple(sorted({one for written in json.loads(lists) for one in json.loads(written)}))


def _form(passage_id: int, redaction: str, written: str, sha256: str) -> RedactedForm | None:
    """None for what is not to the last byte what was put."""
    try:
        form = RedactedForm(redaction, *json.loads(written))
    except (ValueError, TypeError):
        return None
    return form if form.sha256(passage_id) == sha256 else None


def _passage(row: tuple[Any, ...]) -> Passage:
    passage_id, collection, document_id, name, title, section, version, effective, start, end, text = row
    return Passage(
        passage_id=passage_id,
        collection=collection,
        document_id=document_id,
        document_name=name,
        title=title,
        section=section,
        version=version,
        effective_date=date.fromisoformat(effective) if effective else None,
        start=start,
        end=end,
        text=text,
    )
