"""Any sentence-transformers model, by folder or name, with the prefixes it was trained with.

A folder is read as it is; a name is looked up by the library, in its cache or where it is configured to download from.
"""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from pydantic import Field

from fedrag.core.collection import EncoderIdentity
from fedrag.core.config import Config
from fedrag.core.errors import ConfigError, MissingExtra
from fedrag.core.wire import FloatMatrix

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_WEIGHT_FILES: Final = ("*.safetensors", "pytorch_model*.bin")
"""The first kind a folder has is the one that is loaded."""

_PRECISIONS: Final = {"torch.float32": "fp32", "torch.float16": "fp16", "torch.bfloat16": "bf16"}
_UNSTATED_WINDOW: Final = 512


class Settings(Config):
    """`maximum_tokens` None: the model's own window. `languages`: those it was trained on, `*` for all. `device` None:
    the library's choice."""

    model: Annotated[str, Field(min_length=1)]
    query_prefix: str = ""
    passage_prefix: str = ""
    maximum_tokens: Annotated[int, Field(ge=8)] | None = None
    languages: Annotated[tuple[str, ...], Field(min_length=1)] = ("en",)
    device: str | None = None
    batch: Annotated[int, Field(ge=1, le=4096)] = 32


class SentenceTransformerEncoder:
    """Safe to share between threads: one call at a time, because encoding changes settings of the tokeniser."""

    def __init__(self, model: "SentenceTransformer", identity: EncoderIdentity, batch: int) -> None:
        self._model = model
        self._batch = batch
        self._lock = threading.Lock()
        self.identity: Final = identity

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return self._encode(texts, self.identity.query_prefix)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        return self._encode(texts, self.identity.passage_prefix)

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        with self._lock:
            tokens = self._model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return tuple((start, end) for start, end in tokens["offset_mapping"])

    def _encode(self, texts: Sequence[str], prefix: str) -> FloatMatrix:
        if not texts:
            return np.empty((0, self.identity.dimension), dtype=np.float32)
        with self._lock:
            vectors = self._model.encode(
                list(texts), prompt=prefix, batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)


def weights_sha256(folder: Path) -> str:
    """Of the one weight file; of the names and hashes of all of them where a model has several."""
    places = sorted({folder, *(entry for entry in folder.iterdir() if entry.is_dir())})
    files = [file for place in places for file in _weight_files(place)]
    hashes = [(file.relative_to(folder).as_posix(), _sha256(file)) for file in files]
    if not hashes:
        raise ConfigError(f"{folder} holds no {' or '.join(_WEIGHT_FILES)}", code="model_not_found")
    if len(hashes) == 1:
        return hashes[0][1]
    return hashlib.sha256("\n".join(f"{digest}  {name}" for name, digest in hashes).encode()).hexdigest()


def _weight_files(folder: Path) -> list[Path]:
    kinds = (sorted(folder.glob(kind)) for kind in _WEIGHT_FILES)
    return next((files for files in kinds if files), [])


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def build(settings: Settings) -> SentenceTransformerEncoder:
    """Raises MissingExtra without the library, ConfigError when the model cannot be had, has no weight file, or has a
    tokeniser without offsets."""
    try:  # here, because it takes ten seconds to import
        from huggingface_hub import snapshot_download
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        needed = error.name or "its library"
        raise MissingExtra(
            f"sentence_transformer needs {needed}: pip install 'fedrag[sentence-transformers]'"
        ) from error
    try:
        model = SentenceTransformer(settings.model, device=settings.device)
        folder = Path(settings.model)
        if not folder.is_dir():
            folder = Path(snapshot_download(settings.model, local_files_only=True))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot load {settings.model}: {error}", code="model_not_found") from error
    if not model.tokenizer.is_fast:
        raise ConfigError(f"the tokeniser of {settings.model} does not tell positions", code="model_not_supported")
    window = model.max_seq_length or _UNSTATED_WINDOW
    model.max_seq_length = min(settings.maximum_tokens or window, window)
    precision = str(next(model.parameters()).dtype)
    identity = EncoderIdentity(
        name=folder.name if Path(settings.model).is_dir() else settings.model,
        weights_sha256=weights_sha256(folder),
        precision=_PRECISIONS.get(precision, precision.removeprefix("torch.")),
        dimension=model.get_embedding_dimension(),
        query_prefix=settings.query_prefix,
        passage_prefix=settings.passage_prefix,
        maximum_tokens=model.max_seq_length,
        languages=settings.languages,
    )
    return SentenceTransformerEncoder(model, identity, settings.batch)
