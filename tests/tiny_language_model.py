"""A language model of random weights, written in both forms that engines read: a folder of safetensors (vLLM,
transformers) and an ONNX graph (onnxruntime-genai). The same weights stand in both, so what two engines say of a prompt
can be held against each other.

    python tests/tiny_language_model.py FOLDER [thinks]

Nothing but numpy, onnx and tokenizers makes it; the same seed gives the same bytes.
"""

import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from reasoner.prompts import REMINDER, SYSTEM

END, USER, SPOKEN, THINK, THOUGHT = "<|end|>", "<|user|>", "<|assistant|>", "<think>", "</think>"
SYSTEM_MARK = "<|system|>"
SPECIAL = (END, SYSTEM_MARK, USER, SPOKEN)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>OPENED{% endif %}"
)
STEADY = 6.0
"""What the first hidden dimension always holds: it carries each token's own bias to the output."""
BIAS = {'"': 2.4, ",": 3.0, "]": 3.0, "}": 1.0, END: 1.0}
"""A string that a schema opened is closed after a few words, and a text ends."""
Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Shape:
    """Llama; `head` is the width of one attention head."""

    hidden: int = 128
    layers: int = 2
    heads: int = 4
    key_heads: int = 2
    head: int = 32
    inner: int = 256
    context: int = 8192

    @property
    def rotation(self) -> NDArray[np.float32]:
        """Angle of each position and pair of dimensions."""
        rates = 10_000.0 ** -(np.arange(0, self.head, 2) / self.head)
        return np.outer(np.arange(self.context), rates).astype(np.float32)


def tokenizer() -> Tokenizer:
    """Byte-level pairs merged on the product's own prompts: any text can be written with it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator([SYSTEM, REMINDER], trainer)
    made.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in (THINK, THOUGHT)])
    return made


def weights(shape: Shape, vocabulary: dict[str, int], seed: int = 7) -> Weights:
    """By the names of a Llama checkpoint. Matrices are (out, in)."""
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float = 1.0) -> NDArray[np.float32]:
        return (scale * random.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    made: Weights = {
        "model.embed_tokens.weight": matrix(len(vocabulary), shape.hidden, np.sqrt(shape.hidden)),
        "model.norm.weight": np.ones(shape.hidden, np.float32),
        "lm_head.weight": matrix(len(vocabulary), shape.hidden, 2.0),
    }
    for layer in range(shape.layers):
        at = f"model.layers.{layer}."
        made |= {
            f"{at}input_layernorm.weight": np.ones(shape.hidden, np.float32),
            f"{at}post_attention_layernorm.weight": np.ones(shape.hidden, np.float32),
            f"{at}self_attn.q_proj.weight": matrix(shape.heads * shape.head, shape.hidden),
            f"{at}self_attn.k_proj.weight": matrix(shape.key_heads * shape.head, shape.hidden),
            f"{at}self_attn.v_proj.weight": matrix(shape.key_heads * shape.head, shape.hidden),
            f"{at}self_attn.o_proj.weight": matrix(shape.hidden, shape.heads * shape.head),
            f"{at}mlp.gate_proj.weight": matrix(shape.inner, shape.hidden),
            f"{at}mlp.up_proj.weight": matrix(shape.inner, shape.hidden),
            f"{at}mlp.down_proj.weight": matrix(shape.hidden, shape.inner),
        }
        for written in ("self_attn.o_proj", "mlp.down_proj"):
            made[f"{at}{written}.weight"][0] = 0.0
    made["model.embed_tokens.weight"][:, 0] = STEADY
    made["lm_head.weight"][:, 0] = 0.0
    made["lm_head.weight"][[vocabulary[mark] for mark in (*SPECIAL, THINK, THOUGHT)], 0] = -3.0
    for token, bias in BIAS.items():
        made["lm_head.weight"][vocabulary[token], 0] = bias / 2
    return made


def write(folder: Path, shape: Shape = Shape(), seed: int = 7, *, thinks: bool = False) -> Path:
    """Makes `folder` hold the model in both forms. One that `thinks` is made to begin so by its chat template."""
    template = CHAT_TEMPLATE.replace("OPENED", f"{THINK}\n" if thinks else "")
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer()
    vocabulary = words.get_vocab()
    made = weights(shape, vocabulary, seed)
    words.save(str(folder / "tokenizer.json"))
    end = vocabulary[END]
    _json(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        eos_token=END,
        pad_token=END,
        model_max_length=shape.context,
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    _json(
        folder / "config.json",
        architectures=["LlamaForCausalLM"],
        model_type="llama",
        vocab_size=len(vocabulary),
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        head_dim=shape.head,
        max_position_embeddings=shape.context,
        rms_norm_eps=1e-5,
        rope_theta=10_000.0,
        hidden_act="silu",
        tie_word_embeddings=False,
        attention_bias=False,
        mlp_bias=False,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
        torch_dtype="float32",
    )
    _json(folder / "generation_config.json", eos_token_id=end, pad_token_id=end)
    _safetensors(folder / "model.safetensors", made)
    onnx.save(_graph(shape, made, len(vocabulary)), str(folder / "model.onnx"))
    _json(
        folder / "genai_config.json",
        model={
            "type": "llama",
            "context_length": shape.context,
            "vocab_size": len(vocabulary),
            "bos_token_id": end,
            "eos_token_id": [end],
            "pad_token_id": end,
            "decoder": {
                "session_options": {"provider_options": []},
                "filename": "model.onnx",
                "head_size": shape.head,
                "hidden_size": shape.hidden,
                "num_attention_heads": shape.heads,
                "num_hidden_layers": shape.layers,
                "num_key_value_heads": shape.key_heads,
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
            },
        },
        search={"max_length": shape.context, "do_sample": False, "past_present_share_buffer": True},
    )
    return folder


def _json(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(fields, indent=1), encoding="utf-8")


def _safetensors(path: Path, made: Weights) -> None:
    """Length of the header, the header, the numbers."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, value in made.items():
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [offset, offset + value.nbytes]}
        offset += value.nbytes
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(told)) + told)
        for value in made.values():
            file.write(np.ascontiguousarray(value).tobytes())


def _graph(shape: Shape, made: Weights, vocabulary: int) -> onnx.ModelProto:
    """Llama with ONNX Runtime's operators for grouped attention with rotary positions."""
    nodes: list[onnx.NodeProto] = []
    constants = {
        name: value.T.copy() if value.ndim == 2 and "embed" not in name else value for name, value in made.items()
    }
    angles = shape.rotation
    constants |= {"cos": np.cos(angles), "sin": np.sin(angles)}
    initializers = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()]
    initializers += [
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        numpy_helper.from_array(np.array(1, np.int64), "at_one"),
    ]

    def node(kind: str, inputs: list[str], output: str, *more: str, domain: str = "", **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output, *more], output, domain=domain, **attributes))
        return output

    def norm(of: str, weight: str, output: str) -> str:
        return node("SimplifiedLayerNormalization", [of, weight], output, axis=-1, epsilon=1e-5, stash_type=1)

    node("ReduceSum", ["attention_mask", "axis"], "lengths", keepdims=0)
    node("Sub", ["lengths", "one"], "lengths_less_one")
    node("Cast", ["lengths_less_one"], "seqlens_k", to=TensorProto.INT32)
    node("Shape", ["attention_mask"], "mask_shape")
    node("Gather", ["mask_shape", "at_one"], "mask_length", axis=0)
    node("Cast", ["mask_length"], "total_length", to=TensorProto.INT32)
    stream = node("Gather", ["model.embed_tokens.weight", "input_ids"], "embedded")
    past, present = [], []
    for layer in range(shape.layers):
        at, own = f"model.layers.{layer}.", f"layer{layer}."
        normed = norm(stream, f"{at}input_layernorm.weight", f"{own}before")
        q, k, v = (
            node("MatMul", [normed, f"{at}self_attn.{one}_proj.weight"], f"{own}{one}") for one in ("q", "k", "v")
        )
        names = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        kept = [f"present.{layer}.{part}" for part in ("key", "value")]
        past += names
        present += kept
        attended = node(
            "GroupQueryAttention",
            [q, k, v, *names, "seqlens_k", "total_length", "cos", "sin"],
            f"{own}attended",
            *kept,
            domain="com.microsoft",
            num_heads=shape.heads,
            kv_num_heads=shape.key_heads,
            do_rotary=1,
            rotary_interleaved=0,
        )
        seen = node("MatMul", [attended, f"{at}self_attn.o_proj.weight"], f"{own}seen")
        stream = node("Add", [stream, seen], f"{own}between")
        normed = norm(stream, f"{at}post_attention_layernorm.weight", f"{own}after")
        gate, up = (node("MatMul", [normed, f"{at}mlp.{one}_proj.weight"], f"{own}{one}") for one in ("gate", "up"))
        opened = node("Mul", [gate, node("Sigmoid", [gate], f"{own}sigmoid")], f"{own}opened")
        inner = node("Mul", [opened, up], f"{own}inner")
        stream = node("Add", [stream, node("MatMul", [inner, f"{at}mlp.down_proj.weight"], f"{own}down")], f"{own}out")
    node("MatMul", [norm(stream, "model.norm.weight", "normed"), "lm_head.weight"], "logits")

    def cache(names: list[str], length: str) -> list[onnx.ValueInfoProto]:
        sizes = ["batch", shape.key_heads, length, shape.head]
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in names]

    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "total"]),
            *cache(past, "past"),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "length", vocabulary]),
            *cache(present, "total"),
        ],
        initializers,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


if __name__ == "__main__":
    write(Path(sys.argv[1]), thinks="thinks" in sys.argv[2:])
