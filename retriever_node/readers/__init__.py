"""From a folder of files to documents: one plug-in per format, chosen by suffix.

A new format is one new file here and its line in `SUFFIXES`.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from fedrag.core.errors import InputError
from fedrag.core.plugins import PluginKind
from retriever_node.documents import Document, Unreadable
from retriever_node.sources import Reader, SourceFile

SUFFIXES: Final[Mapping[str, str]] = {
    ".jsonl": "jsonl",
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
}
"""Suffix, lower case → reader."""

READERS: Final = PluginKind[Reader]("retriever_node.readers", tuple(sorted(set(SUFFIXES.values()))))

ReaderSettings = Mapping[str, Mapping[str, object]]
"""Reader name → its settings; a reader not named here has its defaults."""


def read_folder(
    folder: Path, collection: str, settings: ReaderSettings | None = None
) -> Iterator[Document | Unreadable]:
    """Every document below `folder`, in order of path; what cannot be read is a value, never an exception.

    Names that begin with a dot are passed over. Links are followed to files inside the folder only. A second document
    with an id already seen is `Unreadable`, code `duplicate_id`.

    Raises InputError `missing_folder`, and ConfigError for settings that no reader knows.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", code="missing_folder")
    settings = settings or {}
    readers = {name: READERS.build(name, settings.get(name)) for name in sorted({*READERS.names, *settings})}
    return _documents(folder.resolve(), collection, readers)


def _documents(root: Path, collection: str, readers: Mapping[str, Reader]) -> Iterator[Document | Unreadable]:
    seen: set[str] = set()
    for found in _files(root, root):
        if isinstance(found, Unreadable):
            yield found
            continue
        for item in readers[SUFFIXES[Path(found.name).suffix.lower()]].read(found, collection):
            if isinstance(item, Document) and item.document_id in seen:
                yield Unreadable(found.name, "duplicate_id", "an earlier document has the same id")
                continue
            if isinstance(item, Document):
                seen.add(item.document_id)
            yield item


def _files(folder: Path, root: Path) -> Iterator[SourceFile | Unreadable]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError:
        yield Unreadable(_name(folder, root), "not_readable", "the folder cannot be listed")
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith("."):
            continue
        name = _name(path, root)
        if entry.is_dir(follow_symlinks=False):
            yield from _files(path, root)
        elif not name.isprintable():
            yield Unreadable(ascii(name)[1:-1], "bad_name", "the file name is not printable UTF-8")
        elif entry.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
            yield Unreadable(name, "outside_folder", "a link that leaves the folder is not followed")
        elif entry.is_symlink() and path.is_dir():
            yield Unreadable(name, "linked_folder", "a linked folder is not followed")
        elif not path.is_file():
            yield Unreadable(name, "not_a_file", "neither a file nor a folder")
        elif path.suffix.lower() not in SUFFIXES:
            yield Unreadable(name, "unknown_suffix", "skipped: no reader for this suffix")
        else:
            yield SourceFile(name, path)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
