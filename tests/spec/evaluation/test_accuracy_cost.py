"""The area under accuracy over cost. Oracles: areas of triangles and rectangles."""

import numpy as np
import pytest

from fedrag.evaluation.metrics.accuracy_cost import Curve, area, areas

# Four questions. Cheap is right in half of them for 1, dear in all of them for 3.
RIGHT = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
COST = np.array([[1.0, 3.0]] * 4)
SINGLE = Curve(RIGHT, COST)


def flat(right: float, cost: float) -> Curve:
    return Curve(np.full((4, 1), right), np.full((4, 1), cost))


def test_a_coin_between_two_models_is_the_line_between_them() -> None:
    """(.5 + 1) / 2; where no coin may be tossed only the cheap one is affordable before the end."""
    assert area(SINGLE, RIGHT, COST) == pytest.approx(0.75)
    assert areas({"a": SINGLE}, RIGHT, COST, 0, stairs=("a",))["a"].value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("right", "cost", "expected"),
    [
        (1.0, 1.0, 1.0),  # knows all at the cheapest price: the whole rectangle
        (1.0, 2.0, 0.875),  # half of the range rises from .5 to 1, half is flat at 1
        (0.4, 2.0, 0.5),  # worse than the cheapest, which everybody may ask: never taken
        (0.9, 0.5, 0.9),  # cheaper than the cheapest single model
        (1.0, 5.0, 0.625),  # dearer than the dearest: the line is cut off at .75
    ],
)
def test_one_setting_of_a_router(right, cost, expected) -> None:
    """Between the cheapest model's point and the router's."""
    assert area(flat(right, cost), RIGHT, COST) == pytest.approx(expected)


def test_only_the_upper_hull_counts() -> None:
    """A setting below the line between two others changes nothing."""
    both = Curve(np.hstack([RIGHT, np.full((4, 1), 0.6)]), np.hstack([COST, np.full((4, 1), 2.0)]))
    assert area(both, RIGHT, COST) == pytest.approx(0.75)


def test_the_unit_of_cost_does_not_matter() -> None:
    """In cents as in dollars."""
    random = np.random.default_rng(1)
    curve = Curve((random.random((4, 9)) < 0.6).astype(float), 1 + 2 * random.random((4, 9)))
    dollars, cents = area(curve, RIGHT, COST), area(Curve(curve.right, 100 * curve.cost), RIGHT, 100 * COST)
    assert dollars == pytest.approx(cents)


def test_where_all_cost_the_same_accuracy_is_left() -> None:
    """No range to integrate over: the best that this price buys."""
    even = np.ones((4, 2))
    for stairs in ((), ("a",)):
        assert areas({"a": Curve(RIGHT, even)}, RIGHT, even, 0, stairs)["a"].value == pytest.approx(1.0)


def test_differences_are_of_the_same_questions() -> None:
    """From itself none; a router right in everything beats a coin for every draw of many questions."""
    right, cost = np.repeat(RIGHT, 50, axis=0), np.repeat(COST, 50, axis=0)
    made = {"coin": Curve(right, cost), "same": Curve(right, cost), "all": Curve(right[:, 1:], cost[:, :1])}
    found = areas(made, right, cost, seed=3)
    assert found["same"].minus(found["coin"]).mean == 0
    assert found["same"].minus(found["coin"]).p == 1
    gain = found["all"].minus(found["coin"])
    assert gain.mean == pytest.approx(0.25)
    assert 0.2 < gain.low < 0.25 < gain.high < 0.3


def test_a_picture_shows_the_corners_of_the_hull() -> None:
    """Cost and accuracy, up to the dearest single model."""
    assert SINGLE.points(RIGHT, COST) == [(1.0, 0.5), (3.0, 1.0)]
    assert flat(1.0, 2.0).points(RIGHT, COST) == [(1.0, 0.5), (2.0, 1.0)]
