"""Random corpora, odd shapes and many ties: every index against search by definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retriever_node.indexes import INDEXES


@st.composite
def corpora(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Rows drawn from a few points of a coarse grid, so that equal rows and equal similarities are common."""
    dimension = draw(st.integers(1, 5))
    rows, queries = draw(st.integers(1, 60)), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    points = random.integers(-2, 3, size=(rows + queries, dimension)).astype(np.float64)
    points[~points.any(axis=1)] = 1.0
    vectors = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return vectors[:rows], vectors[rows:]


@pytest.mark.parametrize(("name", "choices"), [("faiss_flat", {}), ("faiss_hnsw", {})])
@settings(max_examples=300, deadline=None)
@given(corpus=corpora(), k=st.integers(1, 70))
def test_exact_search_is_exact(name, choices, corpus, k):
    """Below the size at which an index approximates: the same rows in the same order, ties by position."""
    vectors, queries = corpus
    index = INDEXES.build(name, choices)
    index.build(vectors)
    found = index.search(queries, k)
    for row, query in enumerate(queries):
        true = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1).astype(np.float32)
        order = sorted(range(len(vectors)), key=lambda position: (-true[position], position))[:k]
        assert found.positions[row].tolist() == order + [-1] * (k - len(order))
        assert found.similarities[row][: len(order)].tolist() == true[order].tolist()


@settings(max_examples=60, deadline=None)
@given(corpus=corpora(), k=st.integers(1, 70))
def test_a_graph_over_few_rows_finds_everything_that_fits_its_candidates(corpus, k):
    """With the exact fallback off and every row a candidate, the graph's answer has the true similarities."""
    vectors, queries = corpus
    index = INDEXES.build("faiss_hnsw", {"exact_below": 0, "rescored_minimum": 100})
    index.build(vectors)
    found = index.search(queries, k)
    for row, query in enumerate(queries):
        true = np.sort((vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1).astype(np.float32))[::-1]
        assert found.similarities[row][: min(k, len(true))].tolist() == true[:k].tolist()
