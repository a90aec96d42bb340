"""Budget policies: what they give for the next sub-question, and that learning finds what is best."""

import numpy as np
import pytest

from fedrag.core.errors import ConfigError
from reasoner.budgets import BUDGET_POLICIES, LEVELS, TurnState
from reasoner.budgets.learned import WIDTH, Learned, features, load
from reasoner.difficulty import difficulty
from reasoner.training.episodes import LAMBDA, TURNS, Episodes, Play, Recorded, Solver, levels
from reasoner.training.fit_budgets import Schedule, fit_budgets


@pytest.mark.parametrize("name", BUDGET_POLICIES.names)
def test_every_policy_gives_a_level_or_none_in_every_state(name) -> None:
    """Whatever is left, even nothing or no cap at all; the same state gives the same."""
    policy = BUDGET_POLICIES.build(name)
    for left in (0.0, 100.0, 5_000.0, float("inf")):
        for difficulties in ((0.0,), (1.0, 0.0), (0.5,) * 6):
            for uncertainty in (None, 0.0, 1.0):
                state = TurnState(left, 10_000.0, 0, difficulties, uncertainty)
                assert policy.allot(state) in (None, *LEVELS)
                assert policy.allot(state) == policy.allot(state)


def test_static_shares_what_is_left_equally() -> None:
    """6,000 over four turns is 1,500 each: the level below; a set level is given whatever is left."""
    state = TurnState(6_000.0, 16_000.0, 0, (0.5,) * 4)
    assert BUDGET_POLICIES.build("static").allot(state) == 1024
    assert BUDGET_POLICIES.build("static", {"tokens": 512}).allot(state) == 512
    with pytest.raises(ConfigError):
        BUDGET_POLICIES.build("static", {"tokens": 500})


def test_a_judge_gives_more_to_what_looks_harder() -> None:
    """From the least to the most, in equal steps."""
    judge = BUDGET_POLICIES.build("judge", {"least": 512, "most": 2048})
    given = [judge.allot(TurnState(1.0, 1.0, 0, (hard,))) for hard in (0.0, 0.3, 0.4, 0.6, 0.7, 1.0)]
    assert given == [512, 512, 1024, 1024, 2048, 2048]
    with pytest.raises(ConfigError):
        BUDGET_POLICIES.build("judge", {"least": 2048, "most": 512})


def test_a_longer_question_looks_harder() -> None:
    """In [0, 1], rising with its words; the median question of the recorded ones in the middle."""
    looks = [difficulty("word " * count) for count in (1, 5, 18, 60, 300)]
    assert looks == sorted(looks)
    assert looks[2] == pytest.approx(0.5, abs=0.05)


def recorded(needed: list[float], looks: list[float]) -> Recorded:
    return Recorded(np.array(needed), np.ones(len(needed), bool), np.array(looks))


def test_an_episode_is_worth_what_was_right_less_what_was_too_much() -> None:
    """Two sub-questions that need 200 and 900: given 256 and 512 the second is cut off; 768 of 600 is 168 too much."""
    one = Episodes(np.array([[0, 1] + [0] * (TURNS - 2)]), np.array([2]), np.array([600.0]))
    of = recorded([200, 900], [0.1, 0.9])
    play = Play(of, one, Solver.EXACT, planned=True, hard=False)
    left, looks, rest, _ = play.state()
    assert (left[0], looks[0], rest[0]) == (300, 0.1, 0.9)
    for level in (0, 1):
        play.answer(levels(np.array([level])))
    assert play.accuracy[0] == 0.5
    assert play.reward()[0] == pytest.approx(0.5 - LAMBDA * 168)
    stops = Play(of, one, Solver.STOPPING, planned=True, hard=True)
    for level in (0, 4):
        stops.answer(levels(np.array([level])))
    assert stops.spent[0] == 600


def test_learning_finds_what_each_question_needs() -> None:
    """Easy ones need 200 tokens and hard ones 1,900, and how hard they look says which: that is what they are given,
    while there is enough for all."""
    of = recorded([200.0] * 50 + [1_900.0] * 50, [0.1] * 50 + [0.9] * 50)
    weights = fit_budgets(of, Solver.EXACT, planned=True, seed=0, schedule=Schedule(steps=150))
    policy = Learned(weights)
    mixed = (0.9, 0.1, 0.1)
    assert policy.allot(TurnState(5_000.0, 5_000.0, 0, mixed)) == 2048
    assert policy.allot(TurnState(3_000.0, 5_000.0, 1, (0.1, 0.9), 0.25)) == 256
    assert np.array_equal(weights, fit_budgets(of, Solver.EXACT, planned=True, seed=0, schedule=Schedule(steps=150)))


def test_what_is_shipped_fits_its_features() -> None:
    """One weight for each feature and level; finite, and not to be written to."""
    weights = load()
    assert weights.shape == (WIDTH, len(LEVELS))
    assert np.isfinite(weights).all()
    assert not weights.flags.writeable
    seen = features(np.array([0.0, 1e9]), np.array([0.0, 1.0]), np.array([np.nan, 0.5]), np.array([np.nan, 1.0]))
    assert (seen.sum(axis=1) == 6).all()
