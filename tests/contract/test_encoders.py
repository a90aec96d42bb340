"""What every encoder promises, whatever computes it."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fedrag.core.config import home
from fedrag.core.errors import ConfigError, MissingExtra
from fedrag.core.protocols import Encoder
from fedrag.encoders import ENCODERS
from fedrag.encoders.minilm_files import TOKENIZER, WEIGHTS, is_set_up

TEXTS = (
    "What is the dose of adrenaline in anaphylaxis?",
    "Dose",
    "Paracétamol 1 g/6 h — naïve Zöllner 😀 β-blocker, 心電図検査",
    "",
    "  \n\t ",
    "A chest X-ray is taken after the drain; repeat it when it is removed, or earlier if breathing gets worse. " * 5,
)


def _model_folder(folder: Path) -> Path:
    """all-MiniLM-L6-v2 as sentence-transformers wants it: the files of `fedrag setup`, and their description."""
    source = home() / "minilm"
    if not is_set_up(source):
        pytest.skip("all-MiniLM-L6-v2 is not here: run fedrag setup")
    (folder / "1_Pooling").mkdir(parents=True)
    for name in (WEIGHTS, TOKENIZER):
        shutil.copy(source / name, folder / name)
    module = "sentence_transformers.models"
    described = {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": 384,
            "intermediate_size": 1536,
            "num_attention_heads": 12,
            "num_hidden_layers": 6,
            "vocab_size": 30522,
        },
        "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512},
        "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True},
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{module}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{module}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{module}.Normalize"},
        ],
    }
    for name, content in described.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def _build(name: str, folder: Path, **settings: object) -> Encoder:
    if name == "sentence_transformer":
        if find_spec("sentence_transformers") is None:
            pytest.skip("sentence-transformers is not installed")
        settings = {"model": str(_model_folder(folder / "all-MiniLM-L6-v2")), "device": "cpu"} | settings
    if name == "minilm" and not is_set_up(home() / "minilm"):
        pytest.skip("all-MiniLM-L6-v2 is not here: run fedrag setup")
    return ENCODERS.build(name, settings)


@pytest.fixture(scope="module", params=ENCODERS.names)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return _build(request.param, tmp_path_factory.mktemp("encoder"))


def test_vectors_have_the_dimension_the_type_and_length_one(encoder) -> None:
    """Empty and blank texts too: no row may be zero or NaN."""
    for vectors in (encoder.encode_queries(TEXTS), encoder.encode_passages(TEXTS)):
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(TEXTS), encoder.identity.dimension)
        np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1, atol=1e-5)


def test_no_texts_are_no_rows(encoder) -> None:
    """An empty folder must not be a special case for the caller."""
    assert encoder.encode_passages([]).shape == (0, encoder.identity.dimension)
    assert encoder.encode_queries([]).shape == (0, encoder.identity.dimension)


def test_row_i_belongs_to_text_i(encoder) -> None:
    """Oracle: each text alone. More texts than a batch, in an order that sorting by length would change."""
    texts = [f"{text} {number}" for number in range(9) for text in TEXTS]
    alone = np.vstack([encoder.encode_passages([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode_passages(texts), alone, atol=1e-5)


def test_the_same_text_gives_the_same_vector(encoder) -> None:
    """To the bit: a second run of the same question must not route elsewhere."""
    np.testing.assert_array_equal(encoder.encode_queries(TEXTS), encoder.encode_queries(TEXTS))


def test_an_encoder_is_shared_between_threads(encoder) -> None:
    """Oracle: one thread. An ingest cuts passages while two batches of others are encoded."""
    calls = [lambda: encoder.encode_passages(TEXTS).tobytes(), lambda: encoder.encode_queries(TEXTS).tobytes()]
    calls.append(lambda: [encoder.token_spans(text) for text in TEXTS])
    expected = [call() for call in calls]
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(lambda call: call(), calls * 4)) == expected * 4


def test_a_question_is_closest_to_its_own_passage(encoder) -> None:
    """Four questions and passages that share words: the diagonal wins."""
    passages = [
        "Adrenaline for anaphylaxis is injected into the thigh muscle.",
        "Warfarin is stopped five days before surgery.",
        "Newborn jaundice is treated with phototherapy.",
        "Gout flares respond to colchicine.",
    ]
    queries = ["adrenaline in anaphylaxis", "warfarin before surgery", "jaundice newborn", "colchicine for gout"]
    similarities = encoder.encode_queries(queries) @ encoder.encode_passages(passages).T
    assert similarities.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_token_spans_are_ranges_of_the_text_in_order(encoder) -> None:
    """Character positions, not bytes, with accents, emoji and Chinese; every letter and digit belongs to a token."""
    for text in TEXTS:
        spans = encoder.token_spans(text)
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        covered = {position for start, end in spans for position in range(start, end)}
        assert all(position in covered for position, character in enumerate(text) if character.isalnum())


def test_text_beyond_the_window_does_not_count_and_text_inside_does(encoder) -> None:
    """Two texts that differ only after `maximum_tokens` tokens are one text to the encoder."""
    words = " ".join(f"word{number}" for number in range(encoder.identity.maximum_tokens))
    end = encoder.token_spans(words)[encoder.identity.maximum_tokens - 1][1]
    fitting = words[:end]
    vectors = encoder.encode_passages([f"{fitting} sepsis", f"{fitting} eczema gout", f"eczema {fitting}"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert np.abs(vectors[0] - vectors[2]).max() > 1e-4


@pytest.mark.parametrize("name", ENCODERS.names)
def test_an_unknown_setting_is_refused(name) -> None:
    """A misspelt key is an error, with or without the library."""
    with pytest.raises(ConfigError) as raised:
        ENCODERS.build(name, {"no_such_setting": 1})
    assert raised.value.code == "bad_setting"


def test_a_missing_library_names_its_extra() -> None:
    """Rather than an ImportError from somewhere inside."""
    if find_spec("sentence_transformers") is not None:
        pytest.skip("sentence-transformers is installed")
    with pytest.raises(MissingExtra, match=r"fedrag\[sentence-transformers\]"):
        ENCODERS.build("sentence_transformer", {"model": "any"})


def test_sentence_transformers_and_minilm_agree(tmp_path) -> None:
    """Oracle: torch. Two implementations of one model, so their similarities may be compared: the identity says so."""
    reference, ours = _build("sentence_transformer", tmp_path), _build("minilm", tmp_path)
    similarities = (reference.encode_passages(TEXTS) * ours.encode_passages(TEXTS)).sum(axis=1)
    assert similarities.min() >= 0.9999
    assert reference.identity.comparable_with == ours.identity.comparable_with
    assert [reference.token_spans(text) for text in TEXTS] == [ours.token_spans(text) for text in TEXTS]


def test_prefixes_go_before_queries_and_passages_and_make_another_identity(tmp_path) -> None:
    """Oracle: the prefix written by hand."""
    plain = _build("sentence_transformer", tmp_path / "plain")
    prefixed = _build("sentence_transformer", tmp_path / "prefixed", query_prefix="query: ", passage_prefix="passage: ")
    for encode, prefix in (("encode_queries", "query: "), ("encode_passages", "passage: ")):
        by_hand = plain.encode_passages([prefix + text for text in TEXTS])
        np.testing.assert_allclose(getattr(prefixed, encode)(TEXTS), by_hand, atol=1e-5)
    assert prefixed.identity.comparable_with != plain.identity.comparable_with
