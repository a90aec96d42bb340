"""What was read of each file, so that a file that has not changed is not parsed again.

    <collection>
        recipe                          the program, libraries and settings that read it all
        name ⇥ content ⇥ items          once per file
        SHA-256 of the lines above

A file has not changed where its bytes have not, nor those of the files beside it that its reader looks into: by their
SHA-256, whatever times and sizes say. Which documents are stored is not known here. So readings that are missing,
damaged or thrown away cost parsing and nothing else, and none can keep a document that no file holds. There is no text
in them: names of files, ids and fingerprints of documents, as in the store, and the reasons of reports.
"""

import hashlib
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import structlog

from fedrag.core.errors import MissingExtra
from retriever_node.documents import Document, Unreadable
from retriever_node.manifest import flush
from retriever_node.readers import Files, without_duplicates
from retriever_node.sources import Reading, SourceFile

_log = structlog.get_logger()

_LIBRARIES: Final = ("fedrag", "lxml", "pydantic", "pypdf", "python-docx", "pyyaml")
_DOUBTFUL: Final = frozenset({"missing_extra", "not_readable", "reader_failed"})
"""Of a file that may be read the next time, with the same bytes."""
_FILES_BESIDE: Final = 64

Fingerprint = Callable[[Document], str]
Item = Reading | Unreadable
_Stamps = tuple[tuple[Path, tuple[int, ...]], ...]


def recipe(settings: Mapping[str, Mapping[str, object]], key: bytes, *more: object) -> str:
    """What decides, besides its bytes, what is made of a file: this program to the last line, the libraries that parse,
    the readers' settings, the key of ids, and `more`."""
    libraries = [sys.version, *(f"{name}={_version(name)}" for name in _LIBRARIES)]
    chosen = [(name, sorted(values.items())) for name, values in sorted(settings.items())]
    return _sha256(repr([libraries, _program(), chosen, _sha256(key), more]).encode())


def survey(files: Files, fingerprint: Fingerprint, kept: "Readings | None" = None) -> Iterator[Item]:
    """What `read_folder` tells, with a reading in place of each document; of unchanged files what is kept of them."""
    read = _all(files, fingerprint) if kept is None else kept.survey(files, fingerprint)
    return without_duplicates(read)


class Readings:
    """Those of one collection's files: one file, for its owner only."""

    def __init__(self, path: Path, made_by: str) -> None:
        self._path = path
        self._recipe = made_by.encode()

    def survey(self, files: Files, fingerprint: Fingerprint) -> Iterator[Item]:
        """Everything in the folder, in its order; kept for the next time once all of it is told."""
        known, lines = self._known(), [self._recipe]
        digest = lru_cache(_FILES_BESIDE)(_stamped_sha256)
        for found in files:
            if isinstance(found, Unreadable):
                yield found
                continue
            before = _stamps(files, found)
            content = _content(before, digest)
            name = json.dumps(found.name).encode()
            written = known.get((name, content))
            if written is not None:
                items = tuple(_item(found, *one) for one in json.loads(written))
            else:
                items = tuple(_items(files, found, fingerprint))
                sure = not any(isinstance(one, Unreadable) and one.code in _DOUBTFUL for one in items)
                if sure and _stamps(files, found) == before:  # else its bytes may not be those that were read
                    written = json.dumps([_row(one) for one in items]).encode()
            if content and written is not None:
                lines.append(b"\t".join((name, content, written)))
            yield from items
        self._keep(lines)

    def _known(self) -> dict[tuple[bytes, bytes], bytes]:
        """Name and content → items, of readings that are whole and of this recipe."""
        try:
            raw = self._path.read_bytes()
        except OSError:
            return {}
        *lines, checksum = raw.split(b"\n")
        if _sha256(b"\n".join(lines)).encode() != checksum or lines[0] != self._recipe:
            return {}
        rows = (line.split(b"\t") for line in lines[1:])
        return {(name, content): items for name, content, items in rows}

    def _keep(self, lines: list[bytes]) -> None:
        whole = b"\n".join(lines)
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor, aside = tempfile.mkstemp(prefix=".new-", dir=self._path.parent)  # for its owner only
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(whole + b"\n" + _sha256(whole).encode())
                flush(Path(aside))
                Path(aside).replace(self._path)
            finally:
                Path(aside).unlink(missing_ok=True)
        except OSError:
            _log.warning("readings_not_kept", collection=self._path.name)


def _all(files: Files, fingerprint: Fingerprint) -> Iterator[Item]:
    for found in files:
        if isinstance(found, Unreadable):
            yield found
        else:
            yield from _items(files, found, fingerprint)


def _items(files: Files, found: SourceFile, fingerprint: Fingerprint) -> Iterator[Item]:
    for item in files.read(found):
        yield item if isinstance(item, Unreadable) else Reading(item.document_id, found.name, fingerprint(item))


def _row(item: Item) -> tuple[str, str, str]:
    if isinstance(item, Unreadable):
        return ("unreadable", item.code, item.reason)
    return ("document", item.document_id, item.ingested_sha256)


def _item(found: SourceFile, kind: str, first: str, second: str) -> Item:
    return Reading(first, found.name, second) if kind == "document" else found.unreadable(first, second)


def _stamps(files: Files, found: SourceFile) -> _Stamps | None:
    """Of the file and those beside it: what changes when one of them is written to or replaced. None in doubt."""
    try:
        paths = (found.path, *files.beside(found))
        return tuple((path, _stamp(path)) for path in paths)
    except (OSError, MissingExtra):
        return None


def _stamp(path: Path) -> tuple[int, ...]:
    now = path.stat()
    return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


def _content(stamps: _Stamps | None, digest: Callable[[Path, tuple[int, ...]], str]) -> bytes:
    """SHA-256 of the bytes of all of them; empty in doubt."""
    try:
        return _sha256(repr([(path.name, digest(path, stamp)) for path, stamp in stamps or ()]).encode()).encode()
    except OSError:
        return b""


def _stamped_sha256(path: Path, stamp: tuple[int, ...]) -> str:  # noqa: ARG001 - what a digest is remembered by
    return _file_sha256(path)


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _program() -> list[str]:
    """One that cannot be read is never the same."""
    try:
        return [_file_sha256(path) for path in sorted(Path(__file__).parent.rglob("*.py"))]
    except OSError:
        return [secrets.token_hex()]


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
