"""Built indexes on disk: one folder per generation of a collection, checked to the last byte before it is used.

    <collection>/<generation>-<digest>/
        ids.npy         int64 (rows,): the passage of each row
        vectors.npy     float32 (rows, dimension), memory-mapped
        dates.npy       int32 (rows,): effective dates
        terms…          what the passages' words were counted to, memory-mapped
        …               what the index saved
        manifest.json   the size of every file, and the SHA-256 of each of its parts

The store is the truth: a folder that is missing, damaged or of something else is as good as none. The digest is of what
the index was made of, so a folder is found only by who would build the same. It is written aside, flushed and renamed;
then every other folder of the collection is removed, and with it what has been forgotten.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from pydantic import ValidationError

from fedrag.core.config import PluginConfig
from fedrag.core.errors import FedragError, IntegrityError
from fedrag.core.protocols import VectorIndex
from fedrag.core.wire import Count, FloatMatrix, Sha256, Wire
from retriever_node.lexical import TermIndex
from retriever_node.rows import Rows
from retriever_node.terms import RECIPE

_log = structlog.get_logger()

_FORMAT: Final = 2
_PART_BYTES: Final = 1 << 26
_MANIFEST: Final = "manifest.json"
_IDS: Final = "ids.npy"
_VECTORS: Final = "vectors.npy"
_DATES: Final = "dates.npy"
_LIBRARIES: Final = ("faiss-cpu", "faiss-gpu", "hnswlib", "numpy")


class SavedFile(Wire):
    name: str
    size_bytes: Count
    parts_sha256: tuple[Sha256, ...]


class Manifest(Wire):
    """`folder`: the name it was written under, so that a folder is not taken for another."""

    folder: str
    files: tuple[SavedFile, ...]


def remove_others(folder: Path, collections: Collection[str]) -> None:
    """Of what lies under `folder`, only the generations of these collections stay."""
    _remove(folder, lambda name: name in collections)


def recipe(index: PluginConfig, comparable_with: str, *, words: bool) -> str:
    """What makes two indexes of the same rows alike: plug-in, settings, encoder, terms, and the libraries that write
    and read the files."""
    made_by = ",".join(f"{name}={_version(name)}" for name in _LIBRARIES)
    return f"{_FORMAT}|{index.model_dump_json()}|{comparable_with}|{RECIPE if words else ''}|{made_by}"


class SavedGenerations:
    """The folder of one collection's saved generations; at most one of them is kept.

    Several processes may use it: who finds it changed under its hands takes that for a missing generation.
    """

    def __init__(self, folder: Path, made_by: str) -> None:
        self._folder = folder
        self._recipe = made_by

    def open(self, generation: int, content: str, index: VectorIndex) -> Rows | None:
        """Loads the index as it was saved of this content (`content` is a fingerprint of it), and removes all others.
        None where there is none that is whole; `index` is then to be built."""
        folder = self._place(generation, content)
        try:
            _verify(folder)
            rows = _load(folder, index)
        except (OSError, IntegrityError):
            return None
        self.remove(but=folder)
        return rows

    def save(self, generation: int, content: str, rows: Rows, index: VectorIndex, loaded: VectorIndex) -> Rows | None:
        """Writes a generation to disk in place of all others, and loads it into the empty index `loaded`: the same
        rows, in the page cache in place of the process's memory. None where the disk did not take it."""
        folder = self._place(generation, content)
        try:
            for parent in (self._folder.parent, self._folder):
                parent.mkdir(mode=0o700, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))  # for its owner only
            _write(aside, folder.name, rows, index)
            shutil.rmtree(folder, ignore_errors=True)  # a damaged one
            aside.rename(folder)
            _flush(self._folder)
            return _load(folder, loaded)
        except (OSError, FedragError):
            return None
        finally:
            self.remove(but=folder)

    def remove(self, but: Path | None = None) -> None:
        """Takes every generation from disk, half-written ones too, but this one."""
        _remove(self._folder, lambda name: but is not None and name == but.name)

    def _place(self, generation: int, content: str) -> Path:
        digest = hashlib.sha256(f"{self._recipe}|{generation}|{content}".encode()).hexdigest()
        return self._folder / f"{generation}-{digest[:32]}"


def _remove(folder: Path, stays: Callable[[str], bool]) -> None:
    """What cannot be removed is reported: it may hold what was forgotten."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in list(folder.iterdir()):
            if not stays(path.name):
                try:
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink()
                except FileNotFoundError:  # another process was faster
                    continue
                except OSError:
                    _log.warning("old_index_not_removed", collection=folder.name)


def _write(folder: Path, name: str, rows: Rows, index: VectorIndex) -> None:
    index.save(folder)
    for file, array in ((_IDS, rows.ids), (_VECTORS, rows.vectors), (_DATES, rows.dates)):
        np.save(folder / file, array, allow_pickle=False)
    if rows.terms is not None:
        rows.terms.save(folder)
    files = tuple(_measured(path) for path in sorted(folder.iterdir()))
    (folder / _MANIFEST).write_text(Manifest(folder=name, files=files).model_dump_json(), encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o600)
        _flush(path)
    _flush(folder)


def _load(folder: Path, index: VectorIndex) -> Rows:
    ids = np.load(folder / _IDS, allow_pickle=False)
    vectors: FloatMatrix = np.asarray(np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False))
    dates = np.load(folder / _DATES, allow_pickle=False)
    index.load(folder, vectors)
    return Rows(ids, vectors, dates, TermIndex.load(folder) if TermIndex.saved(folder) else None)


def _verify(folder: Path) -> None:
    """Raises IntegrityError or OSError unless the folder holds the files of its manifest, whole, and nothing else."""
    written = (folder / _MANIFEST).read_bytes()
    try:
        manifest = Manifest.model_validate_json(written)
    except ValidationError:
        raise IntegrityError("the manifest of a saved index is damaged") from None
    if manifest.model_dump_json().encode() != written or manifest.folder != folder.name:
        raise IntegrityError("the manifest of a saved index is not its own")
    paths = sorted(path for path in folder.iterdir() if path.name != _MANIFEST)
    sizes = tuple((path.name, path.stat().st_size) for path in paths)
    if sizes != tuple((file.name, file.size_bytes) for file in manifest.files):
        raise IntegrityError("files of a saved index are missing, strange or of another length")
    if tuple(_measured(path) for path in paths) != manifest.files:
        raise IntegrityError("a file of a saved index is damaged")


def _measured(path: Path) -> SavedFile:
    """Its parts are hashed side by side, one per processor: hashing is most of a cold start."""
    size = path.stat().st_size
    with ThreadPoolExecutor(os.cpu_count()) as processors:
        parts = tuple(processors.map(lambda start: _part_sha256(path, start), range(0, max(1, size), _PART_BYTES)))
    return SavedFile(name=path.name, size_bytes=size, parts_sha256=parts)


def _part_sha256(path: Path, start: int) -> str:
    digest, left = hashlib.sha256(), _PART_BYTES
    with path.open("rb") as file:
        file.seek(start)
        while left and (some := file.read(min(left, 1 << 20))):
            digest.update(some)
            left -= len(some)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
