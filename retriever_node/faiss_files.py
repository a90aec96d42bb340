"""FAISS indexes as files: written whole, read through the page cache."""

import os
from pathlib import Path
from typing import TypeVar

import faiss

from fedrag.core.errors import IntegrityError, Unavailable

Kind = TypeVar("Kind", bound=faiss.Index)


def write_index(index: faiss.Index, path: Path) -> None:
    """A new file, for its owner only. FAISS's own writer does not report what fails when the file is closed; a disk
    that is full must not leave a shorter file behind without a word."""
    with open(path, "xb", opener=_private) as file:
        writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]  # FAISS's stub lacks it
        try:
            faiss.write_index(index, writer)
        except RuntimeError:
            raise Unavailable("the index cannot be written", code="store_unavailable") from None


def read_index(path: Path, kind: type[Kind], rows: int, dimension: int) -> Kind:
    """Its large arrays stay in the file, memory-mapped. The bytes must be those that were written: FAISS may crash on
    others. Raises IntegrityError for an index of another kind or of other rows."""
    try:
        index = faiss.read_index(os.fspath(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError:
        raise IntegrityError("the index file cannot be read") from None
    if not isinstance(index, kind) or (index.ntotal, index.d) != (rows, dimension):
        raise IntegrityError("the index file is not of these rows")
    return index


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
