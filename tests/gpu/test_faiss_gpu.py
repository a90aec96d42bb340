"""The index on a real GPU. Oracle: the exact search of the processor, which the contract suite holds to numpy."""

import threading

import faiss
import numpy as np
import pytest

from retriever_node.indexes import INDEXES

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(faiss.get_num_gpus() == 0, reason="FAISS sees no GPU (faiss-gpu in place of faiss-cpu)"),
]


def unit(seed: int, rows: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, 384))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 100, 50_000])
def test_the_answers_of_a_gpu_are_those_of_the_processor(rows):
    """Positions and similarities to the bit, equal rows included, for every k: more than a GPU can give as well."""
    vectors, queries = unit(1, rows), unit(2, 20)
    vectors[rows // 2 :][:40] = vectors[0]
    on_gpu, exactly = INDEXES.build("faiss_gpu"), INDEXES.build("faiss_flat")
    on_gpu.build(vectors)
    exactly.build(vectors)
    for asked in (queries, vectors[:1]):
        for k in (1, 10, 2040, 3000):
            found, true = on_gpu.search(asked, k), exactly.search(asked, k)
            np.testing.assert_array_equal(found.positions, true.positions)
            np.testing.assert_array_equal(found.similarities, true.similarities)


def test_many_threads_share_one_gpu():
    """Eight threads at once get what one gets."""
    vectors, queries = unit(1, 20_000), unit(2, 64)
    index = INDEXES.build("faiss_gpu")
    index.build(vectors)
    alone = index.search(queries, 10).positions
    together = np.zeros_like(alone)

    def search(first: int) -> None:
        for number in range(first, len(queries), 8):
            together[number] = index.search(queries[number][None, :], 10).positions[0]

    threads = [threading.Thread(target=search, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(together, alone)
