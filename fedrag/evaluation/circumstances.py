"""What a figure is worth nothing without: the command, its inputs, the product, the machine."""

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from fedrag.evaluation.data.install import as_pinned
from fedrag.evaluation.run import Run

_PACKAGES: Final = ("fedrag", "retriever_node", "router", "aggregator", "reasoner")
_LIBRARIES: Final = ("fedrag", "numpy", "faiss-cpu", "onnxruntime", "bm25s", "scikit-learn", "pytrec-eval-terrier")


_PINNED: Final = {None: "", True: ", as published", False: ", NOT the published records"}


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return _digest((each.relative_to(path).as_posix(), each) for each in sorted(path.rglob("*")) if each.is_file())


@cache
def product_sha256() -> str:
    """Of the product's own source: what was recorded with other code is not continued."""
    folders = [Path(str(import_module(name).__file__)).parent for name in _PACKAGES]
    return _digest(
        (path.relative_to(folder.parent).as_posix(), path)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".py", ".json", ".npz"} and "node_modules" not in path.parts
    )


def circumstances(run: Run, inputs: Mapping[Path, str], spent: tuple[float, float]) -> tuple[tuple[str, str], ...]:
    """`spent`: wall-clock and processor seconds of this process."""
    return (
        ("command", run.command),
        *((f"sha256 of {path.name}", f"{digest}{_PINNED[as_pinned(path)]}") for path, digest in inputs.items()),
        ("sha256 of the product's source", product_sha256()),
        ("seed", str(run.seed)),
        ("processor", _processor()),
        ("processors", str(os.cpu_count())),
        ("encoder threads", "1"),
        ("system", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"),
        ("libraries", ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES)),
        ("made now, and found made by earlier runs", str(run.tally)),
        ("seconds, of which this process computed", f"{spent[0]:.1f}, {spent[1]:.1f}"),
    )


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
