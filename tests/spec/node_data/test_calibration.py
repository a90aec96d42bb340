"""From similarity to probability: the fit against known truths, and the questions a node asks itself."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedrag.core.exchange import WORDS
from retriever_node.calibration import (
    ANSWERED,
    DEFAULT,
    Calibration,
    Calibrations,
    LabelledPairs,
    fit,
    fit_logistic,
    labelled_pairs,
)
from retriever_node.documents import Passage
from retriever_node.hybrid import term_index
from retriever_node.lexical import ScoredTerms
from retriever_node.passages import ALL_FIELDS, embedding_text

VOCABULARY = [f"term{number}" for number in range(400)]


def corpus(encoder, documents: int, seed: int = 0):
    """Each document has its own dozen of words, in two passages of three sentences."""
    random = np.random.default_rng(seed)
    passages = []
    for number in range(documents):
        own = random.choice(VOCABULARY, 12, replace=False)
        for part in range(2):
            sentences = [" ".join(random.choice(own, 6)).capitalize() + "." for _ in range(3)]
            passages.append(
                Passage(
                    passage_id=len(passages) + 1,
                    collection="c",
                    document_id=f"d{number:03}",
                    document_name="",
                    title=" ".join(own[:2]),
                    section=f"Part {part}",
                    version="",
                    effective_date=None,
                    start=0,
                    end=1,
                    text=" ".join(sentences),
                )
            )
    vectors = encoder.encode_passages([embedding_text(passage, encoder) for passage in passages])
    ids = np.arange(1, len(passages) + 1)
    return ids, (ids - 1) // 2, vectors, lambda wanted: tuple(passages[number - 1] for number in wanted)


def scored(made) -> ScoredTerms:
    """The words of a corpus under its own statistics."""
    ids, *_, lookup = made
    terms = term_index(ids, lookup)
    return terms.scored_with(terms.statistics())


@pytest.mark.parametrize(
    ("similarity", "probability"), [(0.5, 0.5), (0.6, 0.76852478), (0.0, 0.00247262), (1.0, 0.99752738)]
)
def test_probability_by_hand(similarity, probability):
    """1 / (1 + exp(-(12 s - 6)))."""
    assert DEFAULT.probability(similarity) == pytest.approx(probability, abs=1e-8)


def test_probability_of_extremes_is_finite():
    """A steep slope overflows nothing."""
    steep = Calibration(1e6, 0.0)
    assert (steep.probability(-1), steep.probability(1)) == (0.0, 1.0)


def test_a_planted_calibration_is_recovered():
    """20,000 labels drawn from slope 9, intercept -5: the fit is within three standard errors of them."""
    random = np.random.default_rng(0)
    similarities = random.uniform(0, 1, 20_000)
    relevant = random.uniform(size=20_000) < 1 / (1 + np.exp(-(9 * similarities - 5)))
    found = fit_logistic(similarities, relevant)
    assert found.slope == pytest.approx(9, abs=0.4)
    assert found.intercept == pytest.approx(-5, abs=0.25)


def test_the_fit_is_the_minimum():
    """No neighbour on a fine grid has a smaller penalised loss, computed independently with math.log."""
    similarities = np.array([0.1, 0.2, 0.4, 0.5, 0.7, 0.9])
    relevant = np.array([False, False, True, False, True, True])

    def loss(slope: float, intercept: float) -> float:
        total = ((slope - 12) / 12) ** 2 / 2 + ((intercept + 6) / 6) ** 2 / 2
        for similarity, label in zip(similarities, relevant, strict=True):
            p = 1 / (1 + math.exp(-(slope * similarity + intercept)))
            total -= math.log(p if label else 1 - p)
        return total

    found = fit_logistic(similarities, relevant)
    best = loss(found.slope, found.intercept)
    for change in (0.01, -0.01):
        assert loss(found.slope + change, found.intercept) > best
        assert loss(found.slope, found.intercept + change) > best


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(st.floats(-1, 1), st.booleans()), max_size=60))
def test_any_labels_give_a_finite_calibration_that_never_falls(pairs):
    """Separable, one-sided, reversed or no labels: finite, and more similar is more probable."""
    found = fit_logistic(np.array([s for s, _ in pairs]), np.array([r for _, r in pairs], dtype=bool))
    assert math.isfinite(found.slope)
    assert math.isfinite(found.intercept)
    assert found.slope >= 1
    assert found.probability(-1) < found.probability(0.3) < found.probability(1)


def test_no_labels_leave_the_default():
    """With nothing to learn from the fit is its prior."""
    found = fit_logistic(np.empty(0), np.empty(0, dtype=bool))
    assert (found.slope, found.intercept) == pytest.approx((DEFAULT.slope, DEFAULT.intercept))


def test_reversed_labels_give_about_the_base_rate():
    """Where less similar is more relevant the slope is its least, 1, and half of the pairs are relevant on average."""
    similarities = np.tile([0.1, 0.9], 5000)
    found = fit_logistic(similarities, similarities < 0.5)
    assert found.slope == 1
    assert (found.probability(0.1) + found.probability(0.9)) / 2 == pytest.approx(0.5, abs=0.01)


def test_a_weight_is_how_often_a_pair_counts():
    """Oracle: the same pairs, each repeated as often as its weight says."""
    similarities = np.array([0.1, 0.2, 0.4, 0.5, 0.7, 0.9])
    relevant = np.array([False, False, True, False, True, True])
    times = np.array([3, 1, 2, 4, 1, 2])
    repeated = fit_logistic(np.repeat(similarities, times), np.repeat(relevant, times))
    weighed = fit_logistic(similarities, relevant, times.astype(float))
    assert (weighed.slope, weighed.intercept) == pytest.approx((repeated.slope, repeated.intercept))


def test_questions_without_an_answer_weigh_as_their_share_says():
    """Of four questions one has an answer: pairs from lists without the passage count three times, as if repeated.
    Where every question has one, they do not count."""
    similarities = np.array([0.8, 0.5, 0.3, 0.6, 0.4, 0.2])
    relevant = np.array([True, False, False, False, False, False])
    absent = np.array([False, False, False, True, True, True])
    pairs = LabelledPairs(similarities, relevant, absent, questions=1)
    repeated = fit_logistic(*(np.repeat(one, np.where(absent, 3, 1)) for one in (similarities, relevant)))
    quarter, all_answered = pairs.fitted(0.25), pairs.fitted(1.0)
    assert (quarter.slope, quarter.intercept) == pytest.approx((repeated.slope, repeated.intercept))
    assert all_answered == fit_logistic(similarities[~absent], relevant[~absent])


def test_pairs_are_the_top_of_an_honest_result_list(encoder):
    """At most one relevant pair per question, lists of ten, and the relevant passage is scored without its sentence."""
    ids, documents, vectors, lookup = corpus(encoder, 40)
    (pairs,) = labelled_pairs(ids, documents, vectors, lookup, encoder, samples=50)
    assert pairs.questions == 50
    answered = pairs.relevant[~pairs.absent].reshape(50, 10)
    assert answered.sum(axis=1).max() == 1
    assert answered.sum(axis=1).mean() > 0.8
    assert (np.diff(pairs.similarities[~pairs.absent].reshape(50, 10), axis=1) <= 0).all()
    whole = np.array([encoder.encode_queries([lookup([i])[0].text])[0] @ vectors[i - 1] for i in ids])
    assert pairs.similarities[pairs.relevant].mean() < whole.mean() - 0.05


def test_an_absent_list_is_the_same_one_without_the_passage_asked_for(encoder):
    """The ten best rivals, nothing relevant among them: where the passage stood in the list the others move up and one
    more follows, where it did not the list stays."""
    (pairs,) = labelled_pairs(*corpus(encoder, 40), encoder, samples=50)
    with_it = pairs.similarities[~pairs.absent].reshape(50, 10)
    sought = pairs.relevant[~pairs.absent].reshape(50, 10)
    without = pairs.similarities[pairs.absent].reshape(50, 10)
    assert not pairs.relevant[pairs.absent].any()
    for whole, own, rest in zip(with_it, sought, without, strict=True):
        kept = whole[~own]
        np.testing.assert_array_equal(rest[: len(kept)], kept)
        assert (rest[len(kept) :] <= kept[-1]).all()


def test_the_only_document_has_no_absent_list(encoder):
    """Nothing else is found: one pair per question, relevant."""
    (pairs,) = labelled_pairs(*corpus(encoder, 1), encoder)
    assert pairs.relevant.tolist() == [True, True]
    assert not pairs.absent.any()


def test_siblings_and_copies_are_no_negatives(encoder):
    """Of two copies of one document, neither is counted as irrelevant to the other's questions."""
    ids, documents, vectors, lookup = corpus(encoder, 15)
    doubled = (
        np.concatenate([ids, ids + len(ids)]),
        np.concatenate([documents, documents + 15]),
        np.concatenate([vectors, vectors]),
        lambda wanted: lookup([(number - 1) % len(ids) + 1 for number in wanted]),
    )
    (single,) = labelled_pairs(ids, documents, vectors, lookup, encoder)
    (double,) = labelled_pairs(*doubled, encoder, samples=1000)
    assert double.similarities[~double.relevant].max() <= single.similarities.max()
    assert double.similarities[~double.relevant].mean() < double.similarities[double.relevant].mean() - 0.2


def asked_of(pairs: LabelledPairs, answered: float) -> np.ndarray:
    """A mask of pairs: of the questions the share `answered` finds its passage there, the others do not."""
    at_home = np.random.default_rng(0).random(pairs.questions) < answered
    return np.repeat(at_home, 20) != pairs.absent


def test_calibration_is_calibrated(encoder):
    """On questions of another sample of the same corpus, a quarter of them answered there as is assumed, the mean
    predicted probability is the share of relevant, and the Brier score is better than that of this share."""
    first, second = corpus(encoder, 150, seed=1), corpus(encoder, 150, seed=2)
    fitted = fit(*first, encoder, scored=scored(first))
    both = labelled_pairs(*second, encoder, scored=scored(second), samples=300)
    for calibration, pairs in zip((fitted.vectors, fitted.both), both, strict=True):
        asked = asked_of(pairs, ANSWERED)
        predicted = np.array([calibration.probability(similarity) for similarity in pairs.similarities[asked]])
        relevant = pairs.relevant[asked]
        share = relevant.mean()
        assert predicted.mean() == pytest.approx(share, abs=0.01)
        assert np.square(predicted - relevant).mean() < 0.7 * share * (1 - share)
        assert predicted[relevant].mean() > predicted[~relevant].mean() + 0.3


def test_a_hospital_that_takes_every_question_for_its_own_is_too_sure(encoder):
    """Asked questions of which it answers a quarter: fitted to answered ones alone the mean prediction is above the
    share of relevant by half, and the Brier score is worse."""
    made = corpus(encoder, 150, seed=3)
    (pairs,) = labelled_pairs(*made, encoder, samples=300)
    asked = asked_of(pairs, ANSWERED)
    relevant = pairs.relevant[asked]

    def predicted(answered: float) -> np.ndarray:
        calibration = pairs.fitted(answered)
        return np.array([calibration.probability(similarity) for similarity in pairs.similarities[asked]])

    sure, assumed = predicted(1.0), predicted(ANSWERED)
    assert sure.mean() > 1.5 * relevant.mean()
    assert np.square(sure - relevant).mean() > np.square(assumed - relevant).mean()


def test_words_are_scored_without_the_sentence_that_asks(encoder):
    """The passage asked for competes by the words that are left of it: its similarity is the least by vectors alone
    plus what its rest shares with the question, and a sentence of words of its own shares nothing."""
    texts = [f"Alpha{i} beta{i} gamma{i} delta{i}. Eta{i} theta{i} iota{i} kappa{i}." for i in range(30)]
    passages = tuple(Passage(i, "c", str(i), "n", "", "", "", None, 0, len(text), text) for i, text in enumerate(texts))
    vectors = encoder.encode_passages(texts)
    ids = np.arange(30)
    made = (ids, ids, vectors, lambda wanted: tuple(passages[one] for one in wanted))
    alone, both = labelled_pairs(*made, encoder, scored=scored(made), candidates=30)
    assert both.similarities[both.relevant] == pytest.approx(alone.similarities[alone.relevant] / (1 + WORDS))


def test_too_few_passages_get_the_default(encoder):
    """Nine documents make eighteen questions: not enough to fit from."""
    assert fit(*corpus(encoder, 9), encoder) == Calibrations(DEFAULT, DEFAULT)
    assert fit(*corpus(encoder, 0), encoder) == Calibrations(DEFAULT, DEFAULT)
    assert fit(*corpus(encoder, 10), encoder).vectors != DEFAULT


def test_the_same_collection_gives_the_same_calibration(encoder):
    """Sampling is by hash of the passage, not by chance."""
    assert fit(*corpus(encoder, 200), encoder, samples=50) == fit(*corpus(encoder, 200), encoder, samples=50)


@pytest.mark.parametrize("fields", [["title"], ["text"], ["section", "text"], ALL_FIELDS])
def test_any_choice_of_embedded_fields_can_be_calibrated(encoder, fields):
    """Whatever is embedded, questions can be made of it and the fit rises."""
    ids, documents, _, lookup = corpus(encoder, 30)
    passages = lookup(ids)
    vectors = encoder.encode_passages([embedding_text(passage, encoder, fields) for passage in passages])
    (pairs,) = labelled_pairs(ids, documents, vectors, lookup, encoder, fields)
    assert pairs.questions == 60
    assert fit(ids, documents, vectors, lookup, encoder, fields).vectors.slope >= 1
