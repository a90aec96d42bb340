"""Ingest: what changed in a folder becomes passages and vectors in the store, and what is gone from it goes."""

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import Field as Limits
from pydantic import ValidationError

from fedrag.core.config import Config
from fedrag.core.errors import ConfigError
from fedrag.core.plugins import describe
from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix
from retriever_node.calibration import fit
from retriever_node.documents import Document, PassageDraft, Unreadable
from retriever_node.hybrid import term_index
from retriever_node.passages import ALL_FIELDS, Field, embedding_text, split
from retriever_node.readers import Files, read_folder
from retriever_node.readings import Readings, recipe, survey
from retriever_node.redacted import RedactionReport, redact_collection
from retriever_node.redaction import Redaction
from retriever_node.sources import Reading
from retriever_node.store import PassageStore
from retriever_node.store.documents import StoredDocument

BATCH: Final = 64
_BATCHES: Final = 2
"""Given to the encoder at a time: while one ends, the processors it no longer needs work on the next."""
_REDACTED_AT_ONCE: Final = 32
"""Documents: for so long a running node does without one that has changed."""
_RECIPE: Final = "passages 1"
"""Change it when `passages.split` or `passages.embedding_text` change what they make: everything is embedded anew."""

_GONE: Final = frozenset(
    {
        *("empty", "duplicate_id", "no_patient", "unknown_patient"),
        *("external_attachment", "unsupported_attachment", "bad_attachment"),
    }
)
"""Of a file that is read: these say that there is nothing there to be read, the other codes that it is not known what
is."""

Progress = Callable[[int, int], None]


class IngestSettings(Config):
    """How a collection's folder is read: its `reader` table.

    `embed` names the fields whose words are encoded; the text is stored and released whichever they are. A table named
    as a reader holds that format's own settings, for example the field names of `jsonl`.
    """

    embed: Annotated[tuple[Field, ...], Limits(min_length=1)] = ALL_FIELDS
    readers: dict[str, dict[str, object]] = Limits(default_factory=dict)


def ingest_settings(reader: Mapping[str, object]) -> IngestSettings:
    """Raises ConfigError (`bad_setting`)."""
    table = {name: value for name, value in reader.items() if name in IngestSettings.model_fields.keys() - {"readers"}}
    try:
        return IngestSettings(**table, readers={name: value for name, value in reader.items() if name not in table})
    except ValidationError as error:
        raise ConfigError(f"reader settings: {describe(error)}", code="bad_setting") from None


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Numbers of documents; `passages` written; `unreadable` is everything in the folder that became no document.

    `redaction`: what was redacted; None for a collection that is released as it is. `compacted`: False where deleted
    text may still be in the store's log, because another process was reading.
    """

    added: int
    changed: int
    unchanged: int
    deleted: int
    passages: int
    unreadable: tuple[Unreadable, ...]
    elapsed_s: float
    redaction: RedactionReport | None = None
    compacted: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done: documents to embed, id and file; ids to forget."""

    embed: dict[str, str]
    forget: tuple[str, ...]
    unchanged: int
    unreadable: tuple[Unreadable, ...]


def ingest(
    folder: Path,
    collection: str,
    store: PassageStore,
    encoder: Encoder,
    *,
    reader: Mapping[str, object] | None = None,
    redaction: Redaction | None = None,
    readings: Path | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> IngestReport:
    """Brings a collection up to date with its folder.

    The folder is read to compare, and what has changed again to embed, so that only the documents in hand are in
    memory; where `readings` names a file, what was read the last time is kept there and only other files are parsed.
    Documents are read, cut and stored beside the encoder's work, always in the folder's order. Each is one transaction:
    killed half-way, the next run does what is left. `progress(done, total)` counts documents that are on disk, of those
    to embed; then passages that are redacted, of those that were not. A collection that has changed is calibrated anew.

    With a `redaction` the new passages are redacted every few documents, beside the encoder's work; at the end those
    that an earlier version of it made, or that name a patient of whom more is known now. Without one, no form is kept.

    Raises InputError (`missing_folder`), ConfigError (`bad_setting`, `unknown_plugin`).
    """
    settings = ingest_settings(reader or {})
    began = clock()
    stored = store.documents(collection)
    key = store.document_key
    files = Files(folder, collection, settings.readers, key)
    kept = Readings(readings, recipe(settings.readers, key, settings.embed)) if readings else None
    plan = _plan(survey(files, lambda document: _fingerprint(document, settings.embed), kept), stored)
    for document_id in plan.forget:
        store.forget(collection, document_id)
    done = passages = added = 0
    redacted, newest = RedactionReport(), store.newest_passage()
    read_again = read_folder(folder, collection, settings.readers, key=key, only=frozenset(plan.embed.values()))
    again = (item for item in read_again if isinstance(item, Document))
    wanted = (document for document in again if plan.embed.get(document.document_id) == document.source)
    with closing(embedded(wanted, encoder, settings.embed)) as ready:
        for document, drafts, vectors in ready:
            store.put(document, drafts, vectors, ingested_sha256=_fingerprint(document, settings.embed))
            done += 1
            passages += len(drafts)
            added += document.document_id not in stored
            if progress:
                progress(done, len(plan.embed))
            if redaction and done % _REDACTED_AT_ONCE == 0:
                redacted += redact_collection(store, collection, redaction, after=newest, processes=1)
                newest = store.newest_passage()
    if redaction:
        redacted = redacted.then(redact_collection(store, collection, redaction, progress=progress))
    else:
        store.forget_redacted(collection)
    compacted = store.checkpoint()
    calibrate(collection, store, encoder, settings.embed)
    return IngestReport(
        added=added,
        changed=done - added,
        unchanged=plan.unchanged,
        deleted=len(plan.forget),
        passages=passages,
        unreadable=plan.unreadable,
        elapsed_s=clock() - began,
        redaction=redacted if redaction else None,
        compacted=compacted,
    )


def redacted_again(
    report: IngestReport, collection: str, store: PassageStore, redaction: Redaction | None
) -> IngestReport:
    """The report of an ingest, and of making the forms that other collections' ingests have taken away since: their
    records may name the same patients by more names."""
    if redaction is None or report.redaction is None:
        return report
    return replace(report, redaction=report.redaction.then(redact_collection(store, collection, redaction)))


def calibrate(collection: str, store: PassageStore, encoder: Encoder, fields: Sequence[Field]) -> None:
    """Fits the calibrations to what is stored now, unless that was done."""
    fitted = store.calibrations(collection)
    if fitted is None or fitted[0] != store.generation(collection):
        stored = store.stored_vectors(collection)
        terms = term_index(stored.ids, store.passages)
        scored = terms.scored_with(terms.statistics())
        made = fit(stored.ids, stored.documents, stored.vectors, store.passages, encoder, fields, scored=scored)
        store.put_calibrations(collection, stored.generation, made)


def _plan(items: Iterator[Reading | Unreadable], stored: dict[str, StoredDocument]) -> Plan:
    """A document that is gone is forgotten, unless its file holds something that cannot be read now: then it may still
    be there, and is kept until the file can be read."""
    current: dict[str, Reading] = {}
    unreadable: list[Unreadable] = []
    for item in items:
        if isinstance(item, Reading):
            current[item.document_id] = item
        else:
            unreadable.append(item)
    doubtful = {item.path for item in unreadable if item.code not in _GONE}
    forget = tuple(sorted(name for name, was in stored.items() if name not in current and was.source not in doubtful))
    embed = {
        name: reading.source
        for name, reading in current.items()
        if name not in stored or stored[name].ingested_sha256 != reading.ingested_sha256
    }
    kept = sum(name not in current for name in stored) - len(forget)
    return Plan(embed, forget, len(current) - len(embed) + kept, tuple(unreadable))


def embedded(
    documents: Iterator[Document], encoder: Encoder, fields: Sequence[Field]
) -> Generator[tuple[Document, tuple[PassageDraft, ...], FloatMatrix]]:
    """Documents with their passages and vectors, in order; batches are filled across documents.

    The next batch is read and cut while earlier ones are encoded; at most _BATCHES + 1 are in memory. What the encoder
    raises is raised here, before any document of its batch is handed out.
    """
    with ThreadPoolExecutor(_BATCHES, thread_name_prefix="encoding") as encoding:
        waiting: deque[tuple[_Batch, Future[FloatMatrix]]] = deque()
        try:
            for batch in _batches(documents, encoder, fields):
                waiting.append((batch, encoding.submit(_encoded, batch.texts, encoder)))
                if len(waiting) > _BATCHES:
                    yield from _rows(*waiting.popleft())
            while waiting:
                yield from _rows(*waiting.popleft())
        finally:
            for _, vectors in waiting:
                vectors.cancel()


@dataclass(frozen=True, slots=True)
class _Batch:
    """Documents with their passages, and what is encoded for all of these."""

    documents: tuple[tuple[Document, tuple[PassageDraft, ...]], ...]
    texts: tuple[str, ...]


def _batches(documents: Iterator[Document], encoder: Encoder, fields: Sequence[Field]) -> Iterator[_Batch]:
    """Of whole documents, with at least BATCH texts but the last."""
    waiting: list[tuple[Document, tuple[PassageDraft, ...]]] = []
    texts: list[str] = []
    for document in documents:
        drafts = split(document, encoder, fields)
        waiting.append((document, drafts))
        texts.extend(embedding_text(draft, encoder, fields) for draft in drafts)
        if len(texts) >= BATCH:
            yield _Batch(tuple(waiting), tuple(texts))
            waiting, texts = [], []
    yield _Batch(tuple(waiting), tuple(texts))


def _encoded(texts: Sequence[str], encoder: Encoder) -> FloatMatrix:
    batches = [encoder.encode_passages(texts[first : first + BATCH]) for first in range(0, len(texts), BATCH)]
    return np.concatenate(batches) if batches else np.empty((0, encoder.identity.dimension), dtype=np.float32)


def _rows(
    batch: _Batch, encoded: Future[FloatMatrix]
) -> Iterator[tuple[Document, tuple[PassageDraft, ...], FloatMatrix]]:
    vectors, first = encoded.result(), 0
    for document, drafts in batch.documents:
        yield document, drafts, vectors[first : first + len(drafts)]
        first += len(drafts)


def _fingerprint(document: Document, fields: Sequence[Field]) -> str:
    recipe = f"{_RECIPE}\n{' '.join(sorted(fields))}\n{document.source}\n{document.content_sha256}"
    if document.patients:
        recipe += "\n" + json.dumps([document.patients, document.encounter, document.identifiers])
    if document.facts:
        recipe += "\n" + json.dumps([astuple(one) for one in document.facts])
    return hashlib.sha256(recipe.encode()).hexdigest()
