"""Built indexes on disk: one folder per generation of a collection, checked to the last byte before it is used.

    <collection>/<generation>-<digest>/
        ids.npy         int64 (rows,): the passage of each row
        vectors.npy     float32 (rows, dimension), memory-mapped
        dates.npy       int32 (rows,): effective dates
        terms…          what the passages' words were counted to, memory-mapped
        …               what the index saved
        manifest.json   the size of every file, and the SHA-256 of each of its parts
    <collection>/prototypes-2-<generation>-<digest>/
                        those of the generation of that name, saved when they are first asked for

The store is the truth: a folder that is missing, damaged or of something else is as good as none. The digest is of what
the index was made of, so a folder is found only by who would build the same. It is written aside, flushed and renamed;
then every other folder of the collection is removed, and with it what has been forgotten.
"""

import hashlib
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from pydantic import TypeAdapter, ValidationError

from fedrag.core.collection import Prototype
from fedrag.core.config import PluginConfig
from fedrag.core.errors import FedragError, IntegrityError
from fedrag.core.protocols import VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.lexical import TermIndex
from retriever_node.manifest import put, verify
from retriever_node.prototypes import RECIPE as PROTOTYPES_RECIPE
from retriever_node.rows import Rows
from retriever_node.terms import RECIPE

_log = structlog.get_logger()

_FORMAT: Final = 2
_IDS: Final = "ids.npy"
_VECTORS: Final = "vectors.npy"
_DATES: Final = "dates.npy"
_PROTOTYPES: Final = "prototypes.json"
_AS_JSON: Final = TypeAdapter(tuple[Prototype, ...])
_LIBRARIES: Final = ("faiss-cpu", "faiss-gpu", "hnswlib", "numpy")


def remove_others(folder: Path, collections: Collection[str]) -> None:
    """Of what lies under `folder`, only the generations of these collections stay."""
    _remove(folder, lambda name: name in collections)


def recipe(index: PluginConfig, comparable_with: str, *, words: bool) -> str:
    """What makes two indexes of the same rows alike: plug-in, settings, encoder, terms, and the libraries that write
    and read the files."""
    made_by = ",".join(f"{name}={_version(name)}" for name in _LIBRARIES)
    return f"{_FORMAT}|{index.model_dump_json()}|{comparable_with}|{RECIPE if words else ''}|{made_by}"


@dataclass(frozen=True, slots=True)
class SavedPrototypes:
    """Where those of one generation are kept. Their floats are written so that the same floats are read."""

    folder: Path

    def open(self) -> tuple[Prototype, ...] | None:
        """None where there are none that are whole."""
        try:
            verify(self.folder, self.folder.name)
            return _AS_JSON.validate_json((self.folder / _PROTOTYPES).read_bytes())
        except (OSError, IntegrityError, ValidationError):
            return None

    def save(self, made: tuple[Prototype, ...]) -> None:
        """Where the disk does not take them, the next start computes them again."""
        try:
            put(self.folder, lambda aside: (aside / _PROTOTYPES).write_bytes(_AS_JSON.dump_json(made)))
        except OSError:
            _log.warning("prototypes_not_saved", collection=self.folder.parent.name)

    def remove(self) -> None:
        _remove(self.folder.parent, lambda name: name != self.folder.name)


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
            verify(folder, folder.name)
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
            put(folder, lambda aside: _write(aside, rows, index))
            return _load(folder, loaded)
        except (OSError, FedragError):
            return None
        finally:
            self.remove(but=folder)

    def prototypes(self, generation: int, content: str) -> SavedPrototypes:
        return _beside(self._place(generation, content))

    def remove(self, but: Path | None = None) -> None:
        """Takes every generation from disk, half-written ones too, but this one with its prototypes."""
        stay = () if but is None else (but.name, _beside(but).folder.name)
        _remove(self._folder, lambda name: name in stay)

    def _place(self, generation: int, content: str) -> Path:
        digest = hashlib.sha256(f"{self._recipe}|{generation}|{content}".encode()).hexdigest()
        return self._folder / f"{generation}-{digest[:32]}"


def _beside(generation: Path) -> SavedPrototypes:
    return SavedPrototypes(generation.with_name(f"{PROTOTYPES_RECIPE}-{generation.name}"))


def _remove(folder: Path, stays: Callable[[str], bool]) -> None:
    """What cannot be removed is reported: it may hold what was forgotten. A folder without a dot is always whole."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in list(folder.iterdir()):
            if not stays(path.name):
                try:
                    if path.is_dir() and not path.is_symlink():
                        gone = path if path.name.startswith(".") else path.rename(path.with_name(f".gone-{path.name}"))
                        shutil.rmtree(gone)
                    else:
                        path.unlink()
                except FileNotFoundError:  # another process was faster
                    continue
                except OSError:
                    _log.warning("old_index_not_removed", collection=folder.name)


def _write(folder: Path, rows: Rows, index: VectorIndex) -> None:
    index.save(folder)
    for file, array in ((_IDS, rows.ids), (_VECTORS, rows.vectors), (_DATES, rows.dates)):
        np.save(folder / file, array, allow_pickle=False)
    if rows.terms is not None:
        rows.terms.save(folder)


def _load(folder: Path, index: VectorIndex) -> Rows:
    ids = np.load(folder / _IDS, allow_pickle=False)
    vectors: FloatMatrix = np.asarray(np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False))
    dates = np.load(folder / _DATES, allow_pickle=False)
    index.load(folder, vectors)
    return Rows(ids, vectors, dates, TermIndex.load(folder) if TermIndex.saved(folder) else None)


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
