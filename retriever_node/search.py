"""A hospital's own search: its collections together, and read again where there is a re-ranker."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fedrag.core.protocols import Reranker
from fedrag.core.question import PassageFilter
from fedrag.core.wire import FloatVector, NodeId
from retriever_node.collection import Collection
from retriever_node.documents import Passage
from retriever_node.passages import title_line
from retriever_node.store import PassageStore
from retriever_node.terms import terms_of


@dataclass(frozen=True, slots=True)
class Query:
    """`text` None: the question was shown as a vector alone."""

    vector: FloatVector
    text: str | None
    wanted: PassageFilter | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that a search found. It has no wire form: what leaves a hospital is an offer or a release."""

    collection: NodeId
    passage: Passage
    similarity: float
    comparable_with: str
    probability: float


def search(
    collections: Iterable[Collection], query: Query, k: int, store: PassageStore, reranker: Reranker | None = None
) -> tuple[Found, ...]:
    """At most k, best first; ties by collection, document and place.

    With a re-ranker similarity is its relevance, of the best `candidates` of what was found.
    """
    question = terms_of(query.text or "")
    reading = reranker if query.text else None
    depth = max(k, reading.candidates) if reading else k
    hits = [(one, hit) for one in collections for hit in one.search(query.vector, depth, question, query.wanted)]
    hits.sort(key=lambda pair: (-pair[1].similarity, pair[0].id))  # stable: each search has its own order of ties
    there = {passage.passage_id: passage for passage in store.passages([hit.passage_id for _, hit in hits[:depth]])}
    found = [
        Found(one.id, there[hit.passage_id], hit.similarity, hit.comparable_with, hit.probability)
        for one, hit in hits[:depth]
        if hit.passage_id in there
    ]
    return tuple((read(found, query.text, reading) if reading and query.text else found)[:k])


def shown(passage: Passage) -> str:
    """How a passage is shown to a re-ranker."""
    return as_read(title_line(passage), passage.text)


def as_read(title: str, text: str) -> str:
    return f"{title}\n{text}" if title else text


def read(found: Sequence[Found], question: str, reranker: Reranker) -> list[Found]:
    """In the re-ranker's order, with its relevance as similarity."""
    relevance = reranker.relevance(question, [shown(one.passage) for one in found])
    again = [
        replace(
            one,
            similarity=float(value),
            comparable_with=reranker.comparable_with,
            probability=reranker.probability(float(value)),
        )
        for one, value in zip(found, relevance, strict=True)
    ]
    return sorted(again, key=lambda one: -one.similarity)
