"""The model's folder, and a model of random weights for tests of the graph."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fedrag.core.config import home
from fedrag.encoders.minilm_files import is_set_up

Weights = Mapping[str, npt.NDArray[np.float32]]
WORDS, POSITIONS, WIDTH, INNER, LAYERS = 90, 40, 384, 1536, 6


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    folder = home() / "minilm"
    if not is_set_up(folder):
        pytest.skip("all-MiniLM-L6-v2 is not here: run fedrag setup")
    return folder


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings": (WORDS, WIDTH),
        "embeddings.position_embeddings": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings": (2, WIDTH),
        "embeddings.LayerNorm": (WIDTH,),
    }
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        shapes |= {f"{layer}.attention.self.{role}": (WIDTH, WIDTH) for role in ("query", "key", "value")}
        shapes |= {f"{layer}.attention.output.dense": (WIDTH, WIDTH), f"{layer}.attention.output.LayerNorm": (WIDTH,)}
        shapes |= {f"{layer}.intermediate.dense": (INNER, WIDTH), f"{layer}.output.dense": (WIDTH, INNER)}
        shapes |= {f"{layer}.output.LayerNorm": (WIDTH,)}
    return shapes


@pytest.fixture(scope="session")
def random_weights() -> Weights:
    """Of the right shapes, large enough that softmax and GELU are far from linear."""
    random = np.random.default_rng(5)
    weights = {}
    for name, shape in _shapes().items():
        weights[f"{name}.weight"] = random.normal(0, 0.08, shape).astype(np.float32) + (len(shape) == 1)
        if "_embeddings" not in name:
            weights[f"{name}.bias"] = random.normal(0, 0.1, shape[:1]).astype(np.float32)
    return weights


@pytest.fixture(scope="session")
def random_model(random_weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A safetensors file of them, with a header whose length is no multiple of 8 and a tensor that is no float."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    parts = [np.arange(3, dtype=np.int64).tobytes()]
    header["embeddings.position_ids"] = {"dtype": "I64", "shape": [1, 3], "data_offsets": [0, 24]}
    end = 24
    for name, array in random_weights.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        parts.append(array.tobytes())
        end += array.nbytes
    encoded = json.dumps(header).encode()
    encoded += b" " * (1 + -len(encoded) % 8)
    path = tmp_path_factory.mktemp("random-model") / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"".join(parts))
    return path
