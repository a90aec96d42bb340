"""The store's tables, in the formats in which they came to be."""

from typing import Final

APPLICATION_ID: Final = 0x66726167
"""What SQLite's header says of whose file it is."""

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

STEPS: Final = (_FIRST_FORMAT, _WITH_PROVENANCE, _WITH_WORDS, _WITH_CHECKSUMS, _WITH_REDACTED, _WITH_FACTS)
"""What each format adds to the one before it: a new store takes all steps, an older one those it has not taken."""

CHECKSUMS_SINCE: Final = 4
"""The first format that has the checksum of a document beside it."""
FORMAT: Final = len(STEPS)
