"""Expected numbers of passages above a similarity. Oracles: math.erfc, bisection in plain Python, sampled passages."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.expectation import (
    MAXIMUM_SPREAD,
    MINIMUM_SPREAD,
    THRESHOLD_STEP,
    Prototypes,
    expected_counts,
    normal_tail,
    similarity_threshold,
    stack,
)


def tail(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 7.5e-8), (np.float32, 3e-7)])
def test_the_normal_tail_keeps_its_stated_error(dtype, error):
    """Against math.erfc at 20,001 points from -20 to 20."""
    points = np.linspace(-20, 20, 20_001).astype(dtype)
    expected = np.array([tail(float(point)) for point in points])
    assert np.max(np.abs(normal_tail(points) - expected)) < error


clusters = st.lists(
    st.tuples(st.floats(-1, 1), st.integers(1, 10_000), st.floats(MINIMUM_SPREAD, 1)), min_size=1, max_size=40
)


@given(clusters=clusters, share=st.floats(0.001, 0.9))
def test_above_the_threshold_the_wanted_number_is_expected(clusters, share):
    """The count at θ - step is at least, at θ + step at most what was wanted, summed with math.erfc."""
    similarities, masses, spreads = (np.array(column, dtype=np.float32) for column in zip(*clusters, strict=True))
    wanted = share * float(masses.sum())
    threshold = similarity_threshold(similarities, masses, spreads, wanted)

    def count(at: float) -> float:
        return sum(
            float(n) * tail((at - float(s)) / float(spread))
            for s, n, spread in zip(similarities, masses, spreads, strict=True)
        )

    slack = 1e-4 * wanted + 3e-7 * float(masses.sum())
    assert count(threshold - THRESHOLD_STEP) >= wanted - slack
    assert count(threshold + THRESHOLD_STEP) <= wanted + slack


def test_expected_counts_agree_with_sampled_passages():
    """Passages drawn from the Normal clusters themselves: each node's share of the true top 200 is as expected."""
    random = np.random.default_rng(0)
    similarities = np.array([0.6, 0.3, 0.5, 0.1], dtype=np.float32)
    masses = np.array([300, 4000, 800, 9000], dtype=np.float32)
    spreads = np.array([0.05, 0.12, 0.08, 0.1], dtype=np.float32)
    owners = np.array([0, 0, 1, 2])
    vectors = np.zeros((4, 3), dtype=np.float32)
    vectors[:, 0] = similarities
    query = np.array([1, 0, 0], dtype=np.float32)
    expected = expected_counts(
        query, Prototypes(("a", "b", "c"), vectors, masses, spreads, owners, np.zeros(3, bool)), 200
    )
    found = np.zeros(3)
    rounds = 200
    for _ in range(rounds):
        drawn = [random.normal(s, spread, int(n)) for s, n, spread in zip(similarities, masses, spreads, strict=True)]
        nodes = np.repeat(owners, masses.astype(int))
        best = np.argpartition(-np.concatenate(drawn), 200)[:200]
        found += np.bincount(nodes[best], minlength=3)
    assert expected.sum() == pytest.approx(200, rel=0.01)
    assert expected == pytest.approx(found / rounds, abs=1.5)


def test_when_everything_is_wanted_everything_counts(describe, ours):
    """12 passages exist and 20 are wanted: the expected number is the number held."""
    collections = (describe("a", ([1, 0, 0], 5, 0.1)), describe("b", ([0, 1, 0], 7, 0.1)))
    counts = expected_counts(np.array([1, 0, 0], dtype=np.float32), stack(collections, ours, 3), 20)
    assert counts.tolist() == [5, 7]


def test_claims_are_clamped_to_what_is_possible(describe, ours):
    """Length 1, the largest spread, no more mass than passages: 300 + 100 claimed of 40 passages is 30 + 10."""
    boastful = describe("a", ([3, 4, 0], 300, 9.0), ([0.1, 0, 0], 100, 0.0), passages=40)
    stacked = stack((boastful,), ours, 3)
    assert stacked.vectors[0] == pytest.approx([0.6, 0.8, 0])
    assert stacked.vectors[1] == pytest.approx([0.1, 0, 0])
    assert stacked.masses == pytest.approx([30, 10])
    assert stacked.spreads == pytest.approx([MAXIMUM_SPREAD, MINIMUM_SPREAD])


def test_absurd_claims_do_not_overflow(describe, ours):
    """10^400 passages, spread 10^300, components of 10^38: finite counts all the same."""
    absurd = describe("a", ([3e38, -3e38, 3e38], 10**400, 1e300), passages=10**400)
    counts = expected_counts(
        np.array([1, 0, 0], dtype=np.float32), stack((absurd, describe("b", ([1, 0, 0], 5, 0.1))), ours, 3), 10
    )
    assert np.isfinite(counts).all()
    assert counts.sum() == pytest.approx(10, rel=0.01)


def test_what_cannot_be_compared_is_unknown_unless_it_is_empty(describe, ours):
    """Another encoder, no prototypes, vectors of the wrong length: unknown. No passages: known to be useless."""
    collections = (
        describe("another-encoder", ([1, 0, 0], 5, 0.1), encoder="theirs"),
        describe("empty", passages=0),
        describe("known", ([1, 0, 0], 5, 0.1)),
        describe("text-only", passages=9),
        describe("wrong-length", ([1, 0], 5, 0.1)),
    )
    stacked = stack(collections, ours, 3)
    assert dict(zip(stacked.nodes, stacked.unknown.tolist(), strict=True)) == {
        "another-encoder": True,
        "empty": False,
        "known": False,
        "text-only": True,
        "wrong-length": True,
    }
    assert len(stacked.masses) == 1
