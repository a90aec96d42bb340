"""Training a re-ranker on a hospital's own passages, here: `fedrag-node train-reranker`.

Questions are sentences taken out of passages, as for calibration: what is left of the passage is relevant, what else is
found is not. A tenth of them is held out; on it the re-ranker is measured and calibrated. What a model has learned of
private text it may give away: like the passages, it stays in the hospital.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fedrag.core.config import home
from fedrag.core.errors import ConfigError, InputError, MissingExtra
from fedrag.core.protocols import Encoder
from fedrag.encoders.minilm_files import TOKENIZER, WEIGHTS, check_set_up
from retriever_node.calibration import SAME_PASSAGE, fit_logistic, pseudo_question
from retriever_node.collection import Collection
from retriever_node.passages import Field
from retriever_node.rerankers.cross_encoder import CARD, Card, scored
from retriever_node.search import as_read, shown
from retriever_node.store import PassageStore

if TYPE_CHECKING:
    from sentence_transformers.cross_encoder import CrossEncoder

MINIMUM_QUESTIONS: Final = 20
MAXIMUM_TOKENS: Final = 256
RIVALS: Final = 7
"""Of one question: the passages of other documents that search puts first."""

_LIBRARIES: Final = ("accelerate", "datasets", "sentence_transformers", "torch")
"""Of the extra `training`."""

_MINILM: Final = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_attention_heads": 12,
    "num_hidden_layers": 6,
    "vocab_size": 30522,
}
_TOKENIZER: Final = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}


@dataclass(frozen=True, slots=True)
class LabelledList:
    """A question and passages in the order of their vectors; `relevant` is the place of what is left of the one that it
    was taken from."""

    question: str
    passages: tuple[str, ...]
    relevant: int


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """`base`: a folder that sentence-transformers reads; None: the encoder of `fedrag setup`."""

    base: Path | None = None
    questions: int = 2_000
    epochs: int = 1
    batch: int = 16
    learning_rate: float = 2e-5
    seed: int = 0


def require_ready(output: Path, base: Path | None) -> None:
    """What can be known before a question is made: that the folder can be, and that libraries and model are there.

    Raises InputError (`folder_exists`, `folder_not_writable`), MissingExtra, ConfigError (`model_not_found`,
    `encoder_not_set_up`).
    """
    if output.exists():
        raise InputError(f"{output} exists", code="folder_exists")
    above = next(folder for folder in output.absolute().parents if folder.exists())
    if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
        raise InputError(f"{output} cannot be made in {above}", code="folder_not_writable")
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"training needs {', '.join(missing)}: pip install 'fedrag[training]'")
    if base is None:
        check_set_up(home() / "minilm")
    elif not (base / "config.json").is_file():
        raise ConfigError(f"no model in {base}", code="model_not_found")


def labelled_lists(
    store: PassageStore, collection: Collection, encoder: Encoder, fields: Sequence[Field], questions: int
) -> Iterator[LabelledList]:
    """At most so many, of passages chosen by a hash of their id. Documents that hold a copy of the passage are no
    rivals: they may answer as well."""
    stored = store.stored_vectors(collection.id)
    row_of = {int(one): row for row, one in enumerate(stored.ids)}
    chosen = sorted(row_of, key=lambda one: hashlib.sha256(str(one).encode()).digest())[:questions]
    for asked in store.passages(chosen):
        pseudo = pseudo_question(asked, encoder, fields)
        if pseudo is None:
            continue
        vector = encoder.encode_queries([pseudo.text])[0]
        own = float(encoder.encode_passages([pseudo.embedded])[0] @ vector)
        row = row_of[asked.passage_id]
        copies = stored.documents[stored.vectors @ stored.vectors[row] >= SAME_PASSAGE]
        no_rivals = {*copies.tolist(), int(stored.documents[row])}
        similarity = {
            hit.passage_id: hit.similarity
            for hit in collection.search(vector, 4 * RIVALS)
            if hit.passage_id in row_of and int(stored.documents[row_of[hit.passage_id]]) not in no_rivals
        }
        rivals = store.passages(list(similarity))[:RIVALS]
        place = sum(similarity[one.passage_id] >= own for one in rivals)
        texts = [shown(one) for one in rivals]
        yield LabelledList(pseudo.text, (*texts[:place], as_read(pseudo.title, pseudo.rest), *texts[place:]), place)


def train(lists: Sequence[LabelledList], output: Path, settings: TrainingSettings) -> Card:
    """Trains a cross-encoder and writes it into a new folder, readable by its owner only.

    Raises InputError (`too_few_questions`), and what `require_ready` raises.
    """
    held_out = [one for one in lists if _held_out(one.question)]
    trained_on = [one for one in lists if not _held_out(one.question)]
    if len(trained_on) < MINIMUM_QUESTIONS or not held_out:
        raise InputError(f"{len(lists)} questions are too few to train on", code="too_few_questions")
    require_ready(output, settings.base)
    with TemporaryDirectory() as scratch:
        model = _base(settings, Path(scratch) / "base")
        _fit(model, trained_on, Path(scratch) / "run", settings)
        card = _measured(model, held_out, len(trained_on), settings.batch)
        output.parent.mkdir(parents=True, exist_ok=True)
        aside = output.with_name(f".{output.name}.new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        model.save_pretrained(str(aside), create_model_card=False)
        (aside / CARD).write_text(card.model_dump_json(), encoding="utf-8")
        for path in aside.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        aside.replace(output)
    return card


def _fit(model: "CrossEncoder", lists: Sequence[LabelledList], scratch: Path, settings: TrainingSettings) -> None:
    from datasets import Dataset
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from torch import tensor

    rows: list[dict[str, Any]] = [
        {"question": one.question, "passage": passage, "label": float(place == one.relevant)}
        for one in lists
        for place, passage in enumerate(one.passages)
    ]
    rivals = sum(not row["label"] for row in rows) / len(lists)
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch,
        learning_rate=settings.learning_rate,
        warmup_steps=0.1,
        seed=settings.seed,
        save_strategy="no",
        report_to=[],
    )
    loss = BinaryCrossEntropyLoss(model, pos_weight=tensor(max(rivals, 1.0)))
    CrossEncoderTrainer(model, arguments, train_dataset=Dataset.from_list(rows), loss=loss).train()


def _measured(model: "CrossEncoder", lists: Sequence[LabelledList], trained_on: int, batch: int) -> Card:
    read = [scored(model, [(one.question, passage) for passage in one.passages], batch) for one in lists]
    relevance = np.concatenate(read).astype(np.float64)
    labels = np.concatenate([np.arange(len(one.passages)) == one.relevant for one in lists])
    fitted = fit_logistic(relevance, labels)
    places = [int((values > values[one.relevant]).sum()) for one, values in zip(lists, read, strict=True)]
    return Card(
        slope=fitted.slope,
        intercept=fitted.intercept,
        questions=trained_on,
        held_out=len(lists),
        found=float(np.mean([1 / (1 + one.relevant) for one in lists])),
        read=float(np.mean([1 / (1 + place) for place in places])),
    )


def _base(settings: TrainingSettings, scratch: Path) -> "CrossEncoder":
    from sentence_transformers.cross_encoder import CrossEncoder

    folder = settings.base or _minilm(scratch)
    try:
        return CrossEncoder(str(folder), num_labels=1, max_length=MAXIMUM_TOKENS, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot load {folder}: {error}", code="model_not_found") from error


def _minilm(folder: Path) -> Path:
    """The encoder's files and their description, as the library wants them."""
    source = home() / "minilm"
    check_set_up(source)
    folder.mkdir()
    for name in (WEIGHTS, TOKENIZER):
        shutil.copy(source / name, folder / name)
    (folder / "config.json").write_text(json.dumps(_MINILM), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(_TOKENIZER), encoding="utf-8")
    return folder


def _held_out(question: str) -> bool:
    return hashlib.sha256(question.encode()).digest()[0] % 10 == 0
