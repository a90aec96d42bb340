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
def test_topics_of_the_least_size_are_found_whole(topics):
    """Tight orthogonal topics of as many passages as a prototype must have: one each, at the topic's mean."""
    vectors = planted(topics, 30)
    found = prototypes(vectors, 30, 64)
    assert [prototype.mass for prototype in found] == [30] * topics
    means = vectors.reshape(topics, 30, -1).mean(axis=1)
    centres = np.stack([decode_vector(prototype.vector) for prototype in found])
    assert np.abs(centres @ means.T).max(axis=0) == pytest.approx(np.square(means).sum(axis=1), abs=1e-3)


@pytest.mark.parametrize(("each", "maximum"), [(16, 64), (32, 64), (300, 16)])
def test_no_prototype_mixes_topics(each, maximum):
    """Whichever bound binds: every prototype lies at one topic, and those at a topic have its passages together."""
    vectors = planted(4, each)
    found = prototypes(vectors, 5, maximum)
    topics = vectors.reshape(4, each, -1).mean(axis=1)
    similar = np.stack([decode_vector(prototype.vector) for prototype in found]) @ topics.T
    assert (np.sort(similar, axis=1)[:, -2] < 0.1).all()
    assert (similar.max(axis=1) > 0.9).all()
    masses = np.array([prototype.mass for prototype in found])
    assert [int(masses[similar.argmax(axis=1) == topic].sum()) for topic in range(4)] == [each] * 4


def test_as_many_as_the_bounds_allow():
    """Without any topics: groups of eight, the last with what is left; many passages are nearly as many clusters as
    there may be."""
    vectors = planted(1, 100, noise=1.0)
    assert [prototype.mass for prototype in prototypes(vectors, 5, 64)] == [12] + [8] * 11
    assert len(prototypes(vectors[:10], 5, 64)) == 1
    assert 6 <= len(prototypes(vectors, 5, 8)) <= 8


def test_neighbours_are_grouped():
    """Eights of near-equal passages are the groups, whatever the order they came in."""
    passages = planted(12, 8, noise=0.05, seed=5)
    order = np.random.default_rng(2).permutation(len(passages))
    found = prototypes(passages[order], 5, 64)
    centres = np.stack([decode_vector(prototype.vector) for prototype in found])
    means = passages.reshape(12, 8, -1).mean(axis=1)
    np.testing.assert_allclose(np.sort((centres @ means.T).argmax(axis=1)), np.arange(12))


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
    (found,) = prototypes(planted(1, 1).repeat(10, axis=0), 10, 8)
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
