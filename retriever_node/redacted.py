"""The redacted form of each passage, made when it is ingested: all that may leave of a collection that redacts.

Searched are the passages as they are: vectors and terms never leave. A form belongs to one version of the redaction;
where the present version has none, there is nothing to release.
"""

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Final

import structlog

from fedrag.core.wire import NodeId
from retriever_node.documents import Passage
from retriever_node.redaction import Redaction
from retriever_node.sources import attempted
from retriever_node.store import PassageStore
from retriever_node.store.forms import RedactedForm

_log = structlog.get_logger()

_BATCH: Final = 256
_WORTH_PROCESSES: Final = 4_000
"""Passages; fewer are done before other processes have started."""

_Task = tuple[Passage, tuple[str, ...], tuple[str, ...]]
"""A passage, what is known to name its patients, and their keys."""
_Made = tuple[_Task, RedactedForm | None]


@dataclass(frozen=True, slots=True)
class CategoryCount:
    category: str
    count: int


@dataclass(frozen=True, slots=True)
class RedactionReport:
    """Numbers of passages: `redacted`, and `withheld` because a known identifier was left or the detector failed;
    `found`: how many identifiers of each category are marked in the redacted texts."""

    redacted: int = 0
    withheld: int = 0
    found: tuple[CategoryCount, ...] = ()

    def __add__(self, other: "RedactionReport") -> "RedactionReport":
        found: Counter[str] = Counter()
        for one in (*self.found, *other.found):
            found[one.category] += one.count
        return RedactionReport(self.redacted + other.redacted, self.withheld + other.withheld, _counts(found))

    def then(self, whole: "RedactionReport") -> "RedactionReport":
        """After a run over the whole collection, which tries again what was withheld."""
        return replace(self + whole, withheld=whole.withheld)


def releasable(
    passages: Iterable[Passage],
    redactions: Mapping[NodeId, Redaction | None],
    store: PassageStore,
    *,
    recheck: bool = False,
) -> dict[int, Passage]:
    """By id those that may leave, as they may leave: where their collection redacts, in the form of the present version
    and without a date. One without such a form is not among them, nor with `recheck` one whose form names a patient or
    cannot be looked through. What the store raises is logged by its kind, and raised: then nothing may leave."""
    of_collection: dict[NodeId, list[Passage]] = {}
    for passage in passages:
        of_collection.setdefault(passage.collection, []).append(passage)
    found: dict[int, Passage] = {}
    for collection, some in of_collection.items():
        redaction = redactions[collection]
        try:
            shown = some if redaction is None else tuple(_in_form(some, redaction, store, recheck=recheck))
        except Exception as error:
            _log.error("denied", code="forms_unreadable", collection=collection, error=type(error).__name__)
            raise
        found.update((passage.passage_id, passage) for passage in shown)
    return found


def redact_collection(
    store: PassageStore,
    collection: str,
    redaction: Redaction,
    *,
    after: int = 0,
    progress: Callable[[int, int], None] | None = None,
    processes: int | None = None,
) -> RedactionReport:
    """Makes the forms that passages above the id `after` lack in this version, and drops those of other versions.

    A batch is one transaction: killed half-way, the next run does what is left. Many passages are shared out among
    `processes`, by default one per processor. `progress(done, total)` counts passages.
    """
    total = store.count_unredacted(collection, redaction.version, after)
    if processes is None:
        processes = (os.cpu_count() or 1) if total >= _WORTH_PROCESSES else 1
    report, done = RedactionReport(), 0
    tasks = _tasks(store, collection, redaction.version, after)
    with closing(_made(tasks, redaction, store.document_key, processes)) as ready:
        for batch in ready:
            store.put_redacted((passage.passage_id, known, form) for (passage, known, _), form in batch)
            made = _report(redaction, [form for _, form in batch])
            report += made
            if made.withheld:
                _log.warning("denied", code="withheld", collection=collection, passages=made.withheld)
            done += len(batch)
            if progress:
                progress(done, total)
    return report


def _in_form(
    passages: Sequence[Passage], redaction: Redaction, store: PassageStore, *, recheck: bool
) -> Iterator[Passage]:
    ids = [passage.passage_id for passage in passages]
    forms = store.redacted(ids, redaction.version)
    known = store.known(ids) if recheck else {}
    for passage in passages:
        form = forms.get(passage.passage_id)
        code = "no_form" if form is None else _named(redaction, form, known.get(passage.passage_id, ()))
        if form is not None and not code:
            yield _as(form, passage)
        else:
            _log.warning("denied", code=code, collection=passage.collection, passage=passage.passage_id)


def _named(redaction: Redaction, form: RedactedForm, known: Sequence[str]) -> str:
    """Why this form may not leave; empty where it may."""
    leaves = attempted(partial(redaction.leaves, form, known))
    return "" if leaves is False else "known_identifier" if leaves else "not_looked_through"


def _tasks(store: PassageStore, collection: str, version: str, after: int) -> Iterator[tuple[_Task, ...]]:
    while ids := store.unredacted(collection, version, after, _BATCH):
        known, whose = store.known(ids), store.provenance(ids)
        yield tuple(
            (one, known.get(one.passage_id, ()), whose[one.passage_id].patients if one.passage_id in whose else ())
            for one in store.passages(ids)
        )
        after = ids[-1]


def _made(
    batches: Iterator[tuple[_Task, ...]], redaction: Redaction, key: bytes, processes: int
) -> Generator[tuple[_Made, ...]]:
    """In order; at most two batches for each process are in memory."""
    if processes == 1:
        for batch in batches:
            yield _redacted(redaction, key, batch)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent) as pool:
        waiting: deque[Future[tuple[_Made, ...]]] = deque()
        try:
            for batch in batches:
                waiting.append(pool.submit(_redacted, redaction, key, batch))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


def _redacted(redaction: Redaction, key: bytes, batch: tuple[_Task, ...]) -> tuple[_Made, ...]:
    """A passage that a detector fails on is withheld, and costs only itself."""
    return tuple(
        (task, attempted(partial(redaction.form, passage, known, key, patients)))
        for task in batch
        for passage, known, patients in (task,)
    )


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for ever, with texts of patients in its memory."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def _report(redaction: Redaction, forms: Sequence[RedactedForm | None]) -> RedactionReport:
    made = [form for form in forms if form is not None]
    found: Counter[str] = Counter()
    for form in made:
        found.update(redaction.counted(form))
    return RedactionReport(len(made), len(forms) - len(made), _counts(found))


def _counts(found: Counter[str]) -> tuple[CategoryCount, ...]:
    return tuple(CategoryCount(category, count) for category, count in sorted(found.items()))


def _as(form: RedactedForm, passage: Passage) -> Passage:
    return replace(
        passage,
        document_id=form.document_id,
        document_name=form.document_name,
        title=form.title,
        section=form.section,
        version=form.version,
        effective_date=None,
        text=form.text,
    )
