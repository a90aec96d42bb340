"""The files of all-MiniLM-L6-v2: which bytes are the right ones, and are they here."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from pydantic import ValidationError

from fedrag.core.config import Config
from fedrag.core.errors import ConfigError, IntegrityError
from fedrag.core.wire import Sha256

WEIGHTS: Final = "model.safetensors"
TOKENIZER: Final = "tokenizer.json"
GRAPH: Final = "graph.onnx"
MANIFEST: Final = "manifest.json"
WEIGHTS_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256: Final = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
WEIGHTS_BYTES: Final = 90_868_376
TOKENIZER_BYTES: Final = 466_247
LAYOUT: Final = 1
"""Counts up when the exported graph changes, so that `fedrag setup` exports it again."""

_CHUNK: Final = 1 << 20


class Manifest(Config):
    """Written last by `fedrag setup`, once hashes and the known vector were right."""

    layout: int
    weights_sha256: Sha256
    tokenizer_sha256: Sha256
    graph_sha256: Sha256


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(_CHUNK), b"")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_set_up(folder: Path) -> None:
    """Quick enough for every start: the weights (90 MB) by size, hashed once at setup; the small files by hash.

    Raises ConfigError `encoder_not_set_up` when setup has not run here, IntegrityError when a file has changed since.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        manifest = None
    expected = (LAYOUT, WEIGHTS_SHA256, TOKENIZER_SHA256)
    if manifest is None or (manifest.layout, manifest.weights_sha256, manifest.tokenizer_sha256) != expected:
        raise ConfigError(f"no all-MiniLM-L6-v2 in {folder}; run: fedrag setup", code="encoder_not_set_up")
    try:
        intact = (
            (folder / WEIGHTS).stat().st_size == WEIGHTS_BYTES
            and sha256(folder / TOKENIZER) == TOKENIZER_SHA256
            and sha256(folder / GRAPH) == manifest.graph_sha256
        )
    except FileNotFoundError:
        intact = False
    if not intact:
        raise IntegrityError(f"all-MiniLM-L6-v2 in {folder} has changed since setup; run: fedrag setup")


def is_set_up(folder: Path) -> bool:
    try:
        check_set_up(folder)
    except (ConfigError, IntegrityError):
        return False
    return True
