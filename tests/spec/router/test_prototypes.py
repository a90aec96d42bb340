"""Which hospitals the `prototypes` policy asks. Two dimensions do: a query along x, collections along x or y."""

import math

import numpy as np
import pytest

from fedrag.core.protocols import RoutingLimits
from router.policies import ROUTING_POLICIES

QUERY = np.array([1, 0, 0], dtype=np.float32)
NEAR, FAR = [0.8, 0, 0], [0.1, 0.6, 0]


def route(collections, comparable_with, cap=100, passages=10, query=QUERY, **settings):
    return ROUTING_POLICIES.build("prototypes", settings).route(
        query, comparable_with, collections, RoutingLimits(maximum_nodes=cap, passages=passages)
    )


def test_the_probability_of_being_useful_is_that_of_a_poisson_count(describe, ours):
    """Two nodes with the same cluster share the 20 wanted passages: 10 each, 1 - exp(-10)."""
    decision = route([describe("a", (NEAR, 500, 0.05)), describe("b", (NEAR, 500, 0.05))], ours)
    assert [ranked.score for ranked in decision.ranking] == pytest.approx([10, 10], rel=0.01)
    assert decision.ranking[0].probability == pytest.approx(1 - math.exp(-10), abs=1e-5)


def test_only_the_hospitals_that_matter_are_asked(describe, ours):
    """One of ten holds everything near the question."""
    collections = [describe("h0", (NEAR, 100, 0.05))]
    collections += [describe(f"h{at}", (FAR, 100, 0.05)) for at in range(1, 10)]
    decision = route(collections, ours)
    assert decision.selected == ("h0",)
    assert len(decision.ranking) == 10
    assert decision.why.startswith("1 of 10 hospitals are asked")


def test_the_fewest_that_cover_the_share_are_asked(describe, ours):
    """Masses 60, 30, 9, 1 of one cluster: 90 % of what is wanted needs two, 95 % three, 99.5 % all four."""
    masses = {"a": 60, "b": 30, "c": 9, "d": 1}
    collections = [describe(node, (NEAR, 10 * mass, 0.05)) for node, mass in masses.items()]
    for coverage, nodes in ((0.85, 2), (0.95, 3), (0.995, 4)):
        decision = route(collections, ours, coverage=coverage, minimum_probability=1)
        assert decision.selected == tuple(masses)[:nodes]


def test_a_small_hospital_with_a_fair_chance_is_not_dropped_for_its_small_share(describe, ours):
    """One passage, as near as the 200 of the other: a share of 0.5 %, yet 1 - exp(-0.0995) = 9.5 % likely to matter."""
    collections = [describe("large", (NEAR, 200, 0.05)), describe("small", (NEAR, 1, 0.05))]
    assert route(collections, ours, minimum_probability=0.09).selected == ("large", "small")
    assert route(collections, ours, minimum_probability=0.10).selected == ("large",)


def test_everyone_is_asked_when_nothing_stands_out(describe, ours):
    """Thirty equal collections: leaving one out would lose a thirtieth of the passages."""
    collections = [describe(f"h{at:02}", (FAR, 50, 0.1)) for at in range(30)]
    decision = route(collections, ours)
    assert len(decision.selected) == 30
    assert decision.why == "Nothing lets a hospital be left out: all 30 are asked."


def test_the_cap_is_hard_and_said(describe, ours):
    """The best seven of thirty, in order."""
    collections = [describe(f"h{at:02}", (FAR, 50 + at, 0.1)) for at in range(30)]
    decision = route(collections, ours, cap=7)
    assert decision.selected == tuple(f"h{at}" for at in range(29, 22, -1))
    assert "as many as the cap allows of" in decision.why


def test_a_hospital_that_cannot_be_compared_counts_with_the_prior(describe, ours):
    """It ranks behind a sure hit and before a sure miss, is asked, and the decision says how many there were."""
    collections = [
        describe("hit", (NEAR, 100, 0.05)),
        describe("miss", (FAR, 100, 0.05)),
        describe("text", passages=100),
    ]
    decision = route(collections, ours, prior=0.3)
    assert [ranked.node for ranked in decision.ranking] == ["hit", "text", "miss"]
    assert decision.ranking[1].probability == pytest.approx(0.3)
    assert decision.selected == ("hit", "text")
    assert decision.why.endswith("; 1 cannot be compared and count with a prior.")


def test_under_the_cap_unknown_hospitals_keep_a_place_and_take_turns(describe, ours):
    """Twelve comparable hospitals could fill the cap of five by themselves; each of four unknown ones gets its turn."""
    collections = [describe(f"k{at:02}", (NEAR, 100, 0.05)) for at in range(12)]
    collections += [describe(f"u{at}", passages=50) for at in range(4)]
    random = np.random.default_rng(0)
    asked = []
    for _ in range(60):
        query = np.append([1.0], random.normal(scale=0.01, size=2)).astype(np.float32)
        decision = route(collections, ours, cap=5, query=query / np.linalg.norm(query))
        assert len(decision.selected) == 5
        unknown = [node for node in decision.selected if node.startswith("u")]
        assert len(unknown) == 1
        asked += unknown
    assert set(asked) == {"u0", "u1", "u2", "u3"}


def test_two_collections_of_a_hospital_add_up(describe, ours):
    """Half the cluster in each of two collections ranks like the whole in one."""
    collections = [
        describe("one", (NEAR, 200, 0.05)),
        describe("two", (NEAR, 100, 0.05), collection="x"),
        describe("two", (NEAR, 100, 0.05), collection="y"),
    ]
    scores = {ranked.node: ranked.score for ranked in route(collections, ours).ranking}
    assert scores["one"] == pytest.approx(scores["two"], rel=1e-5)


def test_the_policy_follows_the_collections_it_is_given(describe, ours):
    """One policy object, asked about two different federations: nothing of the first is left in the second."""
    policy = ROUTING_POLICIES.build("prototypes", {})
    limits = RoutingLimits(maximum_nodes=5, passages=5)
    assert policy.route(QUERY, ours, [describe("a", (NEAR, 9, 0.1))], limits).selected == ("a",)
    assert policy.route(QUERY, ours, [describe("b", (NEAR, 9, 0.1))], limits).selected == ("b",)
    assert policy.route(QUERY, "another encoder", [describe("b", (NEAR, 9, 0.1))], limits).ranking[0].probability < 0.5
