"""From a folder of files to documents: one plug-in per format, chosen by suffix.

A new format is one new file here and its line in `SUFFIXES`. Other JSON and XML files have the suffixes of FHIR and
C-CDA: those readers look at the content and say `unknown_format`.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from fedrag.core.errors import InputError, MissingExtra
from fedrag.core.plugins import PluginKind
from retriever_node.documents import Document, Unreadable
from retriever_node.sources import Reader, SourceFile

SUFFIXES: Final[Mapping[str, str]] = {
    ".csv": "csv",
    ".docx": "docx",
    ".htm": "html",
    ".html": "html",
    ".json": "fhir",
    ".json.gz": "fhir",
    ".jsonl": "jsonl",
    ".markdown": "markdown",
    ".md": "markdown",
    ".ndjson": "fhir",
    ".ndjson.gz": "fhir",
    ".pdf": "pdf",
    ".txt": "text",
    ".xhtml": "html",
    ".xml": "ccda",
}
"""Suffix, lower case → reader."""

READERS: Final = PluginKind[Reader](
    "retriever_node.readers",
    tuple(sorted(set(SUFFIXES.values()))),
    extras=dict.fromkeys(("docx", "html", "pdf"), "documents"),
)

ReaderSettings = Mapping[str, Mapping[str, object]]
"""Reader name → its settings; a reader not named here has its defaults."""


def reader_of(file_name: str) -> str | None:
    """The reader for a file, by its suffix in any case."""
    return next((reader for suffix, reader in SUFFIXES.items() if file_name.lower().endswith(suffix)), None)


def read_folder(
    folder: Path, collection: str, settings: ReaderSettings | None = None, *, key: bytes = b""
) -> Iterator[Document | Unreadable]:
    """Every document below `folder`, in order of path; what cannot be read is a value, never an exception.

    Names that begin with a dot are passed over. Links are followed to files inside the folder only. A second document
    with an id already seen is `Unreadable`, code `duplicate_id`; a file whose reader's library is not installed is
    `missing_extra`. `key` is the node's secret for the ids of patients' documents.

    Raises InputError `missing_folder`, ConfigError for settings that no reader knows, MissingExtra for settings of a
    reader whose library is not installed.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", code="missing_folder")
    readers = {name: READERS.build(name, chosen) for name, chosen in sorted((settings or {}).items())}
    return _documents(folder.resolve(), collection, readers, key)


def _documents(root: Path, collection: str, readers: dict[str, Reader], key: bytes) -> Iterator[Document | Unreadable]:
    seen: set[str] = set()
    for found in _files(root, root, key):
        for item in (found,) if isinstance(found, Unreadable) else _read(found, collection, readers):
            if isinstance(item, Document) and item.document_id in seen:
                yield Unreadable(item.source, "duplicate_id", "an earlier document has the same id")
                continue
            if isinstance(item, Document):
                seen.add(item.document_id)
            yield item


def _read(found: SourceFile, collection: str, readers: dict[str, Reader]) -> Iterator[Document | Unreadable]:
    """Readers are built when the first file needs them. A fault in one costs the file, not the run."""
    name = reader_of(found.name) or ""
    if name not in readers:
        try:
            readers[name] = READERS.build(name)
        except MissingExtra as error:
            yield found.unreadable(error.code, error.message)
            return
    try:
        yield from readers[name].read(found, collection)
    except Exception as error:  # noqa: BLE001 - the border with files from anywhere
        yield found.unreadable("reader_failed", type(error).__name__)


def _files(folder: Path, root: Path, key: bytes) -> Iterator[SourceFile | Unreadable]:
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
            yield from _files(path, root, key)
        elif not name.isprintable():
            yield Unreadable(ascii(name)[1:-1], "bad_name", "the file name is not printable UTF-8")
        elif entry.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
            yield Unreadable(name, "outside_folder", "a link that leaves the folder is not followed")
        elif entry.is_symlink() and path.is_dir():
            yield Unreadable(name, "linked_folder", "a linked folder is not followed")
        elif not path.is_file():
            yield Unreadable(name, "not_a_file", "neither a file nor a folder")
        elif reader_of(entry.name) is None:
            yield Unreadable(name, "unknown_suffix", "skipped: no reader for this suffix")
        else:
            yield SourceFile(name, path, key)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
