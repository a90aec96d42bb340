"""Training a re-ranker: what it is trained on, and that it learns what there is to be learned."""

import random
import stat
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from small_cross_encoder import small_model
from typer.testing import CliRunner

from fedrag.core.errors import FedragError, InputError
from retriever_node import reranker_training
from retriever_node.cli import app
from retriever_node.collection import Collection
from retriever_node.documents import Document, PassageDraft
from retriever_node.indexes import INDEXES
from retriever_node.passages import ALL_FIELDS
from retriever_node.reranker_training import (
    RIVALS,
    LabelledList,
    TrainingSettings,
    labelled_lists,
    require_ready,
    train,
)
from retriever_node.rerankers import RERANKERS

TRAINABLE = all(find_spec(name) is not None for name in ("sentence_transformers", "datasets", "accelerate"))


@pytest.fixture
def collection(store, encoder):
    """Sixty documents of two passages; each has words of its own. One is there twice, under two names."""
    for number in range(60):
        own = [f"w{number % 59}x{at}" for at in range(6)]
        texts = []
        for part in range(2):
            chosen = np.random.default_rng(100 * (number % 59) + part)
            sentences = [" ".join(chosen.choice(own, 5)).capitalize() + "." for _ in range(3)]
            texts.append(" ".join(sentences))
        drafts = [PassageDraft(f"Leaflet {number % 59}", "", at, at + 1, text) for at, text in enumerate(texts)]
        document = Document("c", f"d{number}", f"d{number}", f"Leaflet {number % 59}", "1", None, (), "ab" * 32)
        store.put(document, drafts, encoder.encode_passages([f"{one.title}\n{one.text}" for one in drafts]))
    return Collection.open(store, "c", lambda: INDEXES.build("faiss_flat"))


def test_what_it_is_trained_on(store, encoder, collection) -> None:
    """The question is a sentence that the relevant passage has no longer; its rivals are of other documents and no
    copies of it; the relevant one stands where its vector puts it."""
    lists = list(labelled_lists(store, collection, encoder, ALL_FIELDS, 1_000))
    assert len(lists) == 120
    for one in lists:
        own, rivals = one.passages[one.relevant], [text for at, text in enumerate(one.passages) if at != one.relevant]
        assert one.question not in own
        leaflet = own.split("\n")[0]
        assert one.question.lower().startswith(f"w{leaflet.split()[1]}x")
        assert len(rivals) == RIVALS
        assert all(text.split("\n")[0] != leaflet for text in rivals)
        query = encoder.encode_queries([one.question])[0]
        near = (encoder.encode_passages(list(one.passages)) @ query).tolist()
        assert near[: one.relevant] == sorted(near[: one.relevant], reverse=True)
        assert all(near[at] >= near[one.relevant] - 1e-5 for at in range(one.relevant))
        assert all(near[at] <= near[one.relevant] + 1e-5 for at in range(one.relevant + 1, len(near)))
    assert list(labelled_lists(store, collection, encoder, ALL_FIELDS, 5)) == lists[:5]


def lists(number: int) -> list[LabelledList]:
    """The passage that names gout is relevant; it stands last."""
    generator = np.random.default_rng(2)
    words = ["warfarin", "vitamin", "colchicine", "treated", "and"]
    made = []
    for at in range(number):
        first, *others = generator.permutation(words)
        made.append(LabelledList(f"{first} {at}", (*(f"with {one}" for one in others[:3]), f"gout with {first}"), 3))
    return made


def test_too_little_or_in_the_way(tmp_path) -> None:
    """Neither begins; a folder that is there is left as it is."""
    with pytest.raises(InputError) as told:
        train(lists(10), tmp_path / "new", TrainingSettings())
    assert told.value.code == "too_few_questions"
    with pytest.raises(InputError) as told:
        train(lists(100), tmp_path, TrainingSettings())
    assert told.value.code == "folder_exists"
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_told_before_a_question_is_made(tmp_path, monkeypatch) -> None:
    """The folder first, then libraries, then the model; nothing is written. The command does not open the node."""
    (tmp_path / "file").write_bytes(b"")

    def refused(name: str, base: Path | None = None) -> str:
        with pytest.raises(FedragError) as told:
            require_ready(tmp_path / name, base)
        return told.value.code

    monkeypatch.setattr(reranker_training, "find_spec", lambda name: None if name == "datasets" else name)
    assert refused("") == "folder_exists"
    assert refused("file/new") == "folder_not_writable"
    assert refused("new") == "missing_extra"
    monkeypatch.setattr(reranker_training, "find_spec", lambda name: name)
    assert refused("new", tmp_path / "none") == "model_not_found"
    monkeypatch.setattr(reranker_training, "home", lambda: tmp_path)
    assert refused("deep/new") == "encoder_not_set_up"
    (tmp_path / "config.json").write_text("{}")
    require_ready(tmp_path / "deep" / "new", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "file"]
    ran = CliRunner().invoke(app, ["train-reranker", "--home", str(tmp_path / "no"), "--output", str(tmp_path)])
    assert isinstance(ran.exception, InputError)
    assert ran.exception.code == "folder_exists"


@pytest.fixture
def global_generators():
    """The library that trains seeds them: put back afterwards."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - the library's, not ours
    yield
    random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002


@pytest.mark.skipif(not TRAINABLE, reason="the extra 'training' is not installed")
@pytest.mark.filterwarnings("default")
def test_it_learns(tmp_path, global_generators) -> None:
    """From weights by chance to the right passage first, for the questions held out; what is written is a re-ranker
    for its owner's eyes only, with the figures beside it."""
    settings = TrainingSettings(base=small_model(tmp_path / "base"), epochs=12, learning_rate=3e-3, batch=32)
    card = train(lists(300), tmp_path / "made", settings)
    assert card.questions + card.held_out == 300
    assert card.found == pytest.approx(0.25)
    assert card.read > 0.8
    reranker = RERANKERS.build("cross_encoder", {"model": tmp_path / "made", "device": "cpu"})
    relevance = reranker.relevance("and 999", ["with warfarin", "with gout", "with vitamin"])
    assert relevance.argmax() == 1
    assert reranker.probability(float(relevance[1])) > reranker.probability(float(relevance[0]))
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    written = [path for path in (tmp_path / "made").rglob("*") if path.is_file()]
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in (tmp_path / "made").rglob("*"))
    assert not any(b"gout with" in path.read_bytes() for path in written)  # no passage beside the weights
