"""From a folder of files to documents: one plug-in per format, chosen by suffix.

A new format is one new file here and its line in `SUFFIXES`. Other JSON and XML files have the suffixes of FHIR and
C-CDA: those readers look at the content and say `unknown_format`.
"""

import os
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

from fedrag.core.errors import InputError, MissingExtra
from fedrag.core.plugins import PluginKind
from retriever_node.documents import Document, Unreadable
from retriever_node.sources import Reader, Reading, ReadsBeside, SourceFile

T = TypeVar("T", Document, Reading)

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
    folder: Path,
    collection: str,
    settings: ReaderSettings | None = None,
    *,
    key: bytes = b"",
    only: Container[str] | None = None,
) -> Iterator[Document | Unreadable]:
    """Every document below `folder`, in order of path; what cannot be read is a value, never an exception.

    Names that begin with a dot are passed over. Links are followed to files inside the folder only. A second document
    with an id already seen is `Unreadable`, code `duplicate_id`; a file whose reader's library is not installed is
    `missing_extra`. `key` is the node's secret for the ids of patients' documents. `only`: names of the files that are
    read.

    Raises InputError `missing_folder`, ConfigError for settings that no reader knows, MissingExtra for settings of a
    reader whose library is not installed.
    """
    files = Files(folder, collection, settings, key)
    return without_duplicates(
        item
        for found in files
        if not isinstance(found, SourceFile) or only is None or found.name in only
        for item in ((found,) if isinstance(found, Unreadable) else files.read(found))
    )


class Files:
    """The files below a collection's folder, and their readers; a reader is built when the first file needs it.

    Raises as `read_folder` does.
    """

    def __init__(self, folder: Path, collection: str, settings: ReaderSettings | None = None, key: bytes = b"") -> None:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder", code="missing_folder")
        self._readers = {name: READERS.build(name, chosen) for name, chosen in sorted((settings or {}).items())}
        self._root = folder.resolve()
        self._collection = collection
        self._key = key

    def __iter__(self) -> Iterator[SourceFile | Unreadable]:
        return _files(self._root, self._root, self._key)

    def read(self, found: SourceFile) -> Iterator[Document | Unreadable]:
        """A fault in a reader costs the file, not the run."""
        try:
            reader = self._reader(found)
        except MissingExtra as error:
            yield found.unreadable(error.code, error.message)
            return
        try:
            yield from reader.read(found, self._collection)
        except Exception as error:  # noqa: BLE001 - the border with files from anywhere
            yield found.unreadable("reader_failed", type(error).__name__)

    def beside(self, found: SourceFile) -> tuple[Path, ...]:
        """The other files that a reading of this one depends on. Raises OSError, MissingExtra."""
        reader = self._reader(found)
        return reader.beside(found) if isinstance(reader, ReadsBeside) else ()

    def _reader(self, found: SourceFile) -> Reader:
        name = reader_of(found.name) or ""
        if name not in self._readers:
            self._readers[name] = READERS.build(name)
        return self._readers[name]


def without_duplicates(items: Iterable[T | Unreadable]) -> Iterator[T | Unreadable]:
    """Of documents with the same id the first."""
    seen: set[str] = set()
    for item in items:
        if isinstance(item, Unreadable):
            yield item
        elif item.document_id in seen:
            yield Unreadable(item.source, "duplicate_id", "an earlier document has the same id")
        else:
            seen.add(item.document_id)
            yield item


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
