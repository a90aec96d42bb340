"""A hospital's own search, with and without a re-ranker that is known to the letter."""

import numpy as np
import pytest

from retriever_node.collection import Collection
from retriever_node.indexes import INDEXES
from retriever_node.ingest import ingest
from retriever_node.search import Query, search


class ByLength:
    """The longer the passage the more relevant; similarity sees it the other way. Remembers what it was given."""

    comparable_with = "by length"

    def __init__(self, candidates: int) -> None:
        self.candidates = candidates
        self.read: list[str] = []

    def relevance(self, question: str, passages) -> np.ndarray:
        self.read = list(passages)
        return np.array([len(passage) / 1000 for passage in passages], dtype=np.float32)

    def probability(self, relevance: float) -> float:
        return relevance / 2


@pytest.fixture
def two(folder, store, encoder):
    """Two collections of five leaflets each, about the same thing at growing length."""
    for name in ("a", "b"):
        texts = {f"{n}.md": f"# Gout {name}{n}\n\nuric acid" + " and pain in a toe" * n for n in range(5)}
        ingest(folder({f"{name}/{path}": text for path, text in texts.items()}) / name, name, store, encoder)
    return [Collection.open(store, name, lambda: INDEXES.build("faiss_flat"), words=True) for name in ("a", "b")]


def test_collections_are_searched_as_one(two, store, encoder) -> None:
    """The best of both by similarity, ties by collection; fewer than k where there are fewer."""
    query = Query(encoder.encode_queries(["uric acid"])[0], "uric acid")
    found = search(two, query, 4, store)
    apart = [
        (-hit.similarity, one.id, hit.passage_id)
        for one in two
        for hit in one.search(query.vector, 10, ["uric", "acid"])
    ]
    assert [(one.collection, one.passage.passage_id) for one in found] == [
        (name, number) for _, name, number in sorted(apart)[:4]
    ]
    assert len(search(two, query, 50, store)) == 10
    assert {one.comparable_with for one in found} == {two[0].comparable_with(["uric"])}


@pytest.mark.parametrize(("candidates", "k", "read"), [(6, 2, 6), (3, 5, 5), (50, 2, 10)])
def test_a_reranker_reads_the_best_and_decides(two, store, encoder, candidates, k, read) -> None:
    """It is given the best of both collections, with their titles, as many as it asks for or as are wanted; the order,
    the similarity and the probability are then its own."""
    query = Query(encoder.encode_queries(["uric acid"])[0], "uric acid")
    reranker = ByLength(candidates)
    found = search(two, query, k, store, reranker)
    plain = search(two, query, read, store)
    assert reranker.read == [f"{one.passage.title}\n{one.passage.text}" for one in plain]
    longest = sorted(reranker.read, key=len, reverse=True)[:k]
    assert longest != reranker.read[:k]
    assert [len(f"{one.passage.title}\n{one.passage.text}") for one in found] == [len(text) for text in longest]
    for one, text in zip(found, longest, strict=True):
        assert one.similarity == pytest.approx(len(text) / 1000)
        assert one.probability == pytest.approx(len(text) / 2000)
        assert one.comparable_with == "by length"


def test_a_question_that_is_not_shown_is_not_read(two, store, encoder) -> None:
    """By vector alone, and nothing is asked of the re-ranker."""
    query = Query(encoder.encode_queries(["uric acid"])[0], None)
    reranker = ByLength(6)
    assert search(two, query, 3, store, reranker) == search(two, query, 3, store)
    assert reranker.read == []
    assert search(two, query, 3, store)[0].comparable_with == encoder.identity.comparable_with
