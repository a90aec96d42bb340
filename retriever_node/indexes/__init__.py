"""Vector indexes, one plug-in each."""

from typing import Final

from fedrag.core.plugins import PluginKind
from fedrag.core.protocols import VectorIndex

INDEXES: Final = PluginKind[VectorIndex](
    "retriever_node.indexes",
    ("faiss_flat", "faiss_hnsw", "faiss_ivf", "faiss_gpu", "hnswlib"),
    {"hnswlib": "hnswlib"},
)
