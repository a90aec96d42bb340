"""Words: BM25F by hand and by a library, and the best by words and vectors together by brute force."""

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedrag.core.errors import IntegrityError
from fedrag.core.exchange import WORDS
from retriever_node.hybrid import best
from retriever_node.indexes import INDEXES
from retriever_node.lexical import K1, TITLE_WEIGHT, B, TermIndex, TermStatistics, words
from retriever_node.terms import terms_of

VOCABULARY = [f"t{number}" for number in range(12)]
TERMS = st.lists(st.sampled_from(VOCABULARY), max_size=12)


def test_terms() -> None:
    """Lower case, two characters or more, no stop words, stemmed; repetitions stay."""
    assert terms_of("The Patients' doses: 5 mg, 10 mg of WARFARIN; dosing") == [
        "patient", "dose", "mg", "10", "mg", "warfarin", "dose",
    ]  # fmt: skip
    assert terms_of("") == terms_of("the of 5 ?") == []


def test_by_hand() -> None:
    """Two passages, one term in one title and in the other's text: every number written out."""
    index = TermIndex.build([(["gout"], ["pain", "pain"]), (["rest"], ["gout", "toe", "toe"])])
    statistics = index.statistics()
    assert (statistics.passages, statistics.length) == (2, 2 * TITLE_WEIGHT + 2 + 3)
    assert statistics.frequencies == {"gout": 2, "rest": 1, "pain": 1, "toe": 1}
    mean = (2 * TITLE_WEIGHT + 5) / 2
    first = TITLE_WEIGHT / (TITLE_WEIGHT + K1 * (1 - B + B * (TITLE_WEIGHT + 2) / mean))
    second = 1 / (1 + K1 * (1 - B + B * (TITLE_WEIGHT + 3) / mean))
    assert index.scored_with(statistics).score(["gout"]) == pytest.approx([first, second])
    gout, unknown = math.log(1 + 0.5 / 2.5), math.log(1 + 2.5 / 0.5)
    share = gout / (gout + unknown)
    assert index.scored_with(statistics).score(["gout", "fever"]) == pytest.approx([first * share, second * share])
    assert index.scored_with(statistics).score([]).tolist() == [0.0, 0.0]


@settings(max_examples=150, deadline=None)
@given(passages=st.lists(st.tuples(TERMS, TERMS), min_size=1, max_size=20), question=TERMS)
def test_against_a_library(passages, question) -> None:
    """With its own statistics and titles written twice, bm25s gives the same sum; the divisor is that of idf."""
    written = [title * TITLE_WEIGHT + text for title, text in passages]
    index = TermIndex.build(passages)
    statistics = index.statistics()
    found = index.scored_with(statistics).score(question)
    asked = [term for term in question if any(term in one for one in written)]
    if not asked:
        assert not found.any()
        return
    library = bm25s.BM25(k1=K1, b=B, method="lucene")
    library.index(written, show_progress=False)
    held = {term: sum(term in one for one in written) for term in question}
    most = sum(math.log(1 + (len(written) - held[term] + 0.5) / (held[term] + 0.5)) for term in question)
    assert found == pytest.approx(library.get_scores(asked) / most, rel=1e-4, abs=1e-6)
    assert (found >= 0).all()
    assert (found < 1).all()


@settings(max_examples=50, deadline=None)
@given(passages=st.lists(st.tuples(TERMS, TERMS), max_size=8), question=TERMS)
def test_saved_and_loaded(passages, question) -> None:
    """On disk and back: the same statistics and scores, with no passage and with no term too."""
    index = TermIndex.build(passages)
    with TemporaryDirectory() as folder:
        index.save(Path(folder))
        loaded = TermIndex.load(Path(folder))
        statistics = loaded.statistics()
        assert statistics == index.statistics()
        scores = loaded.scored_with(statistics).score(question)
        assert scores.tolist() == index.scored_with(statistics).score(question).tolist()


def test_a_saved_index_that_does_not_fit_together(tmp_path) -> None:
    """Another vocabulary, a shorter file, a missing one: an error, and no index."""
    TermIndex.build([(["gout"], ["toe", "toe"])]).save(tmp_path)
    (tmp_path / "terms.txt").write_text("gout\ntoe\nacid", encoding="utf-8")
    with pytest.raises(IntegrityError):
        TermIndex.load(tmp_path)
    (tmp_path / "terms.txt").write_text("gout\ntoe", encoding="utf-8")
    (tmp_path / "terms-rows.npy").write_bytes(b"rubbish")
    with pytest.raises(IntegrityError):
        TermIndex.load(tmp_path)
    (tmp_path / "terms-rows.npy").unlink()
    with pytest.raises(OSError):  # noqa: PT011 - whichever the system gives
        TermIndex.load(tmp_path)


@settings(max_examples=100, deadline=None)
@given(
    parts=st.lists(st.lists(st.tuples(TERMS, TERMS), min_size=1, max_size=8), min_size=2, max_size=4), question=TERMS
)
def test_shared_statistics_make_hospitals_one_library(parts, question) -> None:
    """Statistics added up over hospitals: every passage scores as in one central index, bit for bit."""
    indexes = [TermIndex.build(part) for part in parts]
    own = [index.statistics() for index in indexes]
    shared = TermStatistics(
        passages=sum(one.passages for one in own),
        length=sum(one.length for one in own),
        frequencies={term: sum(one.frequencies.get(term, 0) for one in own) for term in VOCABULARY},
    )
    everything = [passage for part in parts for passage in part]
    central = TermIndex.build(everything)
    scored = np.concatenate([index.scored_with(shared).score(question) for index in indexes])
    assert scored.tolist() == central.scored_with(central.statistics()).score(question).tolist()
    title, text = everything[0]
    assert words(question, title, text, shared) == pytest.approx(scored[0])


@pytest.mark.parametrize("k", [1, 3, 10, 80])
def test_the_best_by_words_and_vectors_is_what_brute_force_finds(k: int) -> None:
    """Also where neither list alone would hold the winners, where words are all 0, and where many are equal."""
    random = np.random.default_rng(7)
    for case in range(40):
        rows = int(random.integers(1, 900))
        vectors = random.normal(size=(rows, 8)).astype(np.float32)
        vectors[random.random(rows) < 0.2] = vectors[0]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        carried = np.where(random.random(rows) < 0.5, 0, random.random(rows)).astype(np.float32) * (case % 4 > 0)
        if case % 4 == 2:
            carried = np.round(carried, 1)
        if case % 4 == 3:  # the nearest carry the least
            carried = (1 - (vectors @ vectors[-1] + 1) / 2).astype(np.float32)
        query = vectors[-1]
        index = INDEXES.build("faiss_flat")
        index.build(vectors)
        found = best(index, vectors, carried, query, k)
        cosine = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1).astype(np.float32)
        true = ((cosine.astype(np.float64) + WORDS * carried.astype(np.float64)) / (1 + WORDS)).astype(np.float32)
        order = np.lexsort((np.arange(rows), -true))[:k]
        assert found.positions[0][: len(order)].tolist() == order.tolist()
        assert found.similarities[0][: len(order)].tolist() == true[order].tolist()
        assert (found.positions[0][len(order) :] == -1).all()
