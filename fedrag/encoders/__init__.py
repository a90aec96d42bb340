"""Text to unit vectors: one file per encoder."""

from typing import Final

from fedrag.core.plugins import PluginKind
from fedrag.core.protocols import Encoder

ENCODERS: Final = PluginKind[Encoder](
    "fedrag.encoders",
    ("minilm", "sentence_transformer", "hashing"),
    {"sentence_transformer": "sentence-transformers"},
)
