"""Prototypes: how many, how heavy, how wide, against planted clusters and closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from fedrag.core.wire import decode_vector
from retriever_node.blas import one_blas_thread
from retriever_node.prototypes import prototypes


def planted(topics: int, each: int, noise: float = 0.1, dimension: int = 64, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.linalg.qr(random.normal(size=(dimension, topics)))[0].T
    vectors = np.repeat(centres, each, axis=0) + noise * random.normal(size=(topics * each, dimension)) / 8
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("topics", [1, 2, 4, 8, 16, 32])
def test_number_grows_with_diversity(topics):
    """Tight orthogonal topics: one prototype each, at the topic's mean, with its mass."""
    vectors = planted(topics, 30)
    found = prototypes(vectors, 5, 64)
    assert [prototype.mass for prototype in found] == [30] * topics
    means = vectors.reshape(topics, 30, -1).mean(axis=1)
    centres = np.stack([decode_vector(prototype.vector) for prototype in found])
    assert np.abs(centres @ means.T).max(axis=0) == pytest.approx(np.square(means).sum(axis=1), abs=1e-3)


def test_more_copies_are_not_more_diverse():
    """Ten times the passages of the same three topics: as many prototypes, ten times the mass."""
    small, large = (prototypes(planted(4, each, seed=3), 5, 64) for each in (20, 200))
    assert len(small) == len(large) == 4
    assert {prototype.mass for prototype in large} == {200}


def test_noise_alone_does_not_ask_for_more():
    """Isotropic noise around one topic in many dimensions has no clusters to find."""
    assert len(prototypes(planted(1, 2000, noise=1.0, dimension=256), 5, 64)) == 1


def anisotropic(members: int, seed: int) -> tuple[np.ndarray, float]:
    """Draws from a known covariance in 64 dimensions, and its sqrt(‖C‖²_F / tr C)."""
    deviations = np.array([0.2] * 4 + [0.02] * 60)
    drawn = np.random.default_rng(seed).normal(size=(members, 64)) * deviations
    return drawn.astype(np.float32), math.sqrt(np.sum(deviations**4) / np.sum(deviations**2))


def test_spread_of_many_members_is_that_of_the_covariance():
    """With thousands of members the estimate is the true value of the covariance they were drawn from."""
    vectors, truth = anisotropic(5_000, seed=1)
    (found,) = prototypes(vectors, 5, 1)
    assert found.spread == pytest.approx(truth, rel=0.02)
    np.testing.assert_allclose(decode_vector(found.vector), vectors.mean(axis=0), atol=1e-6)


def test_spread_of_few_members_is_near_on_average():
    """Ten members, many times over: the squared estimates average to within a third of the truth; plain ones do not."""
    drawn = [anisotropic(10, seed) for seed in range(300)]
    found = [prototypes(vectors, 5, 1)[0].spread for vectors, _ in drawn]
    truth = drawn[0][1]
    plain = []
    for vectors, _ in drawn:
        covariance = np.cov(vectors.astype(np.float64).T, bias=True)
        plain.append(np.sum(covariance**2) / np.trace(covariance))
    assert np.mean(np.square(found)) == pytest.approx(truth**2, rel=1 / 3)
    assert np.mean(plain) > 4 / 3 * truth**2


def test_spread_along_one_direction_by_hand():
    """Members at 0.6 and 0.8 along one axis: the standard deviation along it is 0.1."""
    vectors = np.zeros((1000, 4), dtype=np.float32)
    vectors[:, 0], vectors[:500, 1], vectors[500:, 1] = 0.5, 0.6, 0.8
    (found,) = prototypes(vectors, 5, 1)
    assert found.spread == pytest.approx(0.1, rel=1e-3)


def test_equal_members_have_no_spread():
    """Ten equal vectors: spread 0, the vector itself."""
    (found,) = prototypes(planted(1, 1).repeat(10, axis=0), 5, 8)
    assert found.spread == 0


def test_too_small_a_collection_says_nothing():
    """Below the minimum of members there is no prototype at all."""
    assert prototypes(planted(1, 4), 5, 64) == ()
    assert prototypes(np.empty((0, 8), dtype=np.float32), 5, 64) == ()


def test_small_clusters_are_joined():
    """Three stray passages far from everything do not become a prototype of three, and no topic is lost for them."""
    topics = planted(4, 30, seed=1)
    found = prototypes(np.concatenate([topics, planted(1, 3, seed=7)]), 5, 64)
    assert min(prototype.mass for prototype in found) >= 5
    assert sum(prototype.mass for prototype in found) == 123
    centres = np.stack([decode_vector(prototype.vector) for prototype in found])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    assert (topics @ centres.T).max(axis=1).min() > 0.9


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(1, 120), minimum=st.integers(1, 12), maximum=st.integers(1, 40), seed=st.integers(0, 99))
def test_bounds_hold_for_any_collection(rows, minimum, maximum, seed):
    """At most `maximum`, each of at least `minimum` members, masses adding up, largest first, the same twice."""
    random = np.random.default_rng(seed)
    points = random.integers(-1, 2, size=(rows, 3)) + np.array([2, 0, 0])
    vectors = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    found = prototypes(vectors, minimum, maximum)
    assert found == prototypes(vectors, minimum, maximum)
    if rows < minimum:
        assert found == ()
        return
    masses = [prototype.mass for prototype in found]
    assert 1 <= len(found) <= maximum
    assert sum(masses) == rows
    assert min(masses) >= minimum
    assert masses == sorted(masses, reverse=True)
    assert all(np.linalg.norm(decode_vector(prototype.vector)) <= 1 + 1e-6 for prototype in found)


def test_threads_of_the_linear_algebra_do_not_change_a_prototype():
    """Oracle: one thread. The same bytes where the process would use two, and its two are back afterwards."""
    vectors = planted(8, 100, noise=1.0)

    def blas() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(limits=1, user_api="blas"):
        alone = prototypes(vectors)
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas()
        with one_blas_thread():
            assert blas() == {1}
        assert prototypes(vectors) == alone
        assert blas() == before
