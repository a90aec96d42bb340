"""Exact search on a graphics processor: every row is compared, thousands at a time."""

import threading
from typing import Final

import faiss

from fedrag.core.config import Config
from fedrag.core.errors import ConfigError, MissingExtra
from fedrag.core.protocols import VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.indexes.faiss_flat import Compare, FaissFlat, on_processor
from retriever_node.rescoring import Positions

_MOST_RESULTS: Final = 2048
"""FAISS's limit on a GPU."""


class Settings(Config):
    """`require_gpu`: without a GPU the node does not start. When false, the processor then gives the same answers."""

    require_gpu: bool = True


def on_gpu(rows: FloatMatrix) -> Compare:
    """The rows in the memory of the first GPU. More results than a GPU can give come from the processor."""
    resources = faiss.StandardGpuResources()
    index = faiss.GpuIndexFlatIP(resources, rows.shape[1])
    index.add(rows)
    one_at_a_time = threading.Lock()  # FAISS's GPU indexes are for one thread
    elsewhere = on_processor(rows)

    def compare(queries: FloatMatrix, count: int) -> tuple[FloatMatrix, Positions]:
        if count > _MOST_RESULTS or not len(queries):
            return elsewhere(queries, count)
        with one_at_a_time:
            return index.search(queries, count)

    return compare


def build(settings: Settings) -> VectorIndex:
    """Raises MissingExtra when FAISS was built without GPUs, ConfigError (`no_gpu`) when there is none to be seen."""
    if faiss.get_num_gpus() > 0:
        return FaissFlat(on_gpu)
    if not settings.require_gpu:
        return FaissFlat()
    if not hasattr(faiss, "StandardGpuResources"):
        raise MissingExtra("faiss_gpu needs FAISS for GPUs: pip install 'fedrag[faiss-gpu]' in place of faiss-cpu")
    raise ConfigError("faiss_gpu sees no GPU; require_gpu = false computes on the processor", code="no_gpu")
