"""Mean token entropy by hand, and the fit that heads and votes are made by against its own definition."""

import math

import numpy as np
import pytest

from reasoner.chat import TokenProbability
from reasoner.training.maximum_posterior import Decision, fit
from reasoner.uncertainty import mean_token_entropy


def token(*probabilities: float) -> TokenProbability:
    """The first was written; all of them are listed."""
    listed = tuple((f"t{at}", math.log(one)) for at, one in enumerate(probabilities))
    return TokenProbability("t0", math.log(probabilities[0]), listed)


def test_entropy_counts_what_is_not_listed_as_one_more_token() -> None:
    """Halves: ln 2. One half listed alone: ln 2 as well, the other half is the rest. A certain token: 0."""
    assert mean_token_entropy([token(0.5, 0.5)]) == pytest.approx(math.log(2), abs=1e-9)
    assert mean_token_entropy([token(0.5)]) == pytest.approx(math.log(2), abs=1e-9)
    assert mean_token_entropy([token(1.0)]) == pytest.approx(0.0, abs=1e-9)
    assert mean_token_entropy([token(0.5), token(1.0)]) == pytest.approx(math.log(2) / 2, abs=1e-9)
    assert mean_token_entropy([]) is None


def test_a_token_that_is_listed_twice_counts_once() -> None:
    """Servers list the written token among its alternatives, or leave it out: the same entropy."""
    apart = TokenProbability("t0", math.log(0.75), (("t1", math.log(0.25)),))
    assert mean_token_entropy([apart]) == pytest.approx(mean_token_entropy([token(0.75, 0.25)]), abs=1e-12)


def test_the_fit_is_the_minimum_of_what_it_says_it_minimises() -> None:
    """Decisions of two and of three alternatives, a prior that pulls: no small step in any direction lowers the loss,
    written out once more here."""
    drawn = np.random.default_rng(2)
    decisions = [Decision(drawn.normal(size=(2 + at % 2, 3)), int(drawn.integers(2))) for at in range(40)]
    mean, deviation = np.array([1.0, -1.0, 0.0]), np.array([0.2, 1.0, 3.0])

    def loss(theta: np.ndarray) -> float:
        total = float(np.sum(((theta - mean) / deviation) ** 2)) / 2
        for one in decisions:
            logits = one.rows @ theta
            total += math.log(np.exp(logits).sum()) - logits[one.right]
        return total

    found = fit(decisions, mean, deviation)
    steps = [sign * 1e-3 * unit for unit in np.eye(3) for sign in (-1, 1)]
    assert all(loss(found) < loss(found + step) for step in steps)
    assert np.array_equal(fit([], mean, deviation), mean)
