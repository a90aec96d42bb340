"""What noisy numbers say: intervals hold as often as they claim, floors included, and nothing is below zero."""

from itertools import pairwise

import numpy as np
import pytest

from fedrag.populations import estimates
from retriever_node.populations import SENSITIVITY, floored


@pytest.mark.parametrize("floor", [5, 11, 40])
def test_a_floored_count_never_jumps(floor) -> None:
    """Nothing below the floor, all from five times the floor's patients on, never more than there are, and one patient
    more is five quarters more at most: what the noise is made for."""
    counts = [floored(patients, floor) for patients in range(1000)]
    assert counts[:floor] == [0] * floor
    assert all(0 <= after - before <= SENSITIVITY for before, after in pairwise(counts))
    assert all(one <= 4 * patients for patients, one in enumerate(counts))
    assert counts[5 * (floor - 1) :] == [4 * patients for patients in range(5 * (floor - 1), 1000)]
    hidden = max(patients - one / 4 for patients, one in enumerate(counts))
    assert hidden == floor - 1


@pytest.mark.parametrize("sizes", [(400, 300, 60), (3, 200, 9), (0, 0, 0), (11, 12, 13), (10, 10, 10)])
def test_the_true_number_lies_in_the_interval(sizes) -> None:
    """At least 95 of 100 times, whatever the floors hide."""
    generator, sigma, floor = np.random.default_rng(3), 5.66, 11
    inside = 0
    for _ in range(2000):
        noisy = sum(floored(one, floor) / 4 + generator.normal(0, sigma) for one in sizes)
        patients, _, _ = estimates((noisy,), sigma * 3**0.5, 3 * (floor - 1))
        inside += patients.low <= sum(sizes) <= patients.high
    assert inside / 2000 >= 0.95 - 0.01


@pytest.mark.parametrize(
    ("both", "only"),
    [
        ((300, 250, 200), (100, 90, 40)),
        ((60, 5, 12), (60, 80, 9)),
        ((0, 3, 2), (200, 200, 200)),
        ((900, 800, 700), (10, 10, 10)),
        ((10, 10, 10), (900, 800, 700)),
    ],
)
def test_the_true_share_lies_in_its_interval(both, only) -> None:
    """Also where floors hide some of the one and none of the other."""
    generator, sigma, floor = np.random.default_rng(4), 5.66, 11
    truth = sum(both) / (sum(both) + sum(only))
    inside = 0
    for _ in range(1000):
        a, b = (sum(floored(one, floor) / 4 + generator.normal(0, sigma) for one in sizes) for sizes in (both, only))
        _, _, share = estimates((a, b), sigma * 3**0.5, 3 * (floor - 1))
        assert share is not None
        assert 0 <= share.low <= share.value <= share.high <= 1
        inside += share.low <= truth <= share.high
    assert inside / 1000 >= 0.94


def test_large_numbers_are_told_closely() -> None:
    """By hand: sums, standard deviation 10, twice that of two cells by √2, floors beside it."""
    patients, with_also, share = estimates((3000.0, 1000.0), 10.0, 30)
    assert (with_also.value, with_also.low, with_also.high, with_also.hidden) == (3000, 2980, 3050, 30)
    assert (patients.value, patients.low, patients.high, patients.hidden) == (4000, 3972, 4088, 60)
    assert share.value == 0.75
    assert 0.73 < share.low < 0.75 < share.high < 0.77


def test_nothing_is_below_zero() -> None:
    """Noise may be; a number of patients is not. Where there may be nobody at all there is no share."""
    patients, with_also, share = estimates((-20.0, 4.0), 10.0, 30)
    assert (patients.value, patients.low, with_also.value, with_also.low, share) == (0, 0, 0, 0, None)
    assert patients.high >= 60
