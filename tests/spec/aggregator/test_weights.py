"""Source weights: proportional to claims under a cap. Oracle: the level of the water, found by bisection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.weights import source_weights

claims = st.dictionaries(
    st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.floats(0, 50) | st.just(0.0), min_size=1, max_size=12
)


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        ({}, {}),
        ({"a": 0.2}, {"a": 1}),
        ({"a": 9, "b": 1}, {"a": 1 / 2, "b": 1 / 2}),  # two sources: neither above 1/2
        ({"a": 9, "b": 1, "c": 0}, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, {"a": 1 / 4, "b": 1 / 4, "c": 1 / 4, "d": 1 / 4}),
        ({"a": 6, "b": 2, "c": 1, "d": 1}, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 6, "d": 1 / 6}),  # 2/3 among 2:1:1
        ({"a": 7, "b": 6, "c": 1, "d": 1}, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 6, "d": 1 / 6}),
        ({"a": 5, "b": 0, "c": 0, "d": 0}, {"a": 1 / 3, "b": 2 / 9, "c": 2 / 9, "d": 2 / 9}),
        ({"a": 0, "b": 0, "c": 0, "d": 0}, {"a": 1 / 4, "b": 1 / 4, "c": 1 / 4, "d": 1 / 4}),
        ({"a": 3, "b": 3, "c": 2, "d": 2}, {"a": 0.3, "b": 0.3, "c": 0.2, "d": 0.2}),  # nobody above the cap
    ],
)
def test_hand_computed_weights(claimed, expected):
    """By pencil."""
    assert source_weights(claimed) == pytest.approx(expected)


@given(claims=claims)
def test_weights_sum_to_one_under_the_cap(claims):
    """For any claims."""
    weights = source_weights(claims)
    assert set(weights) == set(claims)
    assert sum(weights.values()) == pytest.approx(1)
    assert max(weights.values()) <= max(1 / 3, 1 / len(claims)) + 1e-12
    assert min(weights.values()) >= 0


@given(
    claims=st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.floats(0.01, 50), min_size=4, max_size=12)
)
def test_weights_are_the_water_level(claims):
    """min(cap, level x claim) with the one level at which they sum to 1."""
    low, high = 0.0, 1e6
    for _ in range(200):
        level = (low + high) / 2
        if sum(min(1 / 3, level * claim) for claim in claims.values()) < 1:
            low = level
        else:
            high = level
    assert source_weights(claims) == pytest.approx({node: min(1 / 3, high * claim) for node, claim in claims.items()})


@given(
    claims=st.dictionaries(st.text("abc", min_size=1), st.floats(1e-6, 50) | st.just(0.0), min_size=1),
    factor=st.floats(0.1, 10),
)
def test_only_the_proportions_of_claims_matter(claims, factor):
    """A federation in which everybody claims ten times as much has the same weights."""
    larger = {node: factor * claim for node, claim in claims.items()}
    assert source_weights(larger) == pytest.approx(source_weights(claims), abs=1e-9)


def test_weights_do_not_depend_on_the_order_of_claims():
    """And come in the order of names."""
    assert list(source_weights({"b": 1, "a": 2}).items()) == list(source_weights({"a": 2, "b": 1}).items())
