"""Learning from outcomes. Oracle: posteriors by pencil, and a planted reliability that has to be found again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.reliability import LARGEST_TALLY, PRIOR, UNKNOWN, Part, Tally, posterior, proved_right
from aggregator.weights import claims_of, source_weights, trusted
from fedrag.core.answer import Reliability

DAY = 86_400.0


def part(*, cited=(), passages=None, vote=None) -> Part:
    return Part(frozenset(cited if passages is None else passages), frozenset(cited), vote)


@pytest.mark.parametrize(
    ("choice", "right", "helpful", "expected"),
    [
        ("A", True, (), {"agreed": True, "differed": False, "cited": True}),
        ("A", False, (), {"agreed": False, "cited": False}),  # what differed may be right or wrong too
        ("A", None, (), {}),
        ("A", True, (1,), {"agreed": True, "differed": False, "cited": False}),
        ("A", None, (1, 4), {"agreed": True, "differed": False, "cited": False, "spare": True}),
        ("A", False, (2,), {"agreed": False, "differed": True, "cited": False}),
        (None, True, (), {"agreed": True, "differed": True, "cited": True}),  # no choice, so votes say nothing
        (None, False, (3,), {"agreed": False, "differed": False, "cited": True}),
    ],
)
def test_what_a_verdict_says_of_each_source(choice, right, helpful, expected):
    """One that would have chosen the same, one that would have chosen otherwise, one cited, one with a passage that no
    step cites; passages 1 to 4."""
    parts = {
        "agreed": part(cited=[1], vote="A"),
        "differed": part(cited=[2], vote="B"),
        "cited": part(cited=[3]),
        "spare": part(passages=[4]),
    }
    assert proved_right(parts, choice, right, frozenset(helpful)) == expected


def test_the_posterior_is_beta_with_five_and_five():
    """Three right, one wrong: (5 + 3) / (10 + 4)."""
    assert posterior([]) == UNKNOWN == Reliability(mean=0.5, outcomes=0)
    assert posterior([Tally(2.0, 0.5, 3), Tally(1.0, 0.5, 2)]) == Reliability(mean=8 / 14, outcomes=5)


@given(
    votes=st.lists(st.tuples(st.booleans(), st.floats(0.001, 1)), max_size=300),
    others=st.tuples(st.floats(0, 300), st.floats(0, 300)),
)
def test_one_asker_moves_a_source_no_further_than_the_bound(votes, others):
    """However often it says so: less than 10 / (20 + m), m being the weight of what others said."""
    said = Tally()
    for right, weight in votes:
        said = said.with_outcome(right, weight)
    rest = [Tally(share, 0.0) for share in _tallies(others[0])] + [Tally(0.0, share) for share in _tallies(others[1])]
    moved = abs(posterior([*rest, said]).mean - posterior(rest).mean)
    assert moved < LARGEST_TALLY / (PRIOR.weight + LARGEST_TALLY + sum(others)) + 1e-9
    if not rest:
        assert 1 / 4 - 1e-9 <= posterior([said]).mean <= 3 / 4 + 1e-9


def _tallies(weight):
    """As many askers as it takes that none is above its bound."""
    whole = int(weight // LARGEST_TALLY)
    return [LARGEST_TALLY] * whole + [weight - whole * LARGEST_TALLY]


def test_older_outcomes_count_less():
    """Half after a half-life, a quarter after two; their number stays; never with an infinite half-life."""
    then = Tally(4.0, 2.0, 9, at_s=0.0)
    assert then.faded(30 * DAY, 30 * DAY) == Tally(2.0, 1.0, 9, 30 * DAY)
    assert then.faded(60 * DAY, 30 * DAY) == Tally(1.0, 0.5, 9, 60 * DAY)
    assert then.faded(60 * DAY, float("inf")) == Tally(4.0, 2.0, 9, 60 * DAY)
    assert then.faded(-5.0, DAY).right == 4.0  # a clock put back makes nothing weigh more


@given(weight=st.floats(0.001, 1), right=st.booleans())
def test_an_outcome_taken_back_leaves_no_trace(weight, right):
    """As it was, but for rounding."""
    before = Tally(1.5, 2.5, 7)
    after = before.with_outcome(right, weight).without_outcome(right, weight)
    assert (after.right, after.wrong) == pytest.approx((before.right, before.wrong))
    assert after.outcomes == before.outcomes
    assert Tally().without_outcome(right, weight) == Tally()


def test_without_outcomes_the_weights_are_those_of_the_claims_to_the_bit():
    """Unknown sources and those at the prior's mean alike."""
    claims = {"a": 0.7000000001, "b": 1.3, "c": 0.1, "d": 0.0, "e": 3.9}
    assert trusted(claims, {}) == claims
    assert trusted(claims, dict.fromkeys(claims, UNKNOWN)) == claims
    assert source_weights(claims, dict.fromkeys(claims, UNKNOWN)) == source_weights(claims)


def test_reliability_multiplies_claims_under_the_cap():
    """1 at 3/4 and 1 at 1/4 of four equal claims: 1.5, 0.5, 1, 1 of 4; nobody above a third."""
    learned = {"a": Reliability(mean=0.75, outcomes=9), "b": Reliability(mean=0.25, outcomes=9)}
    equal = dict.fromkeys("abcd", 1.0)
    expected = {"a": 1 / 3, "b": 1 / 3 * 0.4, "c": 1 / 3 * 0.8, "d": 1 / 3 * 0.8}  # 1.5/4 is capped; 2/3 by 1 : 2 : 2
    assert source_weights(equal, learned) == pytest.approx(expected)


def test_claims_are_sums_of_probabilities():
    """Per hospital."""
    assert claims_of([("a", 0.5), ("b", 0.25), ("a", 0.125)]) == {"a": 0.625, "b": 0.25}
