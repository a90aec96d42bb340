"""How `comparable` places groups of offers that cannot be compared.

Oracles: log odds by hand, least squares with an intercept per hospital, federations whose relevant passages are known.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.methods.comparable import LEVELLED, Comparable, Settings, places_of, rank
from fedrag.core.exchange import Offer, Similarity
from fedrag.core.protocols import NodeOffer


def odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def made(node: str, name: str, rank: int, similarity: float | None, probability: float, encoder: str = "x"):
    compared = None if similarity is None else Similarity(value=similarity, comparable_with=encoder)
    return NodeOffer(node, Offer(handle=name.ljust(64, "_"), rank=rank, probability=probability, similarity=compared))


def merged(offers, k=10):
    return [winner.offer.handle.rstrip("_") for winner in Comparable(Settings()).merge(offers, k)]


def test_a_hospital_alone_with_its_encoder_is_placed_by_log_odds_above_its_own_level():
    """Its line is its own: ln(p / (1 - p)) less two thirds of the mean of these. a: ln 4 - ... = 1.08, -0.71; b by
    hand as well; the similarities 0.9 and 0.3 of two encoders say nothing about each other."""
    group = {
        "x": [made("a", "a1", 1, 0.30, 0.8), made("a", "a2", 2, 0.20, 0.4)],
        "y": [made("b", "b1", 1, 0.90, 0.6, "y"), made("b", "b2", 2, 0.85, 0.5, "y")],
    }
    places = places_of(group)
    for name, probabilities in (("x", (0.8, 0.4)), ("y", (0.6, 0.5))):
        level = sum(map(odds, probabilities)) / 2
        assert places[name] == pytest.approx([odds(one) - 2 / 3 * level for one in probabilities])
    assert merged([*group["y"], *group["x"]]) == ["a1", "b1", "b2", "a2"]


@pytest.mark.parametrize("seed", range(5))
def test_the_slope_is_least_squares_with_an_intercept_for_every_hospital(seed):
    """Oracle: numpy's least squares on similarity and one column per hospital; means over hospitals, not offers."""
    random = np.random.default_rng(seed)
    offers = []
    for node in range(4):
        for place, similarity in enumerate(np.sort(random.random(2 + 2 * node))[::-1], start=1):
            probability = 1 / (1 + math.exp(-(8 * similarity - 6 + node + random.normal())))
            offers.append(made(f"n{node}", f"{node}-{place}", place, float(similarity), probability))
    offers.sort(key=lambda one: -one.offer.similarity.value)
    told = np.array([(one.offer.similarity.value, odds(one.offer.probability), int(one.node[1])) for one in offers])
    similarity, log_odds, node = told.T
    design = np.column_stack([similarity, *(node == each for each in range(4))])
    slope = np.linalg.lstsq(design, log_odds, rcond=None)[0][0]
    middle = np.mean([[similarity[node == each].mean(), log_odds[node == each].mean()] for each in range(4)], axis=0)
    expected = slope * (similarity - middle[0]) + (1 - LEVELLED) * middle[1]
    assert places_of({"x": offers, "y": [made("p", "p1", 1, 0.5, 0.5, "y")]})["x"] == pytest.approx(expected)


def group_of(random: np.random.Generator, encoder: str, lift: float = 0.0, scale: float = 1.0, sure: float = 0.0):
    """Three hospitals, five offers each; `sure` is added to their log odds, `lift` and `scale` change similarities."""
    offers = []
    for node in range(3):
        for place, similarity in enumerate(np.sort(random.random(5) * 0.5)[::-1], start=1):
            probability = 1 / (1 + math.exp(-(10 * similarity - 4 + sure)))
            offers.append(made(f"{encoder}{node}", f"{encoder}{node}-{place}", place, scale * similarity + lift,
                               probability, encoder))  # fmt: skip
    return offers


def test_an_encoders_scale_does_not_matter():
    """The same probabilities for similarities half as far apart and higher: the same order."""
    plain = [*group_of(np.random.default_rng(0), "x"), *group_of(np.random.default_rng(1), "y")]
    moved = [*group_of(np.random.default_rng(0), "x"), *group_of(np.random.default_rng(1), "y", lift=0.3, scale=0.5)]
    assert merged(plain, 30) == merged(moved, 30)


def test_two_thirds_of_a_level_are_taken_away():
    """All hospitals of an encoder surer by 3 in log odds are placed higher by 1, as if surer by no more."""
    both = {"x": group_of(np.random.default_rng(0), "x"), "y": group_of(np.random.default_rng(1), "y")}
    surer = {**both, "y": group_of(np.random.default_rng(1), "y", sure=3.0)}
    before, after = (
        places_of({name: sorted(one, key=lambda each: -each.offer.similarity.value) for name, one in groups.items()})
        for groups in (both, surer)
    )
    assert after["x"] == pytest.approx(before["x"])
    assert after["y"] == pytest.approx(before["y"] + 1)


def test_offers_without_a_similarity_stand_by_log_odds_less_the_common_level():
    """A patient collection tells a probability bucket and nothing else; with p = 0.5 its log odds are 0, the level of
    the others is (ln 9 + ln 3/7) / 2 = 0.67, so it is placed at -0.45, between 1.75 and -1.3."""
    offers = [made("a", "a1", 1, 0.9, 0.9), made("a", "a2", 2, 0.5, 0.3), made("p", "p1", 1, None, 0.5)]
    level = (odds(0.9) + odds(0.3)) / 2
    places = places_of({"": offers[2:], "x": offers[:2]})
    assert places[""] == pytest.approx([-2 / 3 * level])
    assert places["x"] == pytest.approx([odds(0.9) - 2 / 3 * level, odds(0.3) - 2 / 3 * level])
    assert merged(offers) == ["a1", "p1", "a2"]


def test_hospitals_with_one_offer_each_are_fitted_together():
    """Slope (ln 9 - ln 1/9) / 0.4 between a and b, so that x's better offer is above y's and the worse one below."""
    offers = [made("a", "a1", 1, 0.9, 0.9), made("b", "b1", 1, 0.5, 0.1), made("c", "c1", 1, 0.2, 0.5, "y")]
    assert merged(offers) == ["a1", "c1", "b1"]


def test_certainty_and_equal_similarities_are_no_trouble():
    """Probabilities 0 and 1 have places; where all similarities of an encoder are equal its offers take turns."""
    offers = [
        made("a", "a1", 1, 0.5, 1.0),
        made("a", "a2", 2, 0.5, 0.0),
        made("b", "b1", 1, 0.9, 1.0, "y"),
        made("b", "b2", 2, 0.1, 0.0, "y"),
    ]
    assert merged(offers) == ["b1", "a1", "a2", "b2"]


@given(
    values=st.lists(
        st.tuples(st.integers(0, 3), st.floats(-1, 1), st.floats(0, 1), st.sampled_from(["x", "y", None])), max_size=20
    )
)
def test_every_groups_own_order_is_kept(values):
    """Whatever hospitals say: all offers come once, those of one encoder in the order of their similarities."""
    offers = [
        made(f"n{node}", f"o{at}", at + 1, None if encoder is None else similarity, probability, encoder or "")
        for at, (node, similarity, probability, encoder) in enumerate(values)
    ]
    ordered = list(rank(offers)) if offers else []
    assert sorted(one.offer.handle for one in ordered) == sorted(one.offer.handle for one in offers)
    for encoder in "xy":
        own = [one.offer.similarity for one in ordered if one.offer.similarity]
        told = [one.value for one in own if one.comparable_with == encoder]
        assert told == sorted(told, reverse=True)


def test_a_question_that_lifts_one_encoders_similarities_does_not_bury_the_others():
    """Forty questions, eight hospitals, two encoders; half of each question's relevant passages lie with either. For
    every question one encoder's similarities are lifted by 0.1, which its calibration, fitted over many questions,
    takes for relevance. Levelled, the first ten hold more of what is relevant than by probability, and nearly as much
    as where nothing is lifted."""
    random = np.random.default_rng(7)

    def precision(level: bool, lift: float) -> float:
        right = []
        for question in range(40):
            offers, relevant = [], set()
            for node in range(8):
                encoder = "xy"[node % 2]
                lifted = lift * ((question + node) % 2)
                held = random.integers(0, 3)
                truth = np.array([1.0] * held + [0.0] * (10 - held))
                similarity = 0.4 + 0.25 * truth + 0.06 * random.normal(size=10) + lifted
                for place, at in enumerate(np.argsort(-similarity), start=1):
                    name = f"{question}-{node}-{at}"
                    probability = 1 / (1 + math.exp(-(30 * (similarity[at] - lift / 2) - 17)))
                    offers.append(made(f"n{node}", name, place, float(similarity[at]), probability, encoder))
                    if truth[at]:
                        relevant.add(name)
            by_probability = [
                one.offer.handle.rstrip("_") for one in sorted(offers, key=lambda o: -o.offer.probability)
            ]
            first = merged(offers) if level else by_probability[:10]
            right.append(len(relevant.intersection(first)) / min(10, len(relevant) or 1))
        return float(np.mean(right))

    assert precision(level=True, lift=0.1) > precision(level=False, lift=0.1) + 0.05
    assert precision(level=True, lift=0.1) > precision(level=True, lift=0.0) - 0.05
