"""Re-rankers, one plug-in each: they read question and passage together."""

from typing import Final

from fedrag.core.plugins import PluginKind
from fedrag.core.protocols import Reranker

RERANKERS: Final = PluginKind[Reranker](
    "retriever_node.rerankers", ("cross_encoder",), {"cross_encoder": "sentence-transformers"}
)
