"""What outcomes teach. Oracles: ratios worked out by hand; a simulated stream whose rates are known."""

import numpy as np
import pytest

from router.learning import LEAST, MOST, STRENGTH, Experience, Learned, Outcome

EAST, NORTH = np.eye(2, dtype=np.float32)
ABOUT = np.array([[1, 0], [0.99, 0.141], [0, 1], [0.141, 0.99]], dtype=np.float32)
"""Two cells to the east, two to the north."""


def beginning():
    return Learned.beginning("ours", ABOUT, np.ones(len(ABOUT)))


def taught(*outcomes, **options):
    learned = beginning()
    for outcome in outcomes:
        learned = learned.after(outcome, **options)
    return learned


def test_nothing_learned_corrects_nothing():
    """Every ratio is 1."""
    corrections, everybody = beginning().correction(EAST)
    assert corrections.size == 0
    assert everybody == 1


def test_the_correction_is_useful_over_expected_near_the_question():
    """40 outcomes east, useful twice as often as expected; the formula by hand, with one cell."""
    learned = Learned.beginning("ours", np.array([EAST]), np.ones(1))
    for _ in range(40):
        learned = learned.after(Outcome(EAST, {"a": 0.25, "b": 0.5}, {"a": 0.5, "b": 0.5}))
    corrections, everybody = learned.correction(EAST)
    overall = (40 + STRENGTH) / (30 + STRENGTH)
    own = (20 + STRENGTH * overall) / (10 + STRENGTH)
    assert everybody == pytest.approx(overall)
    assert learned.nodes == ("a", "b")
    assert corrections[0] == pytest.approx((20 + STRENGTH * own) / (10 + STRENGTH))
    assert corrections[0] == pytest.approx(2, rel=0.05)
    assert corrections[1] == pytest.approx(1, rel=0.05)


def test_what_was_learned_of_one_kind_of_question_does_not_speak_of_another():
    """a helps with questions to the east and never with those to the north, as often as it promised together."""
    learned = taught(
        *[Outcome(EAST, {"a": 0.5}, {"a": 1.0})] * 30,
        *[Outcome(NORTH, {"a": 0.5}, {"a": 0.0})] * 30,
    )
    assert learned.correction(EAST)[0][0] == pytest.approx(2, rel=0.1)
    assert learned.correction(NORTH)[0][0] < 0.1


def test_a_question_counts_half_in_each_of_its_two_nearest_cells():
    """One question east, one north: what is kept adds up to two questions, and nothing of them is kept but that."""
    learned = taught(Outcome(EAST, {"a": 0.5}, {"a": 1.0}), Outcome(NORTH, {"a": 0.5, "b": 0.25}, {"b": 1.0}))
    east = learned.centres @ EAST > 0.9
    assert east.sum() == 2
    assert learned.asked[east].tolist() == [[0.5, 0], [0.5, 0]]
    assert learned.asked[~east].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert learned.useful[~east].tolist() == [[0, 0.5], [0, 0.5]]
    assert learned.expected[~east].tolist() == [[0.25, 0.125], [0.25, 0.125]]


def test_an_outcome_makes_a_new_value():
    """The old one stays as it was."""
    old = taught(Outcome(EAST, {"a": 0.5}, {"a": 1.0}))
    new = old.after(Outcome(EAST, {"a": 0.5}, {"a": 1.0}))
    assert (old.asked.sum(), new.asked.sum()) == (1, 2)
    assert new.nodes is old.nodes


def test_what_is_stored_comes_back_the_same():
    """Through JSON, zero counts left out."""
    learned = taught(Outcome(EAST, {"b": 0.5, "a": 0.1}, {"a": 1.0}), Outcome(NORTH, {"c": 0.25}, {"c": 0.5}))
    stored = learned.as_experience().model_dump_json()
    back = Learned.from_experience(Experience.model_validate_json(stored))
    assert sorted(back.nodes) == ["a", "b", "c"]
    assert back.as_experience().counts == learned.as_experience().counts
    for query in (EAST, NORTH):
        before = dict(zip(learned.nodes, learned.correction(query)[0], strict=True))
        after = dict(zip(back.nodes, back.correction(query)[0], strict=True))
        assert after == pytest.approx(before)


def test_who_leaves_is_forgotten():
    """Its counts go, those of others stay."""
    learned = taught(Outcome(EAST, {"a": 0.5, "b": 0.5}, {"a": 1.0, "b": 1.0})).without("a")
    assert learned.nodes == ("b",)
    assert learned.useful.sum() == 1


def test_fading_follows_a_hospital_that_changed():
    """Useless for 300 questions, useful for the next 60: with fading it is believed, without it not yet."""
    old, new = [Outcome(EAST, {"a": 0.5}, {"a": 0.0})] * 300, [Outcome(EAST, {"a": 0.5}, {"a": 1.0})] * 60
    assert taught(*old, *new).correction(EAST)[0][0] < 0.5
    assert taught(*old, *new, keep=0.95).correction(EAST)[0][0] > 1.5


def test_the_true_rate_is_recovered_from_a_stream():
    """2,000 questions in four directions, of each of which a hospital helps with a probability of its own; promised is
    0.3 always. Promise times correction comes within 0.06 of every probability."""
    random = np.random.default_rng(0)
    directions = np.eye(4, dtype=np.float32)
    beside = directions + 0.1 * np.roll(directions, 1, axis=1)
    learned = Learned.beginning("ours", np.concatenate([directions, beside]), np.ones(8))
    rates = np.array([0.05, 0.3, 0.6, 0.9])
    for _ in range(2000):
        at = int(random.integers(4))
        learned = learned.after(Outcome(directions[at], {"a": 0.3}, {"a": float(random.random() < rates[at])}))
    for at, rate in enumerate(rates):
        assert 0.3 * learned.correction(directions[at])[0][0] == pytest.approx(rate, abs=0.06)


def test_a_verdict_puts_right_what_was_counted():
    """Said to be useless after all: the cells of that question lose what they had counted, no others, nothing below
    zero."""
    learned = taught(Outcome(EAST, {"a": 0.5, "b": 0.5}, {"a": 1.0}), Outcome(NORTH, {"a": 0.5}, {"a": 1.0}))
    judged = learned.judged(learned.cells_of(EAST), {"a": -1.0, "b": 1.0})
    column = {node: at for at, node in enumerate(judged.nodes)}
    east = judged.centres @ EAST > 0.9
    assert judged.useful[east][:, column["a"]].sum() == 0
    assert judged.useful[east][:, column["b"]].sum() == 1
    assert judged.useful[~east][:, column["a"]].sum() == 1
    assert judged.judged(learned.cells_of(EAST), {"a": -5.0}).useful.min() == 0
    assert (judged.asked == learned.asked).all()


def test_no_streak_silences_a_hospital_or_makes_it_of_nothing():
    """A thousand outcomes of one kind, and the correction stays within its bounds."""
    bad = taught(*[Outcome(EAST, {"a": 0.9, "b": 0.001}, {"a": 0.0, "b": 1.0})] * 1000)
    corrections = dict(zip(bad.nodes, bad.correction(EAST)[0], strict=True))
    assert corrections == pytest.approx({"a": LEAST, "b": MOST})


def test_cells_are_made_anew_when_far_more_is_described():
    """Of four prototypes at first, of forty now: all counts are kept, in cells near where they were."""
    learned = taught(*[Outcome(EAST, {"a": 0.5}, {"a": 1.0})] * 8)
    assert learned.regrouped(ABOUT, np.ones(4)) is learned
    random = np.random.default_rng(0)
    many = np.concatenate([one + 0.05 * random.standard_normal((20, 2)) for one in (EAST, NORTH)]).astype(np.float32)
    moved = learned.regrouped(many, np.ones(40))
    assert len(moved.centres) == 40
    assert moved.asked.sum() == pytest.approx(learned.asked.sum())
    assert moved.asked[moved.centres @ NORTH > 0.9].sum() == 0
    assert moved.correction(EAST)[0][0] > 1.5
