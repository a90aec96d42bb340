"""What a data package is: where its raw files lie, who owns them, how records are made, and which records are right."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Files = Mapping[str, bytes]
"""Path inside the repository → content."""

Convert = Callable[[Files, str], dict[str, bytes]]
"""Verified raw files, and what was drawn once (`drawn/NAME.txt`), to the record files by name, not compressed."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """One file of a repository, for repositories of which few are needed."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Tree:
    """Thousands of files of a repository.

    Args:
        pattern: a regular expression; the files whose whole path matches are the ones used.
        sha256: `content_sha256` of them. The archive's own bytes differ from one day to the next, its content does not.
    """

    pattern: str
    files: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Origin:
    """A public GitHub repository at one commit, and what is used of it."""

    repository: str
    commit: str
    content: tuple[RawFile, ...] | Tree


@dataclass(frozen=True, slots=True)
class RecordFile:
    """One file of JSON lines; of a name in `.gz`, `bytes` and `sha256` are those of the unpacked content, because
    compressed bytes depend on the library that made them."""

    name: str
    records: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """One data set as suites read it.

    Args:
        what: one line.
        licence: of the records, with who says so.
        citation: what to cite.
        made: how records come from the origin, and what to know before using them.
    """

    name: str
    what: str
    licence: str
    citation: str
    made: str
    origins: tuple[Origin, ...]
    records: tuple[RecordFile, ...]
    convert: Convert

    def readme(self) -> str:
        sources = "\n".join(f"* https://github.com/{one.repository}/tree/{one.commit}" for one in self.origins)
        rows = "\n".join(f"| `{one.name}` | {one.records} | {one.bytes} | `{one.sha256}` |" for one in self.records)
        return (
            f"# {self.name}\n\n{self.what}\n\nMade by `fedrag data fetch {self.name}` from:\n\n{sources}\n\n"
            f"Licence: {self.licence}\n\nCite: {self.citation}\n\n{self.made}\n\n"
            f"| file | records | bytes, unpacked | sha256, unpacked |\n| --- | --- | --- | --- |\n{rows}\n"
        )


def content_sha256(files: Files) -> str:
    """SHA-256 over path, NUL, length in decimal, NUL, content of every file, in the order of paths."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{len(files[path])}\0".encode())
        digest.update(files[path])
    return digest.hexdigest()


def json_lines(records: Iterable[object]) -> bytes:
    """One JSON object per line, in UTF-8, keys in their own order."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
