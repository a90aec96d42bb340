"""Making a package in the folder of packages: verify, convert, verify, and only then put it there, whole.

raw files (pinned) → records (pinned) → a new folder → renamed into place
"""

import gzip
import hashlib
import tempfile
import zlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib.resources import files as resources
from pathlib import Path
from typing import Final

from fedrag.core.errors import InputError, IntegrityError
from fedrag.evaluation.data import PACKAGES
from fedrag.evaluation.data.origin import folder_of, read
from fedrag.evaluation.data.package import Files, Origin, Package, RecordFile

README: Final = "README.md"


class State(StrEnum):
    """Of a package in a folder: not there; there with exactly the pinned records; there with other bytes, or part."""

    ABSENT = "absent"
    COMPLETE = "complete"
    DIFFERENT = "different"


def drawn(name: str) -> str:
    """What was decided once when the package was made: which questions are the development half, which shard holds a
    document. Facts, not computed again. Empty where the data set decides by itself."""
    file = resources(__package__) / "drawn" / f"{name}.txt"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def state(package: Package, folder: Path) -> State:
    """Every byte of the records is read."""
    place = folder / package.name
    if not place.is_dir():
        return State.ABSENT
    return State.COMPLETE if all(_is_right(one, place / one.name) for one in package.records) else State.DIFFERENT


def as_pinned(path: Path) -> bool | None:
    """Whether a file of records is exactly the published one; None for a file that belongs to no package."""
    known = {(package.name, record.name): record for package in PACKAGES for record in package.records}
    record = known.get((path.parent.name, path.name))
    return _is_right(record, path) if record else None


def from_folder(source: Path) -> Callable[[Origin], Files]:
    """Origins that lie in a folder already, for machines without a way to the internet."""
    if not source.is_dir():
        raise InputError(f"no folder {source}", code="missing_folder")
    return lambda origin: read(origin, folder_of(origin, source))


def fetch(package: Package, folder: Path, origin_files: Callable[[Origin], Files], *, replace: bool) -> bool:
    """Put a package into the folder of packages; False where it is there already, with exactly its records.

    Raises InputError(data_differs) where something else has its name and may not be replaced; and what `origin_files`
    raises. Whatever is raised, nothing was written there.
    """
    found = state(package, folder)
    if found is State.COMPLETE:
        return False
    if found is State.DIFFERENT and not replace:
        raise InputError(f"{folder / package.name} holds other records; --replace makes it anew", code="data_differs")
    _put(package, make(package, origin_files), folder)
    return True


def make(package: Package, origin_files: Callable[[Origin], Files]) -> dict[str, bytes]:
    """The records of a package by file name, not compressed. Raises IntegrityError(records_differ)."""
    raw: dict[str, bytes] = {}
    for origin in package.origins:
        raw |= origin_files(origin)
    made = package.convert(raw, drawn(package.name))
    for one in package.records:
        if hashlib.sha256(made[one.name]).hexdigest() != one.sha256:
            raise IntegrityError(f"{one.name} of {package.name} came out with other bytes", code="records_differ")
    return made


def _put(package: Package, made: Mapping[str, bytes], folder: Path) -> None:
    """Whole or not at all: written beside its place, then renamed."""
    place = folder / package.name
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{package.name}-", dir=folder) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        for name, content in made.items():
            _write(new / name, content)
        (new / README).write_text(package.readme(), encoding="utf-8")
        if place.exists():
            place.rename(Path(scratch) / "old")
        new.rename(place)


def _write(path: Path, content: bytes) -> None:
    """Compressed where the name says so; neither name nor time goes into the header, so that equal stays equal."""
    with path.open("wb") as file:
        if path.suffix != ".gz":
            file.write(content)
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            packed.write(content)


def _is_right(record: RecordFile, path: Path) -> bool:
    """Reads no further than the pinned size."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(record.bytes + 1)
    except (OSError, EOFError, zlib.error):
        return False
    return len(content) == record.bytes and hashlib.sha256(content).hexdigest() == record.sha256
