"""Kills a node's real process at many points of its work, and looks at what is left.

Six things that change a node's disk, and a backup, each in a process of its own that dies of SIGKILL: at points spread
over all system calls with which it changes the disk (the process is traced, SQLite's and FAISS's calls count too; it
dies before the call is done), and at random moments. After each:

* every acknowledged document is there, to the byte, and no deleted one: the store is what an uninterrupted run had
  after as many acknowledged changes, or one more, and that run's passages hold every sentence of the files;
* `check` finds nothing;
* the node starts and its hits are those of exact search by definition, by vectors, and by words and vectors as a newly
  built exact index has them; one whole generation lies on disk;
* a passage of a collection that redacts has the form that an uninterrupted run made of it, or none, and is then not
  shown; no form holds a name;
* what was interrupted can be done again to its end; then no file holds a deleted word or vector, and a backup restores.

Exits with 1 on any miss.
"""

import argparse
import ctypes
import logging
import os
import platform
import random
import shutil
import signal
import sqlite3
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import structlog
from reporting import Figure, Table, circumstances, file_system, goals

from fedrag.core.config import PluginConfig
from fedrag.core.errors import FedragError
from fedrag.core.wire import ReleaseClass
from retriever_node.assemble import assemble, open_encoder, open_store
from retriever_node.backup import backup, restore
from retriever_node.collection import Collection
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.home import NodeHome, create_node, open_config
from retriever_node.indexes import INDEXES
from retriever_node.ingest import calibrate, ingest
from retriever_node.passages import ALL_FIELDS
from retriever_node.redacted import releasable
from retriever_node.redaction import Redaction, redaction_of
from retriever_node.repair import examine
from retriever_node.store import PassageStore
from retriever_node.terms import terms_of

COLLECTION: Final = "leaflets"
NAME: Final = "Quistgaard"
NOW: Final = datetime(2026, 1, 2, tzinfo=UTC)
_TRACEME, _SYSCALL, _SET_OPTIONS, _SYSCALL_INFO = 0, 24, 0x4200, 0x420E
_GOOD_AND_KILLED_WITH_US: Final = 1 | 0x100000
_ENTRY: Final = 1
_WRITES: Final = {
    "x86_64": {1: "write", 18: "write", 20: "write", 77: "", 74: "", 75: "", 82: "", 264: "", 316: "", 87: "", 263: "",
               83: "", 258: "", 84: "", 86: "", 265: "", 90: "", 91: "", 268: "", 285: "", 2: "open", 257: "openat"},
    "aarch64": {64: "write", 68: "write", 66: "write", 46: "", 82: "", 83: "", 38: "", 276: "", 35: "", 34: "", 37: "",
                52: "", 53: "", 47: "", 56: "openat"},
}  # fmt: skip
"""System calls that change files, by number: writes, truncations, flushes, and of folders' names."""
_CREATES: Final = os.O_CREAT | os.O_TRUNC

Content = dict[str, tuple[tuple[object, ...], ...]]
"""Document id → its rows: section, start, end, text, vector."""
Forms = frozenset[tuple[str, int, str]]
"""Document id, start and text of passages as they may leave."""
Action = Callable[[NodeHome], None]


@dataclass(frozen=True)
class Phase:
    """`base`: a home just before `action`. `states`: what the store holds after each acknowledged change of an
    uninterrupted run, the first before any. `gone`: bytes that must be in no file at the end. `forms`: the redacted
    forms that run ends with."""

    name: str
    base: Path
    action: Action
    states: tuple[Content, ...] = ()
    gone: tuple[bytes, ...] = ()
    forms: Forms = frozenset()


@dataclass(frozen=True)
class Death:
    """What became of one process: was it killed, how many changes of the disk it began, how many it acknowledged."""

    killed: bool
    calls: int
    acknowledged: int
    elapsed_s: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-phase", type=int, default=36, help="points counted in system calls")
    parser.add_argument("--moments", type=int, default=6, help="random moments per phase")
    parser.add_argument("--documents", type=int, default=24)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    rows: list[tuple[str | int, ...]] = []
    points = failures = 0
    with TemporaryDirectory() as place:
        for phase in phases(Path(place), chosen.documents):
            found = list(sweep(phase, Path(place) / "run", chosen.per_phase, chosen.moments, chosen.seed))
            misses = [f"{point}: {miss}" for point, _, missed in found for miss in missed]
            deaths = sum(death.killed for _, death, _ in found)
            steps = max(death.calls for _, death, _ in found)
            failed = sum(bool(missed) for _, _, missed in found)
            rows.append((phase.name, steps, len(found), deaths, failed, "; ".join(misses[:3]) or "none"))
            points, failures = points + deaths, failures + failed
            print(f"{phase.name}: {len(found)} points, {failed} with a miss", file=sys.stderr)
        kind = file_system(Path(place))
    what = "killed processes after which everything held"
    print(goals([Figure("kill", what, f"{points - failures} of {points}", "all", failures == 0)]).as_markdown())
    columns = ("phase", "disk-changing calls", "points", "killed", "with a miss", "misses")
    note = f"{chosen.documents} documents, hashing encoder, faiss_hnsw with a graph; files on {kind}."
    print(Table("Killed at any point", columns, tuple(rows), note).as_markdown())
    print(circumstances())
    return int(failures > 0)


def sweep(phase: Phase, run: Path, counted: int, moments: int, seed: int) -> Iterator[tuple[str, Death, list[str]]]:
    """One death after the other, each in a fresh copy of the phase's home."""
    plans: list[tuple[str, Callable[[], Death | None]]] = []
    whole = _in(phase, run, lambda: traced(phase, run, None))
    if whole is None:  # not on this system: as many random moments instead
        moments += counted
    else:
        points = sorted({round(each) for each in np.linspace(0, max(0, whole.calls - 1), counted)})
        plans += [(f"call {point}", partial(traced, phase, run, point)) for point in points]
    unhurried = _in(phase, run, lambda: untraced(phase, run, None)) or Death(False, 0, 0, 0)
    chance = random.Random(f"{seed} {phase.name}")  # noqa: S311 - not for secrets
    shares = [chance.random() for _ in range(moments)]
    plans += [(f"{one:.2f} of its time", partial(untraced, phase, run, one * unhurried.elapsed_s)) for one in shares]
    for name, kill in plans:
        death = _in(phase, run, kill)
        if death is not None:
            yield name, death, misses(phase, NodeHome(run / "home"), death.acknowledged)


def _in(phase: Phase, run: Path, kill: Callable[[], Death | None]) -> Death | None:
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(phase.base, run)
    return kill()


def traced(phase: Phase, run: Path, kill_before: int | None) -> Death | None:
    """The process dies before its call number `kill_before` of those that change the disk; counted from 0. None where
    processes cannot be traced."""
    if sys.platform != "linux" or platform.machine() not in _WRITES:
        return None
    library = ctypes.CDLL(None, use_errno=True)
    library.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    library.ptrace.restype = ctypes.c_long

    def stop() -> None:
        if library.ptrace(_TRACEME, 0, None, None):
            os._exit(0)
        os.kill(os.getpid(), signal.SIGSTOP)

    began = time.monotonic()
    child, told = _fork(phase, run, stop)
    _, status = os.waitpid(child, 0)
    if not os.WIFSTOPPED(status):
        os.close(told)
        return None
    library.ptrace(_SET_OPTIONS, child, None, _GOOD_AND_KILLED_WITH_US)
    about = (ctypes.c_uint64 * 16)()
    calls, passed_on = 0, 0
    while True:
        library.ptrace(_SYSCALL, child, None, passed_on)
        _, status = os.waitpid(child, 0)
        if not os.WIFSTOPPED(status):
            return Death(os.WIFSIGNALED(status), calls, _acknowledged(told, status), time.monotonic() - began)
        passed_on = 0 if os.WSTOPSIG(status) & 0x7F == signal.SIGTRAP else os.WSTOPSIG(status)
        if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
            library.ptrace(_SYSCALL_INFO, child, ctypes.sizeof(about), about)
            if _changes_disk(bytes(about)):
                if calls == kill_before:
                    os.kill(child, signal.SIGKILL)
                    _, status = os.waitpid(child, 0)
                    return Death(True, calls, _acknowledged(told, status), time.monotonic() - began)
                calls += 1


def untraced(phase: Phase, run: Path, kill_after_s: float | None) -> Death:
    """The process runs at its own speed and dies after so long, if it is not done before."""
    began = time.monotonic()
    child, told = _fork(phase, run, lambda: None)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return Death(os.WIFSIGNALED(status), 0, _acknowledged(told, status), time.monotonic() - began)


def _fork(phase: Phase, run: Path, first: Callable[[], None]) -> tuple[int, int]:
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    code = 1
    try:
        told = os.dup2(write, 200)  # a number that `_changes_disk` knows
        first()
        with acknowledging(lambda _store: os.write(told, b".")):
            phase.action(NodeHome(run / "home"))
        code = 0
    finally:
        os._exit(code)


def _acknowledged(told: int, status: int) -> int:
    with os.fdopen(told, "rb") as pipe:
        number = len(pipe.read())
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the process failed by itself")
    return number


def _changes_disk(about: bytes) -> bool:
    (number, *arguments) = struct.unpack("7Q", about[24:80])
    kind = _WRITES[platform.machine()].get(number) if about[0] == _ENTRY else None
    if kind == "write":
        return arguments[0] not in (1, 2, 200)
    if kind in ("open", "openat"):
        return bool(arguments[1 + (kind == "openat")] & _CREATES)
    return kind is not None


@contextmanager
def acknowledging(told: Callable[[PassageStore], object]) -> Iterator[None]:
    """Says when a change of a document has returned to its caller: from then on it must never be lost."""
    before = PassageStore.put, PassageStore.forget

    def put(store: PassageStore, *given: object, **named: object) -> None:
        before[0](store, *given, **named)  # type: ignore[arg-type]
        told(store)

    def forget(store: PassageStore, *given: str) -> bool:
        done = before[1](store, *given)
        if done:
            told(store)
        return done

    PassageStore.put, PassageStore.forget = put, forget  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        PassageStore.put, PassageStore.forget = before  # type: ignore[method-assign]


def content(store: PassageStore) -> Content:
    """Everything a search can find, by document."""
    stored = store.stored_vectors(COLLECTION)
    found: dict[str, list[tuple[object, ...]]] = {}
    for passage, vector in zip(store.passages(stored.ids.tolist()), stored.vectors, strict=True):
        row = (passage.title, passage.section, passage.start, passage.end, passage.text, vector.tobytes())
        found.setdefault(passage.document_id, []).append(row)
    return {document: tuple(rows) for document, rows in found.items()}


def shown(store: PassageStore, home: NodeHome) -> Forms:
    """What could leave of a collection that redacts; nothing of one that does not."""
    redaction = _redaction(home)
    if redaction is None:
        return frozenset()
    passages = store.passages(store.stored_vectors(COLLECTION).ids.tolist())
    found = releasable(passages, {COLLECTION: redaction}, store, recheck=True)
    ids = {passage.passage_id: passage.document_id for passage in passages}
    return frozenset((ids[number], one.start, one.text) for number, one in found.items())


def _redaction(home: NodeHome) -> Redaction | None:
    (collection,) = open_config(home).collections
    return redaction_of(collection)


def misses(phase: Phase, home: NodeHome, acknowledged: int) -> list[str]:
    """What does not hold after a death, and after doing again what it interrupted."""
    try:
        return list(_misses(phase, home, acknowledged))
    except (FedragError, OSError, sqlite3.Error) as error:
        return [f"{type(error).__name__} {getattr(error, 'code', '')}"]


def _misses(phase: Phase, home: NodeHome, acknowledged: int) -> Iterator[str]:
    encoder = open_encoder(open_config(home))
    output = home.folder.parent / "backup"
    if output.exists():  # then it is whole
        restore(output, NodeHome(home.folder.parent / "first restored"), NOW)
        shutil.rmtree(output)
    with closing(open_store(home, encoder)) as store:
        there, held = content(store), shown(store, home)
    if not held <= phase.forms:
        yield "another form"
    if there not in phase.states[acknowledged : acknowledged + 2]:
        yield "another content"
    yield from (f"check: {found.code}" for found in examine(home))
    yield from _search_misses(home)
    phase.action(home)
    with closing(open_store(home, encoder)) as store:
        if content(store) != phase.states[-1]:
            yield "another content at the end"
        if shown(store, home) != phase.forms:
            yield "other forms at the end"
    yield from _search_misses(home)
    yield from (f"check at the end: {found.code}" for found in examine(home))
    left = b"".join(path.read_bytes() for path in home.folder.rglob("*") if path.is_file())
    if any(one in left for one in phase.gone):
        yield "a deleted word or vector is in a file"
    if output.exists():
        restored = NodeHome(home.folder.parent / "restored")
        restore(output, restored, NOW)
        with closing(open_store(restored, encoder)) as store:
            if content(store) != phase.states[-1]:
                yield "another content in the backup"


def _search_misses(home: NodeHome) -> Iterator[str]:
    node = assemble(home)
    collection = node.collections[COLLECTION].collection
    try:
        ids, vectors = node.store.vectors(COLLECTION)
        exact = Collection.open(node.store, COLLECTION, lambda: INDEXES.build("faiss_flat", {}), words=True)
        for number in range(0, 40, 4):
            text = f"{_word(number, 0)} dose {number} fever"
            query = node.encoder.encode_queries([text])[0]
            similarities = vectors.astype(np.float64) @ query.astype(np.float64)
            best = np.lexsort((np.arange(len(ids)), -similarities.astype(np.float32)))[:5]
            hits = collection.search(query, 5)
            if [hit.passage_id for hit in hits] != ids[best].tolist():
                yield f"not the nearest of question {number}"
            if collection.search(query, 5, terms_of(text)) != exact.search(query, 5, terms_of(text)):
                yield f"not the best by words of question {number}"
        saved = [path.name for path in (home.indexes / COLLECTION).iterdir()]
        if len(saved) != 1 or saved[0].startswith("."):
            yield f"{len(saved)} generations on disk"
    finally:
        node.store.close()
        node.state.close()


def phases(place: Path, documents: int) -> Iterator[Phase]:
    """Homes made one from the other: filled, changed, thinned out, compacted, calibrated, moved to a new index."""
    empty = place / "empty"
    source = empty / "documents"
    source.mkdir(parents=True)
    create_node(NodeHome(empty / "home"), _config(empty))
    _write(source, range(documents // 2), 0)
    _ingest(NodeHome(empty / "home"))
    _search(NodeHome(empty / "home"))
    ingesting = _copied(empty, place / "ingest")
    _write(ingesting / "documents", range(documents), 0)
    _write(ingesting / "documents", range(0, documents // 2, 3), 1)
    gone = tuple(_word(number, 0).encode() for number in range(0, documents // 2, 3))
    yield _recorded("ingest", ingesting, _ingest_and_serve, place, gone)
    full = _copied(ingesting, place / "full")
    _ingest_and_serve(NodeHome(full / "home"))
    deleting = _copied(full, place / "delete")
    gone += _thinned(deleting, range(1, documents, 4))
    yield _recorded("delete", deleting, _ingest_and_serve, place, gone)
    uncompacted, taken = _uncompacted(deleting, place)
    yield _recorded("compaction", uncompacted, _compact, place, taken)
    redacting = _copied(ingesting, place / "redact")
    _ingest_and_serve(NodeHome(redacting / "home"))
    _write(redacting / "documents", range(0, documents, 5), 2)
    config = redacting / "home" / "node.toml"
    told = config.read_text(encoding="utf-8").replace(
        'release_class = "public"', 'release_class = "public"\nredact = true'
    )
    config.write_text(told, encoding="utf-8")
    yield _recorded("redaction", redacting, _ingest_and_serve, place, gone=())
    fitting = _copied(full, place / "calibrate")
    with closing(sqlite3.connect(fitting / "home" / "passages.sqlite")) as database, database:
        database.execute("DELETE FROM calibrations")
    yield _recorded("calibration", fitting, _calibrate, place, ())
    swapping = _copied(deleting, place / "swap")
    _ingest(NodeHome(swapping / "home"))
    yield _recorded("index swap", swapping, _search, place, gone)
    yield _recorded("backup", _copied(full, place / "to copy"), _back_up, place, ())


def _recorded(name: str, base: Path, action: Action, place: Path, gone: tuple[bytes, ...]) -> Phase:
    """The phase with its oracle, an uninterrupted run in a copy, whose end is compared with the files themselves."""
    phase = Phase(name, base, action)
    run = _copied(base, place / "run")
    home = NodeHome(run / "home")
    with closing(open_store(home, open_encoder(open_config(home)))) as store:
        states = [content(store)]
    with acknowledging(lambda store: states.append(content(store))):
        action(home)
    with closing(open_store(home, open_encoder(open_config(home)))) as store:
        forms = shown(store, home)
    if any(NAME in text for _, _, text in forms) or bool(forms) != (_redaction(home) is not None):
        raise RuntimeError("an uninterrupted run does not redact every name")
    if name in ("ingest", "delete"):
        files = {path.name: path.read_text(encoding="utf-8") for path in (run / "documents").iterdir()}
        held = {name: " ".join(str(row[4]) for row in rows) for name, rows in states[-1].items()}
        sentences = [(name, one) for name in files for one in files[name].split("\n\n") if not one.startswith("#")]
        if held.keys() != files.keys() or any(sentence not in held[name] for name, sentence in sentences):
            raise RuntimeError("an uninterrupted run does not hold every sentence of the files")
    return replace(phase, states=tuple(states), gone=gone, forms=forms)


def _config(place: Path) -> NodeConfig:
    served = CollectionConfig(id=COLLECTION, folder=Path("documents"), release_class=ReleaseClass.PUBLIC)
    graph = PluginConfig(name="faiss_hnsw", settings={"exact_below": 0})
    return NodeConfig(
        node="h1", name=place.name, encoder=PluginConfig(name="hashing"), index=graph, collections=(served,)
    )


def _write(folder: Path, numbers: range, edition: int) -> None:
    for number in numbers:
        sections = [f"## Part {part}\n\n{_sentence(number, part, edition)}" for part in range(3)]
        text = "\n\n".join([f"# Leaflet {number}", *sections])
        (folder / f"{number:03}.md").write_text(text, encoding="utf-8")


def _sentence(number: int, part: int, edition: int) -> str:
    filler = " ".join(f"word{(7 * number + 3 * part + other) % 97}" for other in range(60))
    seen = f"seen by Dr. {NAME} on {1 + number % 28} May 2024"
    return f"{_word(number, edition)} part {part}: dose {number} mg against fever, {seen}, {filler}."


def _word(number: int, edition: int) -> str:
    return f"zq{chr(97 + edition)}{number:04}xylo"


def _thinned(run: Path, numbers: range) -> tuple[bytes, ...]:
    """Files that are deleted; their words and vectors."""
    home = NodeHome(run / "home")
    with closing(open_store(home, open_encoder(open_config(home)))) as store:
        held = content(store)
    lost: list[bytes] = []
    for number in numbers:
        path = run / "documents" / f"{number:03}.md"
        path.unlink()
        lost += [_word(number, 0).encode(), *(bytes(row[5]) for row in held[path.name] if isinstance(row[5], bytes))]
    return tuple(lost)


def _uncompacted(base: Path, place: Path) -> tuple[Path, tuple[bytes, ...]]:
    """A home whose last changes are in the write-ahead log alone, as a process leaves it that dies before a checkpoint;
    and the words that these took away."""
    busy, left = _copied(base, place / "busy"), place / "compaction"
    home = NodeHome(busy / "home")
    with closing(open_store(home, open_encoder(open_config(home)))) as store:
        documents = list(store.documents(COLLECTION))[::3]
        texts = [str(row[4]) for document in documents for row in content(store)[document]]
        for document in documents:
            store.forget(COLLECTION, document)
        _copied(busy, left)
    return left, tuple(text.split()[0].encode() for text in texts)


def _copied(base: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(base, to)
    return to


def _ingest(home: NodeHome) -> None:
    encoder = open_encoder(open_config(home))
    with closing(open_store(home, encoder)) as store:
        ingest(home.folder.parent / "documents", COLLECTION, store, encoder, redaction=_redaction(home))


def _search(home: NodeHome) -> None:
    node = assemble(home)
    node.store.close()
    node.state.close()


def _ingest_and_serve(home: NodeHome) -> None:
    """As a hospital does: ingest beside a node that serves and moves on to the new generation."""
    node = assemble(home)
    _ingest(home)
    node.collections[COLLECTION].collection.refresh()
    node.store.close()
    node.state.close()


def _compact(home: NodeHome) -> None:
    with closing(open_store(home, open_encoder(open_config(home)))) as store:
        store.checkpoint()


def _calibrate(home: NodeHome) -> None:
    encoder = open_encoder(open_config(home))
    with closing(open_store(home, encoder)) as store:
        calibrate(COLLECTION, store, encoder, ALL_FIELDS)


def _back_up(home: NodeHome) -> None:
    backup(home, home.folder.parent / "backup", NOW)


if __name__ == "__main__":
    sys.exit(main())
