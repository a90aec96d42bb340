"""The contract of `VectorIndex`, over every plug-in. Oracle: every similarity computed with numpy in doubles."""

import threading

import numpy as np
import pytest

from fedrag.core.errors import ConfigError
from fedrag.core.protocols import Neighbours, VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.indexes import INDEXES

DIMENSION = 48


def clustered(rows: int, seed: int = 1) -> FloatMatrix:
    """Unit vectors around one topic per twenty rows."""
    random = np.random.default_rng(seed)
    topics = random.normal(size=(max(1, rows // 20), DIMENSION))
    vectors = topics[random.integers(len(topics), size=rows)] + 0.5 * random.normal(size=(rows, DIMENSION))
    return unit(vectors)


def unit(vectors: np.ndarray) -> FloatMatrix:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def exact(vectors: FloatMatrix, query: FloatMatrix, k: int) -> tuple[list[int], list[float]]:
    """The k best positions and similarities, by definition."""
    similarities = [float(np.float32(np.dot(row.astype(np.float64), query.astype(np.float64)))) for row in vectors]
    order = sorted(range(len(vectors)), key=lambda position: (-similarities[position], position))[:k]
    return order, [similarities[position] for position in order]


def recall(found: Neighbours, vectors: FloatMatrix, queries: FloatMatrix, k: int) -> float:
    hits = [len({*row} & {*exact(vectors, query, k)[0]}) for row, query in zip(found.positions, queries, strict=True)]
    return sum(hits) / (k * len(queries))


APPROXIMATE = {"faiss_hnsw": {"exact_below": 500}}
"""Settings with which a plug-in approximates the corpora below, beside its defaults, with which it may not."""


@pytest.fixture(params=[*((name, {}) for name in INDEXES.names), *APPROXIMATE.items()], ids=str)
def index(request: pytest.FixtureRequest) -> VectorIndex:
    return INDEXES.build(*request.param)


def test_similarities_are_exact_and_ordered(index):
    """Whatever rows are found, their similarity is the true one, and they are in its order with ties by position."""
    vectors, queries = clustered(1500), clustered(25, seed=2)
    index.build(vectors)
    found = index.search(queries, 10)
    assert found.positions.shape == found.similarities.shape == (25, 10)
    assert (found.positions.dtype, found.similarities.dtype) == (np.int64, np.float32)
    for query, positions, similarities in zip(queries, found.positions, found.similarities, strict=True):
        true = vectors[positions].astype(np.float64) @ query.astype(np.float64)
        np.testing.assert_allclose(similarities, true, atol=1e-7)
        assert list(zip(-similarities, positions, strict=True)) == sorted(zip(-similarities, positions, strict=True))


def test_recall_against_exact_search(index):
    """At least 0.99 of the true ten nearest of 1,500 rows."""
    vectors, queries = clustered(1500), clustered(50, seed=2)
    index.build(vectors)
    assert recall(index.search(queries, 10), vectors, queries, 10) >= 0.99


@pytest.mark.parametrize("rows", [1, 7, 300])
def test_small_collections_are_exact(index, rows):
    """Position by position and bit by bit the oracle's answer."""
    vectors, queries = clustered(rows), clustered(20, seed=2)
    index.build(vectors)
    found = index.search(queries, 10)
    for query, positions, similarities in zip(queries, found.positions, found.similarities, strict=True):
        order, values = exact(vectors, query, 10)
        assert positions[positions >= 0].tolist() == order
        np.testing.assert_allclose(similarities[: len(order)], values, atol=1e-7)


@pytest.mark.parametrize("rows", [3, 600])
def test_asking_for_more_than_there_is(index, rows):
    """All rows come, each once; the rest is -1 with a similarity below every other."""
    vectors = clustered(rows)
    index.build(vectors)
    found = index.search(vectors[:2], rows + 5)
    for positions, similarities in zip(found.positions, found.similarities, strict=True):
        assert sorted(positions[:rows]) == list(range(rows))
        assert (positions[rows:] == -1).all()
        assert (similarities[rows:] == -np.inf).all()


def test_empty_index(index):
    """Nothing indexed, or no rows: no neighbour, no error."""
    for _ in range(2):
        found = index.search(clustered(3), 4)
        assert (found.positions == -1).all()
        assert found.positions.shape == (3, 4)
        index.build(np.empty((0, DIMENSION), dtype=np.float32))


def test_no_queries(index):
    """No question, no rows."""
    index.build(clustered(700))
    assert index.search(np.empty((0, DIMENSION), dtype=np.float32), 4).positions.shape == (0, 4)


def test_equal_rows_tie_by_position(index):
    """Eight equal rows far apart: their similarity is equal to the bit, and the first ones are chosen."""
    vectors = clustered(1200)
    places = list(range(5, 1200, 150))
    vectors[places] = vectors[5]
    index.build(vectors)
    found = index.search(vectors[[5]], 8)
    assert found.positions[0].tolist() == places
    assert len(set(found.similarities[0].tolist())) == 1


def test_a_similarity_does_not_depend_on_the_company(index):
    """The same passage has the same similarity, to the bit, in a small index and in a large one."""
    vectors, queries = clustered(2000), clustered(5, seed=2)
    index.build(vectors)
    large = index.search(queries, 5)
    other = clustered(40, seed=3)
    for query, positions, similarities in zip(queries, large.positions, large.similarities, strict=True):
        small = np.concatenate([other, vectors[positions]])
        index.build(small)
        found = index.search(query[None, :], len(small))
        by_position = dict(zip(found.positions[0].tolist(), found.similarities[0].tolist(), strict=True))
        assert [by_position[len(other) + n] for n in range(5)] == similarities.tolist()


def test_build_replaces(index):
    """The second build is all there is."""
    index.build(clustered(900))
    second = clustered(12, seed=4)
    index.build(second)
    assert index.search(second[[3]], 20).positions[0].max() == 11


def test_the_same_rows_give_the_same_answers(index):
    """Two builds of the same rows answer alike."""
    vectors, queries = clustered(3000), clustered(40, seed=2)
    answers = []
    for _ in range(2):
        index.build(vectors)
        answers.append(index.search(queries, 10))
    np.testing.assert_array_equal(answers[0].positions, answers[1].positions)
    np.testing.assert_array_equal(answers[0].similarities, answers[1].similarities)


def test_searches_from_many_threads_agree(index):
    """Eight threads searching at once get what one gets."""
    vectors, queries = clustered(2000), clustered(64, seed=2)
    index.build(vectors)
    alone = [index.search(query[None, :], 10).positions[0].tolist() for query in queries]
    together: dict[int, list[int]] = {}

    def search(first: int) -> None:
        for number in range(first, len(queries), 8):
            together[number] = index.search(queries[number][None, :], 10).positions[0].tolist()

    threads = [threading.Thread(target=search, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[number] for number in range(len(queries))] == alone


def test_hnsw_reaches_rows_that_no_edge_leads_to():
    """Six hundred equal rows and one other: the graph may leave the other unreachable, the answer may not."""
    vectors = np.repeat(clustered(1), 600, axis=0)
    vectors = np.concatenate([vectors, clustered(1, seed=9)])
    index = INDEXES.build("faiss_hnsw", APPROXIMATE["faiss_hnsw"])
    index.build(vectors)
    assert sorted(index.search(vectors[[-1]], 601).positions[0]) == list(range(601))


@pytest.mark.parametrize("name", INDEXES.names)
def test_unknown_settings_are_refused(name):
    """A misspelt setting is an error that names it."""
    with pytest.raises(ConfigError, match="efsearch"):
        INDEXES.build(name, {"efsearch": 3})
