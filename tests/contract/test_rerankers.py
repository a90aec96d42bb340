"""What every re-ranker promises; and how a node uses one."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
from small_cross_encoder import PASSAGES, small_model

from fedrag.core.errors import ConfigError
from fedrag.core.protocols import Reranker
from retriever_node.rerankers import RERANKERS
from retriever_node.rerankers.cross_encoder import CARD


@pytest.fixture(scope="module", params=RERANKERS.names)
def reranker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    if find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed")
    model = small_model(tmp_path_factory.mktemp("model"))
    return RERANKERS.build(request.param, {"model": model, "device": "cpu", "candidates": 5})


def test_relevance_is_between_0_and_1_of_each_passage_by_itself(reranker) -> None:
    """Oracle: one by one; of no passages there is none; the same again is the same."""
    values = reranker.relevance("What treats gout?", PASSAGES)
    assert (values.dtype, values.shape) == (np.float32, (len(PASSAGES),))
    assert ((values >= 0) & (values <= 1)).all()
    alone = [reranker.relevance("What treats gout?", [passage])[0] for passage in PASSAGES]
    np.testing.assert_allclose(values, alone, atol=1e-5)
    assert len(set(values.tolist())) == len(PASSAGES)
    np.testing.assert_array_equal(values, reranker.relevance("What treats gout?", PASSAGES))
    assert reranker.relevance("What treats gout?", []).shape == (0,)


def test_probability_does_not_fall_with_relevance(reranker) -> None:
    """From 0 to 1."""
    probabilities = [reranker.probability(value) for value in np.linspace(0, 1, 50)]
    assert probabilities == sorted(probabilities)
    assert 0 <= probabilities[0] < probabilities[-1] <= 1


def test_other_weights_are_not_comparable(reranker, tmp_path) -> None:
    """The name of what values may be compared with follows the weights and the window."""
    other = RERANKERS.build("cross_encoder", {"model": small_model(tmp_path, seed=1), "device": "cpu"})
    short = RERANKERS.build("cross_encoder", {"model": tmp_path, "device": "cpu", "maximum_tokens": 20})
    assert len({reranker.comparable_with, other.comparable_with, short.comparable_with}) == 3


def test_what_is_no_reranker_is_refused(reranker, tmp_path) -> None:
    """A folder that is missing, empty or has two outputs; a damaged card."""
    (tmp_path / "empty").mkdir()
    two = small_model(tmp_path / "two", outputs=2)
    for folder, code in ((tmp_path / "no", "model_not_found"), (tmp_path / "empty", "model_not_found")):
        with pytest.raises(ConfigError) as told:
            RERANKERS.build("cross_encoder", {"model": folder, "device": "cpu"})
        assert told.value.code == code
    with pytest.raises(ConfigError) as told:
        RERANKERS.build("cross_encoder", {"model": two, "device": "cpu"})
    assert told.value.code == "model_not_supported"
    one = small_model(tmp_path / "one")
    (one / CARD).write_text(json.dumps({"slope": -1}))
    with pytest.raises(ConfigError) as told:
        RERANKERS.build("cross_encoder", {"model": one, "device": "cpu"})
    assert told.value.code == "model_not_supported"
