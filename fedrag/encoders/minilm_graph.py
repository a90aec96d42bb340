"""all-MiniLM-L6-v2 as an ONNX graph, written without torch.

    token ids ─ embed ─ 6 × (self-attention, feed-forward) ─ mean over tokens ─ length 1

The graph holds no weights of its own: every tensor is external data, a byte range of the safetensors file beside it.
Shapes: b sequences of n tokens, width 384 = 12 heads of 32. Hidden states are kept as (b·n, 384), so that each dense
layer is one matrix product with the weights as stored, (out, in).
Architecture: Devlin et al. 2019, "BERT"; Reimers and Gurevych 2019, "Sentence-BERT" for the pooling.
"""

import json
import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS: Final = 6
HEADS: Final = 12
WIDTH: Final = 384
LAYER_NORM_EPSILON: Final = 1e-12
_OPSET: Final = 20
_IR_VERSION: Final = 9
_MASKED: Final = np.float32(np.finfo(np.float32).min)
_TYPES: Final = {"F32": TensorProto.FLOAT}
_LENGTH_OF_HEADER: Final = struct.Struct("<Q")


def external_tensors(weights: Path, location: str) -> dict[str, onnx.TensorProto]:
    """The float tensors of a safetensors file, each pointing at its byte range in the file named `location`."""
    with weights.open("rb") as file:
        (header_bytes,) = _LENGTH_OF_HEADER.unpack(file.read(_LENGTH_OF_HEADER.size))
        header = json.loads(file.read(header_bytes))
    start_of_data = _LENGTH_OF_HEADER.size + header_bytes
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") not in _TYPES:
            continue  # the format's own metadata, and a table of position numbers
        begin, end = entry["data_offsets"]
        tensor = onnx.TensorProto(name=name, data_type=_TYPES[entry["dtype"]], dims=entry["shape"])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", start_of_data + begin), ("length", end - begin)):
            tensor.external_data.add(key=key, value=str(value))
        tensors[name] = tensor
    return tensors


class _Graph:
    """Nodes in order of execution; each value is named after the node that makes it."""

    def __init__(self, weights: dict[str, onnx.TensorProto]) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str) -> str:
        self.initializers[name] = self._weights[name]
        return name

    def constant(self, value: object, dtype: type[np.generic]) -> str:
        array = np.asarray(value, dtype=dtype)
        name = f"{array.dtype}_{'_'.join(map(str, array.ravel().tolist()))}_{array.ndim}"
        self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def dense(self, states: str, layer: str) -> str:
        return self.add("Gemm", states, self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias"), transB=1)

    def layer_norm(self, states: str, layer: str) -> str:
        scale, bias = self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")
        return self.add("LayerNormalization", states, scale, bias, axis=-1, epsilon=LAYER_NORM_EPSILON)

    def reshape(self, value: str, shape: str) -> str:
        return self.add("Reshape", value, shape)


def _embed(graph: _Graph, ids: str) -> str:
    """word + position + the one segment, then layer norm: (b·n, 384)."""
    words = graph.add("Gather", graph.weight("embeddings.word_embeddings.weight"), ids)
    length = graph.add("Shape", ids, start=1, end=2)
    zero, one = graph.constant([0], np.int64), graph.constant([1], np.int64)
    positions = graph.add("Slice", graph.weight("embeddings.position_embeddings.weight"), zero, length)
    segment = graph.add("Slice", graph.weight("embeddings.token_type_embeddings.weight"), zero, one)
    total = graph.add("Add", graph.add("Add", words, segment), positions)
    return graph.layer_norm(graph.reshape(total, graph.constant([-1, WIDTH], np.int64)), "embeddings.LayerNorm")


def _attend(graph: _Graph, states: str, layer: str, split: str, penalty: str) -> str:
    """softmax(q·kᵀ / √32 + penalty) · v for each head: (b·n, 384)."""

    def heads(role: str, order: tuple[int, ...]) -> str:
        projected = graph.dense(states, f"{layer}.attention.self.{role}")
        return graph.add("Transpose", graph.reshape(projected, split), perm=order)

    query, key, value = heads("query", (0, 2, 1, 3)), heads("key", (0, 2, 3, 1)), heads("value", (0, 2, 1, 3))
    scale = graph.constant((WIDTH // HEADS) ** -0.5, np.float32)
    scores = graph.add("Mul", graph.add("MatMul", query, key), scale)
    weights = graph.add("Softmax", graph.add("Add", scores, penalty), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", weights, value), perm=(0, 2, 1, 3))
    return graph.reshape(mixed, graph.constant([-1, WIDTH], np.int64))


def _transform(graph: _Graph, states: str, layer: str, split: str, penalty: str) -> str:
    attended = graph.dense(_attend(graph, states, layer, split, penalty), f"{layer}.attention.output.dense")
    states = graph.layer_norm(graph.add("Add", states, attended), f"{layer}.attention.output.LayerNorm")
    inner = graph.add("Gelu", graph.dense(states, f"{layer}.intermediate.dense"), approximate="none")
    outer = graph.dense(inner, f"{layer}.output.dense")
    return graph.layer_norm(graph.add("Add", states, outer), f"{layer}.output.LayerNorm")


def _pool(graph: _Graph, states: str, mask: str, by_sequence: str) -> str:
    """Mean over unmasked tokens, scaled to length 1: (b, 384)."""
    tokens = graph.constant([1], np.int64)
    column = graph.add("Unsqueeze", mask, graph.constant([2], np.int64))
    kept = graph.add("Mul", graph.reshape(states, by_sequence), column)
    total = graph.add("ReduceSum", kept, tokens, keepdims=0)
    mean = graph.add("Div", total, graph.add("ReduceSum", mask, tokens, keepdims=1))
    norm = graph.add("ReduceL2", mean, tokens, keepdims=1)
    return graph.add("Div", mean, norm, output="embedding")


def export(weights: Path, graph_file: Path) -> None:
    """Write the graph; `graph_file` must stay in the folder of `weights`.

    Inputs `input_ids` and `attention_mask` int64 (b, n), each sequence with at least one unmasked token; output
    `embedding` float32 (b, 384), rows of length 1.
    """
    graph = _Graph(external_tensors(weights, weights.name))
    ids, mask = "input_ids", graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    size = graph.add("Shape", ids)
    split = graph.add("Concat", size, graph.constant([HEADS, WIDTH // HEADS], np.int64), axis=0)
    by_sequence = graph.add("Concat", size, graph.constant([WIDTH], np.int64), axis=0)
    dropped = graph.add("Sub", graph.constant(1, np.float32), mask)
    row = graph.add("Unsqueeze", dropped, graph.constant([1, 2], np.int64))
    penalty = graph.add("Mul", row, graph.constant(_MASKED, np.float32))
    states = _embed(graph, ids)
    for number in range(LAYERS):
        states = _transform(graph, states, f"encoder.layer.{number}", split, penalty)
    output = _pool(graph, states, mask, by_sequence)
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "n"]) for name in (ids, "attention_mask")]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["b", WIDTH])]
    body = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, list(graph.initializers.values()))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    graph_file.write_bytes(model.SerializeToString())
