"""A searchable collection: its hits, its generations, and what it tells a router."""

import threading
from datetime import UTC, datetime

import numpy as np
import pytest

from fedrag.core.errors import InputError
from fedrag.core.exchange import WORDS
from fedrag.core.protocols import Neighbours
from fedrag.core.wire import ReleaseClass
from retriever_node.calibration import Calibration, Calibrations
from retriever_node.collection import Collection
from retriever_node.config import CollectionConfig
from retriever_node.description import describe_collection
from retriever_node.hybrid import comparable_with, term_index
from retriever_node.indexes import INDEXES
from retriever_node.ingest import ingest
from retriever_node.terms import terms_of


def flat():
    return INDEXES.build("faiss_flat")


@pytest.fixture
def filled(folder, store, encoder):
    """Twelve leaflets on three topics."""
    topics = ("gout toe uric acid", "asthma lung inhaler spacer", "burns skin water dressing")
    root = folder({f"{n:02}.md": f"# Leaflet {n}\n\n{topics[n % 3]} {n}" for n in range(12)})
    ingest(root, "c", store, encoder)
    return root


def test_hits_by_hand(filled, store, encoder):
    """Best first, similarity by definition, probability by the stored calibration."""
    store.put_calibrations("c", store.generation("c"), Calibrations(Calibration(4.0, -1.0)))
    collection = Collection.open(store, "c", flat)
    query = encoder.encode_queries(["asthma inhaler"])[0]
    hits = collection.search(query, 5)
    ids, vectors = store.vectors("c")
    order = sorted(range(12), key=lambda row: (-float(vectors[row] @ query), row))[:5]
    assert [hit.passage_id for hit in hits] == [int(ids[row]) for row in order]
    for hit, row in zip(hits, order, strict=True):
        assert hit.similarity == pytest.approx(float(vectors[row] @ query), abs=1e-6)
        assert hit.probability == pytest.approx(1 / (1 + np.exp(-(4 * hit.similarity - 1))), abs=1e-6)
    assert all("asthma" in passage.text for passage in store.passages([hit.passage_id for hit in hits[:4]]))


def test_words_are_found_where_the_question_is_told(filled, store, encoder):
    """With terms: the best by (cosine + 0.4 words) / 1.4, with the probability of that calibration; without terms, or
    at a collection that does not look for words: by vectors alone. What the values may be compared with says which."""
    store.put_calibrations("c", store.generation("c"), Calibrations(both=Calibration(4.0, -1.0)))
    collection = Collection.open(store, "c", flat, words=True)
    query, question = encoder.encode_queries(["asthma inhaler"])[0], terms_of("leaflet 11, asthma")
    ids, vectors = store.vectors("c")
    terms = term_index(ids, store.passages)
    words = terms.scored_with(terms.statistics()).score(question)
    similarity = (vectors @ query + WORDS * words) / (1 + WORDS)
    order = sorted(range(12), key=lambda row: (-float(similarity[row]), row))[:5]
    hits = collection.search(query, 5, question)
    assert [hit.passage_id for hit in hits] == [int(ids[row]) for row in order]
    assert [hit.similarity for hit in hits] == pytest.approx(similarity[order].tolist(), abs=1e-6)
    assert hits[0].probability == pytest.approx(1 / (1 + np.exp(-(4 * hits[0].similarity - 1))), abs=1e-6)
    alone = Collection.open(store, "c", flat)
    assert alone.search(query, 5, question) == alone.search(query, 5) == collection.search(query, 5) != hits
    means = encoder.identity.comparable_with
    assert (collection.term_statistics_epoch, alone.term_statistics_epoch) == ("own", None)
    assert collection.comparable_with() == alone.comparable_with() == alone.comparable_with(question) == means
    assert collection.comparable_with(question) == comparable_with(means) != means


def test_more_than_there_is_and_nothing_at_all(filled, store, encoder):
    """k beyond the collection gives the collection; an empty collection gives nothing."""
    query = encoder.encode_queries(["gout"])[0]
    assert len(Collection.open(store, "c", flat).search(query, 50)) == 12
    assert Collection.open(store, "empty", flat).search(query, 50) == ()


@pytest.mark.parametrize(
    ("vector", "code"),
    [(np.ones(63), "wrong_dimension"), (np.ones(64), "not_a_unit_vector"), (np.full(64, np.nan), "not_a_unit_vector")],
)
def test_vectors_that_are_no_query(filled, store, vector, code):
    """Another dimension or length is the caller's error, with its code."""
    with pytest.raises(InputError) as refused:
        Collection.open(store, "c", flat).search(vector.astype(np.float32), 3)
    assert refused.value.code == code


def test_refresh_moves_on_to_the_present_generation(filled, folder, store, encoder):
    """Until refreshed it answers from its snapshot, afterwards from the new one; then there is nothing new."""
    collection = Collection.open(store, "c", flat)
    before = collection.generation
    query = encoder.encode_queries(["pandas eat bamboo"])[0]
    ingest(folder({"new.md": "# Leaflet new\n\npandas eat bamboo"}), "c", store, encoder)
    assert (collection.generation, len(collection)) == (before, 12)
    assert collection.refresh()
    assert (collection.generation, len(collection)) == (store.generation("c"), 13)
    (passage,) = store.passages([collection.search(query, 1)[0].passage_id])
    assert passage.document_id == "new.md"
    assert not collection.refresh()


def test_a_new_calibration_is_picked_up(filled, store):
    """A calibration fitted later, on the same generation, comes with the next refresh."""
    collection = Collection.open(store, "c", flat)
    store.put_calibrations("c", store.generation("c"), Calibrations(Calibration(1.0, 0.0)))
    assert collection.refresh()
    assert collection.calibrations == Calibrations(Calibration(1.0, 0.0))


def test_searches_never_see_a_half_built_index(filled, folder, store, encoder):
    """While refresh is stuck inside a build, searches go on in the old snapshot, ids and rows together; what was
    forgotten is missing at once."""
    building, go_on = threading.Event(), threading.Event()

    class Slow:
        def __init__(self) -> None:
            self._index = flat()

        def build(self, vectors) -> None:
            building.set()
            go_on.wait(10)
            self._index.build(vectors)

        def search(self, queries, k) -> Neighbours:
            return self._index.search(queries, k)

    go_on.set()
    collection = Collection.open(store, "c", Slow)
    query = encoder.encode_queries(["gout toe"])[0]
    old = collection.search(query, 12)
    building.clear()
    go_on.clear()
    ingest(folder({"00.md": None, "zz.md": "# Leaflet zz\n\ngout toe"}), "c", store, encoder)
    refresh = threading.Thread(target=collection.refresh)
    refresh.start()
    assert building.wait(10)
    there = {int(passage_id) for passage_id in store.vectors("c")[0]}
    assert collection.search(query, 12) == tuple(hit for hit in old if hit.passage_id in there)
    assert len(collection.search(query, 12)) == 11
    go_on.set()
    refresh.join()
    assert collection.search(query, 1) != old[:1]


def describe(collection, encoder, kind=ReleaseClass.PUBLIC, text="", day=1):
    config = CollectionConfig(id="c", folder=".", release_class=kind, text=text)
    return describe_collection("h1", collection, config, encoder.identity, lambda: datetime(2026, 1, day, tzinfo=UTC))


def test_description_of_a_public_collection(filled, store, encoder):
    """Size, prototypes whose masses add up to it, no signature and no charge."""
    described = describe(Collection.open(store, "c", flat), encoder)
    assert (described.node, described.collection, described.passages) == ("h1", "c", 12)
    assert sum(prototype.mass for prototype in described.prototypes) == 12
    assert (described.signature, described.charge, described.version) == ("", None, 1)


def test_description_of_a_patient_collection_has_no_statistics(filled, store, encoder):
    """No prototype; the owner's words; a size rounded down to a multiple of five."""
    described = describe(Collection.open(store, "c", flat), encoder, ReleaseClass.PATIENT, "Letters of one ward.")
    assert (described.prototypes, described.passages, described.text) == ((), 10, "Letters of one ward.")


def test_description_version_moves_with_its_content_only(filled, folder, store, encoder):
    """Asked again, restarted: the same version and time. A new document or text: the next one."""
    collection = Collection.open(store, "c", flat)
    first = describe(collection, encoder)
    assert describe(collection, encoder, day=2) == first
    assert describe(Collection.open(store, "c", flat), encoder, day=3) == first
    ingest(folder({"new.md": "# Leaflet new\n\npandas"}), "c", store, encoder)
    assert describe(collection, encoder, day=4) == first
    collection.refresh()
    second = describe(collection, encoder, day=5)
    assert (second.version, second.passages, second.described_at.day) == (2, 13, 5)
    assert describe(collection, encoder, text="new words", day=6).version == 3
