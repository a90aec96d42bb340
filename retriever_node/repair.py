"""What is wrong with a node's folder, and what of it can be put right without a guess.

Documents come back from the owner's folder and indexes from the store, so what is damaged of them is taken out and made
again. Audit log, ledger, keys and configuration exist nowhere else: what is wrong with them is told, never mended.
"""

import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fedrag.core.errors import ConfigError, IntegrityError
from fedrag.core.protocols import Encoder
from retriever_node import audit
from retriever_node.assemble import open_encoder, open_store
from retriever_node.backup import renew_sealing_key
from retriever_node.config import NodeConfig
from retriever_node.home import NodeHome, open_config
from retriever_node.manifest import flush, verify
from retriever_node.salvage import salvage
from retriever_node.store import PassageStore
from retriever_node.store.succession import advance_descriptions

_UNREADABLE: Final = frozenset({"corrupt_store", "corrupt_pages"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a part of the folder: `passages`, `indexes` or `state`; `count` of them."""

    part: str
    code: str
    count: int


def examine(home: NodeHome) -> tuple[Finding, ...]:
    """Everything found wrong. Reads every file, changes none; a node may serve and ingest meanwhile."""
    encoder = open_encoder(open_config(home))
    return (*_of_passages(home, encoder), *_of_indexes(home, encoder), *_of_state(home))


def repair(home: NodeHome, now: datetime) -> tuple[str, ...]:
    """Puts right what can be; says what was done, a sentence each, with the name of all that was moved or forgotten.

    Raises ConfigError (`home_in_use`) where a store has to be replaced while another process has it open.
    """
    config = open_config(home)
    encoder = open_encoder(config)
    done = []
    for folder in sorted(home.indexes.glob("*/*")):
        if folder.is_dir() and _is_damaged(folder):
            shutil.rmtree(folder, ignore_errors=True)
            done.append(f"index {folder.parent.name}/{folder.name} removed; the node builds it again")
    if any(finding.code in _UNREADABLE for finding in _of_passages(home, encoder)):
        done += _replace(home, config, encoder, now)
    with closing(open_store(home, encoder)) as store:
        forgotten, strays, forms = store.mend()
    done += [f"document {place}/{name} forgotten; the next ingest brings it back" for place, name in forgotten]
    if strays:
        done.append(f"{strays} rows that belonged to nothing removed")
    if forms:
        done.append(f"{forms} redacted forms removed; the next ingest makes them again")
    return tuple(done)


def _of_passages(home: NodeHome, encoder: Encoder) -> tuple[Finding, ...]:
    try:
        with closing(open_store(home, encoder)) as store:
            return tuple(Finding("passages", problem.code, problem.count) for problem in store.check())
    except IntegrityError as error:
        return (Finding("passages", error.code, 1),)


def _of_state(home: NodeHome) -> tuple[Finding, ...]:
    if not home.state.exists():
        return ()
    try:
        with closing(sqlite3.connect(f"{home.state.resolve().as_uri()}?mode=rw", uri=True)) as database:
            faults = [row[0] for row in database.execute("PRAGMA integrity_check") if row[0] != "ok"]
            if faults:
                return (Finding("state", "corrupt_pages", len(faults)),)
            for _ in audit.lines(database):
                pass
    except sqlite3.DatabaseError:
        return (Finding("state", "corrupt_store", 1),)
    except IntegrityError as error:
        return (Finding("state", error.code, 1),)
    return ()


def _of_indexes(home: NodeHome, encoder: Encoder) -> tuple[Finding, ...]:
    """Of the generation that the store has now. Others, whole or not, are on their way in or out: the next start
    removes what a killed process left of them."""
    try:
        with closing(open_store(home, encoder)) as store:
            current = {collection: store.generation(collection) for collection in store.collections()}
    except IntegrityError:
        return ()
    saved = [list((home.indexes / name).glob(f"{generation}-*")) for name, generation in current.items()]
    damaged = sum(1 for folders in saved if folders and all(_is_damaged(folder) for folder in folders))
    return (Finding("indexes", "damaged_index", damaged),) if damaged else ()


def _is_damaged(generation: Path) -> bool:
    """Not when it went away meanwhile: a node has moved on to the next one."""
    try:
        verify(generation, generation.name)
    except (OSError, IntegrityError):
        return generation.exists()
    return False


def _replace(home: NodeHome, config: NodeConfig, encoder: Encoder, now: datetime) -> list[str]:
    """Every document of a damaged store that is whole goes into a new one; the damaged one is put aside.

    Whole is what has the checksum it was stored with, so no document comes back with a passage less or a word changed.
    """
    _require_alone(home)
    fresh = home.passages.with_suffix(".salvaged")
    for path in _with_log(fresh):
        path.unlink(missing_ok=True)
    with closing(PassageStore.open(fresh, encoder.identity)) as store:
        found = salvage(home.passages, store)
    advance_descriptions(fresh, int(now.timestamp()), [one.id for one in config.collections])
    for path in _with_log(fresh)[:2]:
        path.unlink(missing_ok=True)
    flush(fresh)
    aside = home.folder / f"passages.damaged-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.sqlite"
    aside.hardlink_to(home.passages)
    for old, kept in zip(_with_log(home.passages)[:2], _with_log(aside)[:2], strict=True):
        with suppress(FileNotFoundError):  # a log must never meet the new file
            old.rename(kept)
    fresh.replace(home.passages)
    flush(home.folder)
    renew_sealing_key(home)
    return [
        f"the damaged store is now {aside.name}: it holds passages, delete it when you need it no more",
        f"{found} whole documents of it are in the new store; the next ingest brings back the others",
    ]


def _with_log(path: Path) -> tuple[Path, Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"), path


def _require_alone(home: NodeHome) -> None:
    """A process that has the store open would go on writing into the file that is put aside."""
    for path in (home.passages, home.state):
        if path.exists():
            with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as database:
                try:
                    database.execute("PRAGMA locking_mode = EXCLUSIVE")
                    database.execute("BEGIN EXCLUSIVE")
                except sqlite3.OperationalError:
                    raise ConfigError("the node or an ingest is running: stop it first", code="home_in_use") from None
                except sqlite3.DatabaseError:  # damaged, which is why we are here
                    continue
