"""Archives from outside, read in memory and within bounds: nothing is ever unpacked onto the disk."""

import gzip
import io
import re
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Final

from fedrag.core.errors import IntegrityError

MAXIMUM_UNPACKED_BYTES: Final = 1 << 30
MAXIMUM_MEMBERS: Final = 200_000


class _Bounded(io.RawIOBase):
    """A stream that ends in an error, not in memory, when it grows beyond what an archive may hold."""

    def __init__(self, stream: gzip.GzipFile, left: int) -> None:
        self._stream = stream
        self._left = left

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise IntegrityError("an archive unpacks to more than is allowed", code="bad_archive")
        return block


def tar_members(
    path: Path, pattern: str, *, most_bytes: int, unpacked_bytes: int = MAXIMUM_UNPACKED_BYTES
) -> dict[str, bytes]:
    """The files of a .tar.gz whose path below its one top folder matches `pattern` as a whole.

    Args:
        most_bytes: of the matching files together.
        unpacked_bytes: of the whole archive.

    Raises IntegrityError(bad_archive): not an archive or cut off, a path that leads outside, a link or two files where
    one is wanted, or more of anything than is allowed.
    """
    wanted = re.compile(pattern)
    found: dict[str, bytes] = {}
    try:
        with (
            gzip.open(path) as unpacked,
            tarfile.open(fileobj=_Bounded(unpacked, unpacked_bytes), mode="r|") as archive,
        ):
            for number, member in enumerate(archive):
                inner = _inside(member.name)
                if number >= MAXIMUM_MEMBERS:
                    raise IntegrityError(f"an archive has more than {MAXIMUM_MEMBERS} members", code="bad_archive")
                if member.isdir() or not wanted.fullmatch(inner):
                    continue
                file = archive.extractfile(member) if member.isreg() else None
                if file is None or inner in found or not 0 <= member.size <= most_bytes:
                    raise IntegrityError(f"{inner} is not one plain file of the right size", code="bad_archive")
                found[inner] = file.read()
                most_bytes -= member.size
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise IntegrityError(f"{path.name} cannot be read ({type(error).__name__})", code="bad_archive") from None
    return found


def _inside(name: str) -> str:
    """A member's path below the top folder. Raises IntegrityError(bad_archive) for one that leads anywhere else."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or ".." in parts:
        raise IntegrityError("an archive holds a path that leads outside", code="bad_archive")
    return "/".join(parts[1:])


def zip_member(archive: bytes, name: str, *, most_bytes: int) -> bytes:
    """One file of a ZIP archive. Raises IntegrityError(bad_archive), also for one that unpacks to more than
    `most_bytes`, whatever size it claims."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened, opened.open(name) as file:
            content = file.read(most_bytes + 1)
    except (KeyError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise IntegrityError(f"no readable {name} ({type(error).__name__})", code="bad_archive") from None
    if len(content) > most_bytes:
        raise IntegrityError(f"{name} unpacks to more than {most_bytes} bytes", code="bad_archive")
    return content
