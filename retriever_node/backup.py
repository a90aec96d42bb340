"""Backup of a node that serves and ingests meanwhile, and what becomes a node again of it.

    <backup>/
        node.toml, policy.toml, node.key, coordinators/…   as they are; demonstrations.json where there are any
        passages.sqlite, state.sqlite                      each as of one moment, checked by SQLite
        about.json                                         of which node, made when
        manifest.json                                      the size and SHA-256 of every file

What a node makes again by itself is left out: indexes, its TLS certificate, and the key that seals handles. A backup is
as confidential as the node: it holds the node's private key and every text.
"""

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import tomlkit
from pydantic import AwareDatetime, ValidationError

from fedrag.core.errors import ConfigError, IntegrityError, Unavailable
from fedrag.core.wire import NodeId, Wire
from retriever_node import audit
from retriever_node.config import NodeConfig
from retriever_node.home import NodeHome, open_config
from retriever_node.manifest import MANIFEST, SealedFile, flush, measured, seal, verify
from retriever_node.state import NodeState
from retriever_node.store.succession import advance_descriptions

_NAME: Final = "backup of a node"
_ABOUT: Final = "about.json"
_SEALING_KEY_BYTES: Final = 32
_BUSY_S: Final = 30


class About(Wire):
    """`home`: the node's folder, so that paths into it can be turned to the new one."""

    format: Literal[1] = 1
    node: NodeId
    made_at: AwareDatetime
    home: str


def backup(home: NodeHome, output: Path, now: datetime) -> About:
    """Writes a backup into the new folder `output`: the whole of it, or nothing.

    Raises ConfigError (`backup_exists`), IntegrityError (`corrupt_store`) where a database is damaged, Unavailable
    (`backup_not_written`).
    """
    config = open_config(home)
    about = About(node=config.node, made_at=now, home=str(home.folder.resolve()))
    output = output.resolve()
    if output.exists():
        raise ConfigError(f"{output} is there already", code="backup_exists")
    aside = output.with_name(f".{output.name}.new")
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
        aside.mkdir(mode=0o700)
        try:
            _write(home, config, about, aside)
            aside.rename(output)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        flush(output.parent)
    except (OSError, sqlite3.OperationalError) as error:
        raise Unavailable(f"the backup cannot be written ({type(error).__name__})", code="backup_not_written") from None
    except sqlite3.DatabaseError:
        raise IntegrityError("a database of this node is damaged", code="corrupt_store") from None
    return about


def restore(source: Path, home: NodeHome, now: datetime) -> About:
    """Makes a node of a backup, in a folder that is missing or empty. `node.toml` comes last: without it there is none.

    The node's memory is as old as the backup. Handles given out since would name other passages: their key is new.
    Descriptions given out since had higher versions: the next ones are higher still. The audit log tells of it.

    Raises IntegrityError (`damaged_backup`), ConfigError (`node_exists`).
    """
    files, about = _opened(source)
    if home.folder.exists() and (not home.folder.is_dir() or any(home.folder.iterdir())):
        raise ConfigError(f"{home.folder} is not empty: restore into a new folder", code="node_exists")
    home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in files:
        if file.name not in (_ABOUT, home.config.name):
            _copy(source / file.name, home.folder / file.name)
            if measured(home.folder, home.folder / file.name) != file:
                raise IntegrityError(f"{file.name} did not arrive whole", code="damaged_backup")
    renew_sealing_key(home)
    if home.passages.exists():
        advance_descriptions(home.passages, int(now.timestamp()))
    state = NodeState(home.state)
    with closing(state), state.transaction() as connection:
        audit.append(connection, _restored(about, now))
    fresh = home.config.with_suffix(".new")
    _written(fresh, _with_paths_in(home, about, (source / home.config.name).read_text(encoding="utf-8")).encode())
    for path in home.folder.rglob("*"):
        flush(path)
    fresh.rename(home.config)
    flush(home.folder)
    return about


def renew_sealing_key(home: NodeHome) -> None:
    """No handle that was given out before opens anything any more."""
    fresh = home.sealing_key.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    _written(fresh, secrets.token_bytes(_SEALING_KEY_BYTES))
    fresh.rename(home.sealing_key)
    flush(home.folder)


def _write(home: NodeHome, config: NodeConfig, about: About, aside: Path) -> None:
    """The ledger and the audit log before the passages: every passage they name has been in the store then."""
    policy = tuple(one for one in (home.policy, home.demonstrations) if one.exists())
    for path in (home.config, *policy, home.signing_key, *_certificates(home, config)):
        _copy(path, aside / path.relative_to(home.folder))
    for path in (home.state, home.passages):
        if path.exists():
            _copy_database(path, aside / path.name)
    _written(aside / _ABOUT, about.model_dump_json().encode())
    seal(aside, _NAME)


def _certificates(home: NodeHome, config: NodeConfig) -> Iterator[Path]:
    """Roots of coordinators, and an operator's own certificate where it lies in this folder."""
    named = [one.authority for one in config.coordinators]
    for path in (*named, config.serve.tls_certificate, config.serve.tls_key):
        if path is not None and path.resolve().is_relative_to(home.folder.resolve()) and path.exists():
            yield home.folder / path.resolve().relative_to(home.folder.resolve())


def _copy_database(source: Path, target: Path) -> None:
    _written(target, b"")
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True, timeout=_BUSY_S)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        if copy.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            raise IntegrityError(f"{source.name} is damaged", code="corrupt_store")


def _opened(source: Path) -> tuple[tuple[SealedFile, ...], About]:
    try:
        files = verify(source, _NAME)
        return files, About.model_validate_json((source / _ABOUT).read_bytes())
    except (OSError, IntegrityError, ValidationError):
        raise IntegrityError(f"{source} is no whole backup: see its {MANIFEST}", code="damaged_backup") from None


def _restored(about: About, now: datetime) -> audit.AuditEvent:
    return audit.AuditEvent(
        at=audit.timestamp(now.timestamp()),
        kind="restored",
        request_id="",
        asker="",
        purpose=f"backup of {about.made_at.isoformat()}",
        coordinator="",
    )


def _with_paths_in(home: NodeHome, about: About, toml: str) -> str:
    """Certificates in the old folder are in the new one now; everything else, comments too, stays as it was."""
    document = tomlkit.parse(toml)
    serve = document.get("serve", {})
    for table in (*document.get("coordinators", ()), serve):
        for key in ("authority", "tls_certificate", "tls_key"):
            if key in table and Path(table[key]).is_relative_to(about.home):
                table[key] = str(home.folder.resolve() / Path(table[key]).relative_to(about.home))
    return tomlkit.dumps(document)


def _copy(source: Path, target: Path) -> None:
    """For its owner only, whatever the source was."""
    target.parent.mkdir(mode=0o700, exist_ok=True)
    _written(target, b"")
    shutil.copyfile(source, target)


def _written(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
