"""Shares of what a question is like. Oracles: the kernels written out in plain Python; a catalogue read whole."""

import math

import numpy as np
import pytest

from fedrag.core.wire import decode_vector
from router.expectation import Prototypes, stack
from router.groups import weighted_k_means
from router.likeness import GROUPED_FROM, Likeness

QUERY = np.array([0.6, 0.8, 0], dtype=np.float32)


def test_a_share_is_the_posterior_of_the_kernels(describe, ours):
    """Three prototypes of two hospitals, by n exp(-‖q - μ‖² / 2σ²) summed and divided by hand."""
    collections = (
        describe("a", ([0.5, 0.7, 0], 30, 0.1), ([0, 0, 0.9], 500, 0.1)),
        describe("b", ([0.3, 0.8, 0.2], 10, 0.1)),
    )
    likelihood = {
        one.node: sum(
            each.mass * math.exp(-float(np.sum((QUERY - decode_vector(each.vector)) ** 2)) / (2 * 0.03))
            for each in one.prototypes
        )
        for one in collections
    }
    expected = [likelihood[node] / sum(likelihood.values()) for node in ("a", "b")]
    assert Likeness.of(stack(collections, ours, 3), 0.03).read(QUERY, 0.03).shares == pytest.approx(expected, rel=1e-4)


def test_no_prototypes_are_no_shares(describe, ours):
    """Words alone tell nothing here."""
    stacked = stack((describe("a", passages=5), describe("b", passages=5)), ours, 3)
    assert Likeness.of(stacked, 0.03).read(QUERY, 0.03).shares.tolist() == [0, 0]


def test_reading_the_nearest_groups_alone_loses_next_to_nothing():
    """6,000 prototypes about 60 topics: for 40 questions, half of them between two topics, the shares differ by less
    than a hundredth from those of all prototypes together."""
    random = np.random.default_rng(0)

    def near(centres, cosine):
        noise = random.standard_normal(centres.shape)
        made = cosine * centres + math.sqrt(1 - cosine**2) * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    topics = near(np.zeros((60, 128)), 0.0)
    about = random.integers(60, size=6000)
    assert len(about) > GROUPED_FROM
    vectors = 0.85 * near(topics[about], 0.8)
    prototypes = Prototypes(
        nodes=tuple(f"n{at}" for at in range(200)),
        vectors=vectors,
        masses=np.full(6000, 20, dtype=np.float32),
        spreads=np.full(6000, 0.1, dtype=np.float32),
        owners=random.integers(200, size=6000),
        unknown=np.zeros(200, dtype=bool),
    )
    likeness = Likeness.of(prototypes, 0.03)
    assert len(likeness.centres) > 20
    between = topics[random.integers(60, size=20)] + topics[random.integers(60, size=20)]
    between = (between / np.linalg.norm(between, axis=1, keepdims=True)).astype(np.float32)
    for query in np.concatenate([near(topics[random.integers(60, size=20)], 0.8), between]):
        logs = np.log(20) - np.sum((query - vectors) ** 2, axis=1) / (2 * 0.03)
        exact = np.bincount(prototypes.owners, weights=np.exp(logs - logs.max()), minlength=200)
        assert np.abs(likeness.read(query, 0.03).shares - exact / exact.sum()).max() < 0.01


def test_groups_are_means_of_directions_weighted_by_counts():
    """Two directions of three vectors each: centres at the weighted means; a vector without length counts for
    nothing."""
    rows = np.array([[1, 0.1], [1, -0.1], [1, 0], [0.1, 1], [-0.1, 1], [0, 0]], dtype=np.float32)
    centres = weighted_k_means(rows, np.array([3.0, 1, 1, 1, 1, 100]), 2)
    made = sorted(centres.tolist())
    units = rows[:5] / np.linalg.norm(rows[:5], axis=1, keepdims=True)
    right = (np.array([3, 1, 1])[:, None] * units[:3]).sum(axis=0)
    assert made[0] == pytest.approx([0, 1], abs=1e-6)
    assert made[1] == pytest.approx((right / np.linalg.norm(right)).tolist(), abs=1e-6)


def test_there_are_never_more_groups_than_vectors():
    """Nor any of none."""
    assert weighted_k_means(np.eye(2, dtype=np.float32), np.ones(2), 9).shape == (2, 2)
    assert weighted_k_means(np.zeros((3, 2), dtype=np.float32), np.ones(3), 9).shape == (0, 2)


def test_what_is_told_apart_is_the_share_a_member_has_at_home(describe, ours):
    """Two hospitals of one prototype each, by hand: a member of the first lies, without itself, at
    (n ‖μ‖² - 1) / (n - 1) of its own mean, and at μ · μ' of the other."""
    collections = (describe("a", ([0.8, 0, 0], 30, 0.1)), describe("b", ([0.5, 0.5, 0], 10, 0.1)))
    stacked = stack(collections, ours, 3)
    (mine, other), (n, m) = stacked.vectors.astype(float), stacked.masses.astype(float)
    own = 29 * math.exp(((n * mine @ mine - 1) / (n - 1) - mine @ mine / 2) / 0.03)
    away = m * math.exp((mine @ other - other @ other / 2) / 0.03)
    likeness = Likeness.of(stacked, 0.03)
    assert likeness.told[0] == pytest.approx(math.log(own / (own + away) / 0.75), rel=1e-3)
    assert likeness.untold.tolist() == pytest.approx([math.log(4 / 3), math.log(4)])


def test_hospitals_with_topics_are_told_apart_and_hospitals_by_lot_are_not():
    """Thirty topics: each at one of six hospitals, or every passage anywhere. The groups are the passages' own."""
    random = np.random.default_rng(3)
    topics = random.standard_normal((30, 64))
    about = np.repeat(np.arange(30), 120)
    passages = topics[about] / 8 + random.standard_normal((3600, 64)) / 8
    passages /= np.linalg.norm(passages, axis=1, keepdims=True)
    telling = {}
    for name, owners in {"topics": about % 6, "lot": random.integers(6, size=3600)}.items():
        groups = [np.flatnonzero((owners == node) & (about == topic)) for node in range(6) for topic in range(30)]
        groups = [rows for rows in groups if len(rows) > 4]
        prototypes = Prototypes(
            nodes=tuple(f"n{at}" for at in range(6)),
            vectors=np.array([passages[rows].mean(axis=0) for rows in groups], dtype=np.float32),
            masses=np.array([len(rows) for rows in groups], dtype=np.float32),
            spreads=np.full(len(groups), 0.1, dtype=np.float32),
            owners=np.array([owners[rows[0]] for rows in groups], dtype=np.int64),
            unknown=np.zeros(6, dtype=bool),
        )
        likeness = Likeness.of(prototypes, 0.03)
        questions = passages[random.integers(3600, size=50)].astype(np.float32)
        telling[name] = [likeness.read(question, 0.03).telling for question in questions]
    assert min(telling["topics"]) > 0.8
    assert max(telling["lot"]) < 0.2


def test_groups_are_kept_while_few_prototypes_are_new():
    """Of 5,000: after 100 new ones the same centres, after 2,000 others."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((5000, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ones = np.ones(5000, dtype=np.float32)
    nodes = tuple(f"n{at:03}" for at in range(100))
    prototypes = Prototypes(nodes, vectors, 9 * ones, 0.1 * ones, np.arange(5000) % 100, np.zeros(100, dtype=bool))
    first = Likeness.of(prototypes, 0.03)
    assert Likeness.of(prototypes, 0.03, first, 100).centres is first.centres
    assert Likeness.of(prototypes, 0.03, first, 2000).centres is not first.centres
