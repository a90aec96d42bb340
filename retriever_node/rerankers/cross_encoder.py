"""Any cross-encoder of sentence-transformers with one output, by folder: made by `fedrag-node train-reranker`, or had
from elsewhere."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from pydantic import Field, ValidationError

from fedrag.core.config import Config
from fedrag.core.errors import ConfigError, MissingExtra
from fedrag.core.wire import Count, FloatVector, Wire
from fedrag.encoders.sentence_transformer import weights_sha256
from retriever_node.calibration import DEFAULT, Calibration

if TYPE_CHECKING:
    from sentence_transformers.cross_encoder import CrossEncoder

CARD: Final = "reranker.json"


class Settings(Config):
    """`candidates`: how many of the passages found are read. `maximum_tokens`: of question and passage together, None:
    the model's own window. `device` None: the library's choice."""

    model: Path
    candidates: Annotated[int, Field(ge=1, le=200)] = 30
    maximum_tokens: Annotated[int, Field(ge=16)] | None = None
    device: str | None = None
    batch: Annotated[int, Field(ge=1, le=4096)] = 16


class Card(Wire):
    """What training writes beside the weights: the calibration, and what it was measured by. Reciprocal ranks are means
    over `held_out` questions that were not trained on, in the order found and in the order read."""

    slope: Annotated[float, Field(gt=0)]
    intercept: float
    questions: Count
    held_out: Count
    found: float
    read: float


class CrossEncoderReranker:
    """Safe to share between threads: one call at a time."""

    def __init__(self, model: "CrossEncoder", settings: Settings, weights: str, calibration: Calibration) -> None:
        self._model, self._batch = model, settings.batch
        self._lock = threading.Lock()
        self._calibration = calibration
        self.candidates: Final = settings.candidates
        precision = str(next(model.parameters()).dtype).removeprefix("torch.")
        self.comparable_with: Final = f"cross-encoder/{weights[:16]}/{precision}/{model.max_seq_length}"

    def relevance(self, question: str, passages: Sequence[str]) -> FloatVector:
        if not passages:
            return np.empty(0, dtype=np.float32)
        with self._lock:
            return scored(self._model, [(question, passage) for passage in passages], self._batch)

    def probability(self, relevance: float) -> float:
        return self._calibration.probability(relevance)


def scored(model: "CrossEncoder", pairs: Sequence[tuple[str, str]], batch: int) -> FloatVector:
    """The sigmoid of the model's one output, float32 (pairs,), in [0, 1]."""
    from torch.nn import Sigmoid

    relevance = model.predict(list(pairs), batch_size=batch, activation_fn=Sigmoid(), show_progress_bar=False)
    result: FloatVector = np.clip(np.asarray(relevance, dtype=np.float32).reshape(len(pairs)), 0, 1)
    return result


def build(settings: Settings) -> CrossEncoderReranker:
    """Raises MissingExtra without the library, ConfigError (`model_not_found`, `model_not_supported`)."""
    try:  # here, because it takes ten seconds to import
        from sentence_transformers.cross_encoder import CrossEncoder
    except ImportError as error:
        needed = error.name or "its library"
        raise MissingExtra(f"cross_encoder needs {needed}: pip install 'fedrag[sentence-transformers]'") from error
    if not settings.model.is_dir():
        raise ConfigError(f"no folder {settings.model}", code="model_not_found")
    try:
        model = CrossEncoder(
            str(settings.model),
            device=settings.device,
            max_length=settings.maximum_tokens,
            local_files_only=True,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot load {settings.model}: {error}", code="model_not_found") from error
    if model.num_labels != 1:
        raise ConfigError(f"{settings.model} has {model.num_labels} outputs, not one", code="model_not_supported")
    return CrossEncoderReranker(model, settings, weights_sha256(settings.model), _calibration(settings.model))


def _calibration(folder: Path) -> Calibration:
    """Of its card; a model from elsewhere has none."""
    try:
        card = Card.model_validate_json((folder / CARD).read_bytes())
    except FileNotFoundError:
        return DEFAULT
    except ValidationError:
        raise ConfigError(f"{folder / CARD} is damaged", code="model_not_supported") from None
    return Calibration(card.slope, card.intercept)
