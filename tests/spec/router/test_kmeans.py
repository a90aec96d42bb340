"""Whom the `kmeans` policy asks: descriptions by cell, then who helped there. Oracle: the formula by hand."""

import numpy as np
import pytest

from fedrag.core.protocols import RoutingLimits
from router.learning import Learned, Outcome
from router.policies.kmeans import KMeansRouting, Settings

EAST, NORTH = [1, 0, 0], [0, 1, 0]
QUERY = np.array(EAST, dtype=np.float32)
LIMITS = RoutingLimits(100, 10)


def beginning(ours):
    return Learned.beginning(ours, np.array([EAST, NORTH], dtype=np.float32), np.ones(2))


def probabilities(policy, collections, ours, query=QUERY):
    return {one.node: one.probability for one in policy.route(query, ours, collections, LIMITS).ranking}


def test_before_it_has_learned_it_goes_by_what_lies_in_the_cell(describe, ours):
    """In the eastern cell a holds 30 of 40 passages, b 10; the northern one is far away."""
    collections = [describe("a", (EAST, 30, 0.1)), describe("b", (EAST, 10, 0.1)), describe("c", (NORTH, 90, 0.1))]
    policy = KMeansRouting(Settings(), beginning(ours))
    assert probabilities(policy, collections, ours) == pytest.approx({"a": 0.75, "b": 0.25, "c": 0}, abs=1e-3)


def test_counts_take_over_as_they_come(describe, ours):
    """a, asked 10 times to the east, never helped; b always did: (useful + s d) / (asked + s) with s = 2, where a
    question counts half in each of the two cells."""
    collections = [describe("a", (EAST, 30, 0.1)), describe("b", (EAST, 10, 0.1))]
    learned = beginning(ours)
    for _ in range(10):
        learned = learned.after(Outcome(QUERY, {"a": 0.5, "b": 0.5}, {"b": 1.0}))
    made = probabilities(KMeansRouting(Settings(strength=2), learned), collections, ours)
    assert made == pytest.approx({"a": (0 + 2 * 0.75) / (5 + 2), "b": (5 + 2 * 0.25) / (5 + 2)}, abs=1e-3)


def test_a_hospital_that_comes_needs_no_training(describe, ours):
    """It has no counts, and starts from its description."""
    learned = beginning(ours).after(Outcome(QUERY, {"a": 0.5}, {"a": 1.0}))
    collections = [describe("a", (EAST, 10, 0.1)), describe("new", (EAST, 30, 0.1))]
    assert probabilities(KMeansRouting(Settings(), learned), collections, ours)["new"] == pytest.approx(0.75, abs=1e-3)
