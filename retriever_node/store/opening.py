"""Opening a store: whose file it is, in which format and by which encoder, before anything of it is touched."""

import secrets
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from fedrag.core.collection import EncoderIdentity
from fedrag.core.errors import ConfigError, IntegrityError
from retriever_node.store.checksums import HEADS, sha256_now
from retriever_node.store.database import Database
from retriever_node.store.schema import APPLICATION_ID, CHECKSUMS_SINCE, FORMAT, STEPS

_KEY_BYTES: Final = 32
_BUSY_MS: Final = 30_000


def open_database(path: Path, encoder: EncoderIdentity) -> Database:
    """Raises as `PassageStore.open`."""
    database = Database.connect(path)
    try:
        _prepare(database, path, encoder)
    except BaseException:
        database.connection.close()
        raise
    return database


def _prepare(database: Database, path: Path, encoder: EncoderIdentity) -> None:
    """Looks before it touches: a file that is not ours stays as it is."""
    with database.translated():
        connection = database.connection
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        written = _recognise(database, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
    if written < FORMAT:
        _bring_up_to_date(database, path, encoder)
    _require_encoder(database, path, encoder)


def _recognise(database: Database, path: Path) -> int:
    """The format it was written in; 0 for an empty file."""
    connection = database.connection
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (written,) = connection.execute("PRAGMA user_version").fetchone()
    if not tables and not application:
        return 0
    if application != APPLICATION_ID:
        raise IntegrityError(f"{path} is not a passage store", code="not_a_store")
    if written > FORMAT:
        raise ConfigError(f"{path} has format {written}; this version reads up to {FORMAT}", code="newer_format")
    return int(written)


def _bring_up_to_date(database: Database, path: Path, encoder: EncoderIdentity) -> None:
    with database.writing() as connection:
        written = _recognise(database, path)  # another process may have been faster
        for step in STEPS[written:]:
            for statement in step.split(";\n"):
                connection.execute(statement)
        for head in connection.execute(HEADS).fetchall() if 0 < written < CHECKSUMS_SINCE else ():
            checksum = sha256_now(connection, head)
            connection.execute("UPDATE documents SET rows_sha256 = ? WHERE document = ?", (checksum, head[0]))
        if not written:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("INSERT INTO settings VALUES ('encoder', ?)", (encoder.model_dump_json(),))
        if written < FORMAT:
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute(
                "INSERT OR IGNORE INTO settings VALUES ('document_key', ?)", (secrets.token_hex(_KEY_BYTES),)
            )


def _require_encoder(database: Database, path: Path, encoder: EncoderIdentity) -> None:
    rows = database.read("SELECT value FROM settings WHERE name = 'encoder'")
    try:
        made_with = EncoderIdentity.model_validate_json(rows[0][0] if rows else "")
    except ValidationError:
        raise IntegrityError(f"{path} does not say which encoder made it", code="corrupt_store") from None
    if made_with.comparable_with != encoder.comparable_with:
        raise ConfigError(
            f"{path} was made with encoder {made_with.name} ({made_with.comparable_with}), not with "
            f"{encoder.name} ({encoder.comparable_with}): use that one, or ingest into a new store",
            code="other_encoder",
        )
