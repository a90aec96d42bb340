"""Searching among some passages only: against brute force over those that pass."""

import json
from datetime import date

import numpy as np
import pytest
from pydantic import ValidationError

from fedrag.core.exchange import WORDS
from fedrag.core.question import AskRequest, PassageFilter
from retriever_node import hybrid
from retriever_node.collection import Collection
from retriever_node.generations import SavedGenerations
from retriever_node.hybrid import best, nearest
from retriever_node.indexes import INDEXES
from retriever_node.ingest import ingest
from retriever_node.terms import terms_of


@pytest.mark.parametrize("compared", [0, 20_000])
@pytest.mark.parametrize("k", [1, 10, 60])
def test_the_best_among_those_allowed(monkeypatch, compared: int, k: int) -> None:
    """By vectors alone and by words too, whether all that is allowed is compared or the index asked for more: a half, a
    hundredth, one and none of the rows, and those that are farthest from the query."""
    monkeypatch.setattr(hybrid, "COMPARED", compared)
    random = np.random.default_rng(3)
    for rows in (1, 50, 900):
        vectors = random.normal(size=(rows, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        words = random.random(rows).astype(np.float32)
        query = vectors[0]
        index = INDEXES.build("faiss_flat")
        index.build(vectors)
        cosine = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1).astype(np.float32)
        both = ((cosine.astype(np.float64) + WORDS * words.astype(np.float64)) / (1 + WORDS)).astype(np.float32)
        one = np.arange(rows) == rows // 2
        for allowed in (random.random(rows) < 0.5, random.random(rows) < 0.01, one, ~one & one, cosine < 0):
            held = np.flatnonzero(allowed)
            for true, found in (
                (cosine, nearest(index, vectors, query, k, allowed)),
                (both, best(index, vectors, words, query, k, allowed)),
            ):
                order = held[np.lexsort((held, -true[held]))][:k]
                assert found.positions[0][: len(order)].tolist() == order.tolist()
                assert found.similarities[0][: len(order)].tolist() == true[order].tolist()
                assert (found.positions[0][len(order) :] == -1).all()


@pytest.fixture
def dated(folder, store, encoder):
    """A leaflet of each year from 2015, and one without a date."""
    texts = {
        f"{year}.md": f"---\neffective: {year}-03-01\n---\n# Gout\n\nuric acid {year}" for year in range(2015, 2025)
    }
    ingest(folder({**texts, "undated.md": "# Gout\n\nuric acid"}), "c", store, encoder)
    return store


@pytest.mark.parametrize(
    ("limits", "years"),
    [
        ({}, {*range(2015, 2025), None}),
        ({"effective_from": date(2022, 3, 1)}, {2022, 2023, 2024}),
        ({"effective_from": date(2022, 3, 2)}, {2023, 2024}),
        ({"effective_until": date(2016, 3, 1)}, {2015, 2016}),
        ({"effective_from": date(2018, 1, 1), "effective_until": date(2019, 1, 1)}, {2018}),
        ({"effective_until": date(1999, 1, 1)}, set()),
    ],
)
def test_dates(dated, encoder, tmp_path, limits, years) -> None:
    """Both days count, a document without a date passes no limit; built or found on disk, by vectors or words too."""
    query, question = encoder.encode_queries(["uric acid"])[0], terms_of("uric acid")
    wanted = PassageFilter(**limits)
    for _ in range(2):
        saved = SavedGenerations(tmp_path / "indexes", "recipe")
        collection = Collection.open(dated, "c", lambda: INDEXES.build("faiss_flat"), saved, words=True)
        for terms in ((), question):
            hits = collection.search(query, 50, terms, wanted)
            found = dated.passages([hit.passage_id for hit in hits])
            assert {one.effective_date.year if one.effective_date else None for one in found} == years
            assert len(hits) == len(years)


@pytest.mark.parametrize(
    "limits",
    [
        {"effective_from": "2024-02-30"},
        {"effective_from": "2024-02-01T00:00:00"},
        {"effective_from": 1704067200},
        {"effective_from": "1704067200"},
        {"effective_from": "2024-02-02", "effective_until": "2024-02-01"},
        {"release_classes": []},
        {"release_classes": ["secret"]},
        {"author": "x"},
    ],
)
def test_what_is_no_filter_is_refused(limits) -> None:
    """Neither a moment, a number of seconds, nor the wrong way round."""
    with pytest.raises(ValidationError):
        AskRequest.model_validate_json(json.dumps({"question": {"text": "x"}, "filter": limits}))
