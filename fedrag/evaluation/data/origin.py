"""Raw files from a folder, believed only where they are the pinned ones."""

import hashlib
import re
from pathlib import Path

from fedrag.core.errors import InputError, IntegrityError
from fedrag.evaluation.data.archive import tar_members
from fedrag.evaluation.data.package import Files, Origin, RawFile, Tree, content_sha256


def archive_name(origin: Origin) -> str:
    return f"{origin.commit}.tar.gz"


def folder_of(origin: Origin, source: Path) -> Path:
    """Where an origin lies in a folder of origins: `owner+name`, or as GitHub or git names it, or the folder itself."""
    owner_and_name, name = origin.repository.replace("/", "+"), origin.repository.split("/")[1]
    for candidate in (owner_and_name, f"{name}-{origin.commit}", name):
        if (source / candidate).is_dir():
            return source / candidate
    return source


def read(origin: Origin, folder: Path) -> Files:
    """The files used of one origin: a checkout, an unpacked archive, or the archive of the commit as COMMIT.tar.gz.

    Raises InputError(missing_origin) for a file that is not there, IntegrityError(origin_changed) for other bytes.
    """
    if isinstance(origin.content, Tree):
        return _tree(origin, origin.content, folder)
    return {raw.path: _file(origin, raw, folder / raw.path) for raw in origin.content}


def _file(origin: Origin, raw: RawFile, path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"no {raw.path} of {origin.repository} in {path.parent}", code="missing_origin")
    size = path.stat().st_size
    if size != raw.bytes:
        raise _changed(f"{raw.path} of {origin.repository} has {size} bytes, not {raw.bytes}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != raw.sha256:
        raise _changed(f"{raw.path} of {origin.repository} has another SHA-256 than the pinned one")
    return content


def _tree(origin: Origin, tree: Tree, folder: Path) -> Files:
    archive = folder / archive_name(origin)
    if archive.is_file():
        files: Files = tar_members(archive, tree.pattern, most_bytes=tree.bytes)
    else:
        files = _walked(origin, tree, folder)
    size = sum(map(len, files.values()))
    if (len(files), size) != (tree.files, tree.bytes):
        raise _changed(
            f"the files used of {origin.repository} are {len(files)} with {size} bytes, "
            f"not {tree.files} with {tree.bytes}"
        )
    if content_sha256(files) != tree.sha256:
        raise _changed(f"the files used of {origin.repository} have another SHA-256 than the pinned one")
    return files


def _walked(origin: Origin, tree: Tree, folder: Path) -> Files:
    wanted = re.compile(tree.pattern)
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    chosen = {name: path for name, path in paths.items() if wanted.fullmatch(name)}
    if not chosen:
        raise InputError(f"nothing of {origin.repository} in {folder}", code="missing_origin")
    if sum(path.stat().st_size for path in chosen.values()) > tree.bytes:
        raise _changed(f"the files used of {origin.repository} are more than {tree.bytes} bytes")
    return {name: path.read_bytes() for name, path in chosen.items()}


def _changed(what: str) -> IntegrityError:
    return IntegrityError(what, code="origin_changed")
