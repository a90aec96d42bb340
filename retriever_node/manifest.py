"""A folder that can be checked to the last byte: its manifest holds the size of every file and the SHA-256 of each of
its parts. It finds damage, not forgery: who can write the folder can write the manifest."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from fedrag.core.errors import IntegrityError
from fedrag.core.wire import Count, Sha256, Wire

MANIFEST: Final = "manifest.json"
_PART_BYTES: Final = 1 << 26


class SealedFile(Wire):
    """`name`: with slashes, below the folder."""

    name: str
    size_bytes: Count
    parts_sha256: tuple[Sha256, ...]


class Manifest(Wire):
    """`folder`: what the folder is, so that it is not taken for another."""

    folder: str
    files: tuple[SealedFile, ...]


def seal(folder: Path, name: str) -> None:
    """Writes the manifest, and all of the folder to disk, readable by its owner only."""
    files = tuple(measured(folder, path) for path in _files(folder))
    (folder / MANIFEST).write_text(Manifest(folder=name, files=files).model_dump_json(), encoding="utf-8")
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        flush(path)
    folder.chmod(0o700)
    flush(folder)


def put(folder: Path, write: Callable[[Path], object]) -> None:
    """Makes a sealed folder of what is written, in place of any other: aside, flushed, then renamed. What a killed
    process leaves behind has a name that begins with a dot."""
    for parent in (folder.parent.parent, folder.parent):
        parent.mkdir(mode=0o700, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))  # for its owner only
    try:
        write(aside)
        seal(aside, folder.name)
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        aside.rename(folder)
        flush(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def verify(folder: Path, name: str) -> tuple[SealedFile, ...]:
    """The files of a whole folder. Raises IntegrityError or OSError where one is missing, strange or damaged."""
    written = (folder / MANIFEST).read_bytes()
    try:
        manifest = Manifest.model_validate_json(written)
    except ValidationError:
        raise IntegrityError("the manifest is damaged") from None
    if manifest.model_dump_json().encode() != written or manifest.folder != name:
        raise IntegrityError("the manifest is not of this folder")
    paths = _files(folder)
    sizes = tuple((path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths)
    if sizes != tuple((file.name, file.size_bytes) for file in manifest.files):
        raise IntegrityError("files are missing, strange or of another length")
    if any(path.is_symlink() for path in paths) or manifest.files != tuple(measured(folder, path) for path in paths):
        raise IntegrityError("a file is damaged")
    return manifest.files


def measured(folder: Path, path: Path) -> SealedFile:
    """Its parts are hashed side by side, one per processor."""
    size = path.stat().st_size
    with ThreadPoolExecutor(os.cpu_count()) as processors:
        parts = tuple(processors.map(lambda start: _part_sha256(path, start), range(0, max(1, size), _PART_BYTES)))
    return SealedFile(name=path.relative_to(folder).as_posix(), size_bytes=size, parts_sha256=parts)


def flush(path: Path) -> None:
    """A file's bytes, or a folder's names, are on disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir() and path != folder / MANIFEST)


def _part_sha256(path: Path, start: int) -> str:
    digest, left = hashlib.sha256(), _PART_BYTES
    with path.open("rb") as file:
        file.seek(start)
        while left and (some := file.read(min(left, 1 << 20))):
            digest.update(some)
            left -= len(some)
    return digest.hexdigest()
