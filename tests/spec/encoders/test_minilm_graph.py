"""The exported graph computes what the architecture says."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from fedrag.encoders.minilm_graph import export

Matrix = npt.NDArray[np.float64]
_erf = np.vectorize(math.erf)


def _layer_norm(states: Matrix, weights, name: str) -> Matrix:
    centred = states - states.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _dense(states: Matrix, weights, name: str) -> Matrix:
    return states @ weights[f"{name}.weight"].T.astype(np.float64) + weights[f"{name}.bias"]


def _embedding_by_definition(ids: list[int], weights) -> Matrix:
    """One sequence without padding, in double precision: BERT (Devlin et al. 2019) and the mean of its last layer."""
    states = weights["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    states = states + weights["embeddings.position_embeddings.weight"][: len(ids)]
    states = _layer_norm(
        states + weights["embeddings.token_type_embeddings.weight"][0], weights, "embeddings.LayerNorm"
    )
    for number in range(6):
        layer = f"encoder.layer.{number}"
        query, key, value = (
            _dense(states, weights, f"{layer}.attention.self.{role}") for role in ("query", "key", "value")
        )
        heads = []
        for head in range(12):
            part = slice(32 * head, 32 * head + 32)
            scores = query[:, part] @ key[:, part].T / np.sqrt(32)
            attention = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(attention / attention.sum(-1, keepdims=True) @ value[:, part])
        attended = _dense(np.hstack(heads), weights, f"{layer}.attention.output.dense")
        states = _layer_norm(states + attended, weights, f"{layer}.attention.output.LayerNorm")
        inner = _dense(states, weights, f"{layer}.intermediate.dense")
        inner = inner * 0.5 * (1 + _erf(inner / np.sqrt(2)))
        states = _layer_norm(
            states + _dense(inner, weights, f"{layer}.output.dense"), weights, f"{layer}.output.LayerNorm"
        )
    mean = states.mean(axis=0)
    return mean / np.linalg.norm(mean)


@pytest.fixture(scope="module")
def session(random_model: Path) -> onnxruntime.InferenceSession:
    graph = random_model.with_name("graph.onnx")
    export(random_model, graph)
    return onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])


def test_it_equals_the_definition_for_any_length_and_padding(session, random_weights) -> None:
    """Oracle: the same architecture in numpy, float64, one sequence at a time; the graph gets one padded batch."""
    random = np.random.default_rng(2)
    sequences = [random.integers(0, 90, size=length).tolist() for length in (1, 2, 7, 23, 40)]
    ids = np.full((len(sequences), 40), 17, dtype=np.int64)  # padding holds a real word: only the mask may hide it
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)], mask[row, : len(sequence)] = sequence, 1
    (vectors,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    expected = np.stack([_embedding_by_definition(sequence, random_weights) for sequence in sequences])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=2e-6)


def test_the_weights_stay_in_their_own_file(random_model: Path, session) -> None:
    """The graph is small: tensors are byte ranges of the safetensors file, which stays the only copy."""
    assert random_model.with_name("graph.onnx").stat().st_size < 100_000
