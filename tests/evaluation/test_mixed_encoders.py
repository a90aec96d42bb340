"""Hospitals with different encoders in one federation: calibrated as ingest does it, merged, and compared."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fedrag.core.collection import EncoderIdentity
from fedrag.encoders import ENCODERS
from fedrag.evaluation.corpus import Corpus, Query
from fedrag.evaluation.encoders import Shortened
from fedrag.evaluation.mixed_encoders import ALL, BASELINES, OTHER, PRODUCT, WAYS, MixedEncoders, measure_mixed
from fedrag.evaluation.run import Half, Run
from fedrag.evaluation.simulation import SimulatedFederation
from fedrag.evaluation.splits import Document
from retriever_node.ingest import ingest
from retriever_node.store import PassageStore
from retriever_node.terms import terms_of

EMBED = ("title", "text")
ENCODER = ENCODERS.build("hashing", {"dimension": 128})
NODES = 4


@contextmanager
def silent(what: str) -> Iterator[object]:
    yield lambda done, total: None


def documents(number: int = 120) -> tuple[Document, ...]:
    """Every one has a dozen words of its own, most of them shared with some others, in three sentences."""
    random = np.random.default_rng(5)
    made = []
    for at in range(number):
        own = [f"w{word}" for word in random.choice(90, 12, replace=False)]
        sentences = [" ".join(random.choice(own, 6)).capitalize() + "." for _ in range(3)]
        title, text = f"Page {own[0]} {own[1]}", " ".join(sentences)
        made.append(Document(f"d{at:03}", f"H{at % NODES}", title, text, f"{title}\n{text}", f"d{at:03}"))
    return tuple(made)


def asked(held: Sequence[Document], number: int = 24) -> tuple[Query, ...]:
    """With words of a document, each put once."""
    return tuple(Query(f"q{at}", " ".join(sorted(set(held[at * 5].text.lower().split())))) for at in range(number))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    held = documents()
    queries = asked(held)
    vectors = ENCODER.encode_passages([one.embedded for one in held])
    grades = {query.id: {f"d{at * 5:03}": 1} for at, query in enumerate(queries)}
    return Corpus(held, vectors, queries, ENCODER.encode_queries([one.text for one in queries]), grades)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(data=None, limit=None, half=Half.SEEN, output=tmp_path, progress=silent, command="test", identity="one")


@dataclass(frozen=True)
class Fixed:
    """An encoder that knows one vector."""

    identity: EncoderIdentity

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return self.encode_passages(texts)

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[3, 4, 12]] * len(texts), dtype=np.float32) / 13

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        return ((0, len(text)),)


class Nothing(Fixed):
    """An encoder with nothing in its first two components."""

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[0, 0, 1]] * len(texts), dtype=np.float32)


def test_a_shortened_encoder_keeps_the_first_components_at_length_one() -> None:
    """(3, 4, 12) / 13 becomes (0.6, 0.8), and is comparable with nothing of full length."""
    whole = Fixed(ENCODER.identity.model_copy(update={"dimension": 3}))
    short = Shortened(whole, 2)
    for vectors in (short.encode_queries(["a", "b"]), short.encode_passages(["a", "b"])):
        np.testing.assert_allclose(vectors, [[0.6, 0.8]] * 2, rtol=1e-6)
    assert Shortened(Nothing(whole.identity), 2).encode_queries(["a"]).tolist() == [[1.0, 0.0]]
    assert short.identity.dimension == 2
    assert short.identity.comparable_with != whole.identity.comparable_with


def test_a_simulated_hospital_calibrates_as_ingest_does(corpus: Corpus, tmp_path: Path) -> None:
    """Oracle: the product's own ingest of the same documents into a store, word statistics and all."""
    worded = [(terms_of(one.title), terms_of(one.text)) for one in corpus.documents]
    federation = SimulatedFederation.of(corpus.owners, corpus.vectors, ENCODER.identity, worded=worded)
    calibrated = federation.calibrated(corpus.documents, ENCODER, EMBED).nodes["h1"].calibrations
    folder = tmp_path / "h1"
    folder.mkdir()
    lines = [
        json.dumps({"id": one.id, "title": one.title, "text": one.text}) + "\n"
        for one in corpus.documents
        if one.node == "H1"
    ]
    (folder / "pages.jsonl").write_text("".join(lines), encoding="utf-8")
    store = PassageStore.open(tmp_path / "passages.sqlite", ENCODER.identity)
    ingest(folder, "pages", store, ENCODER, reader={"embed": list(EMBED)})
    fitted = store.calibrations("pages")
    assert fitted is not None
    for own, theirs in ((calibrated.vectors, fitted[1].vectors), (calibrated.both, fitted[1].both)):
        assert (own.slope, own.intercept) == pytest.approx((theirs.slope, theirs.intercept), rel=1e-4)
    assert calibrated.vectors != calibrated.both


def test_offers_carry_the_probability_of_their_own_hospitals_calibration(corpus: Corpus) -> None:
    """Recomputed from similarity and calibration; no two hospitals have the same one."""
    plain = SimulatedFederation.of(corpus.owners, corpus.vectors, ENCODER.identity)
    federation = plain.calibrated(corpus.documents, ENCODER, EMBED)
    assert len({one.calibrations.vectors for one in federation.nodes.values()}) == NODES
    for node, held in federation.nodes.items():
        for one in federation.offers(node, corpus.asked[0], 5):
            assert one.offer.similarity is not None
            expected = held.calibrations.vectors.probability(one.offer.similarity.value)
            assert one.offer.probability == pytest.approx(expected)


def test_with_one_encoder_on_both_sides_nothing_is_lost(corpus: Corpus) -> None:
    """The other encoder is the same one: half and half is what all hospitals together are, and raw scores too."""
    same = (ENCODER, corpus.vectors, corpus.asked)
    mixed = MixedEncoders(corpus, {"own": same, "again": same}, EMBED)
    for query in corpus.queries[:6]:
        for way in WAYS:
            scores = mixed.scored(query)[way]["again"]
            assert scores[PRODUCT] == scores[ALL] == scores[OTHER] == scores["raw score"]


def test_an_encoder_with_inflated_similarities_takes_raw_scores_in_and_not_the_product(corpus: Corpus) -> None:
    """Relevant are the ten documents that the one encoder has nearest. The other one adds a constant component to
    everything, which lifts all its cosines and changes no order: raw scores put its hospitals first; the product finds
    what it finds with one encoder, nearly."""
    nearest = np.argsort(-(corpus.asked @ corpus.vectors.T), axis=1)[:, :10]
    grades = {
        query.id: {corpus.documents[at].id: 1 for at in near}
        for query, near in zip(corpus.queries, nearest, strict=True)
    }
    corpus = replace(corpus, grades=grades)

    def lifted(vectors: np.ndarray) -> np.ndarray:
        more = np.hstack([vectors, np.ones((len(vectors), 1), dtype=np.float32)])
        return (more / np.linalg.norm(more, axis=1, keepdims=True)).astype(np.float32)

    class Lifting:
        identity = ENCODER.identity.model_copy(update={"dimension": 129})

        def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
            return lifted(ENCODER.encode_queries(texts))

        encode_passages = encode_queries

        def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
            return ENCODER.token_spans(text)

    encoders = {
        "own": (ENCODER, corpus.vectors, corpus.asked),
        "lifting": (Lifting(), lifted(corpus.vectors), lifted(corpus.asked)),
    }
    mixed = MixedEncoders(corpus, encoders, EMBED)
    scored = [mixed.scored(query)["vectors"]["lifting"] for query in corpus.queries]
    found = {name: float(np.mean([one[name] for one in scored])) for name in scored[0]}
    assert found[ALL] == 1.0
    assert found[OTHER] == pytest.approx(found[ALL])
    assert found[PRODUCT] > found[ALL] - 0.1
    assert found[PRODUCT] > found["raw score"] + 0.2
    assert found[PRODUCT] > max(found[name] for name in BASELINES) + 0.05


def test_the_tables_hold_every_system_and_count_the_questions(corpus: Corpus, run: Run) -> None:
    """One table for each way of searching; the product against each baseline over each other encoder."""
    tables = measure_mixed("small", corpus, run, ENCODER, EMBED)
    assert [table.title for table in tables] == [f"Mixed encoders, {way}, nDCG@10, 24 questions" for way in WAYS]
    for table in tables:
        systems = [row[0] for row in table.rows]
        assert systems[:3] == [ALL, OTHER, PRODUCT]
        assert systems[-4:] == ["raw score", "z-score", "min-max", "RRF"]
        assert table.columns[1::2] == (
            "half on its first 128 components",
            "half on its first 32 components",
            "half on hashed words",
        )
        assert all(0 <= value <= 1 for row in table.rows for value in row[1::2])
    assert len(list((run.output / "small").glob("record-*.jsonl"))) == 1
