"""Usefulness as a line over the cells. Oracles: least squares on the same rows; a kind of question never seen."""

import numpy as np
import pytest

from router.learning import Experience, Learned, Outcome
from router.regression import PENALTY, Regressions, features_of


def test_sums_give_the_ridge_of_the_rows():
    """Two hospitals, sixty questions; against the normal equations over the rows themselves."""
    random = np.random.default_rng(0)
    made, rows, useful = Regressions.beginning(5), [], []
    for _ in range(60):
        features = np.append(random.standard_normal(5), 1.0)
        helped = {"a": float(random.random()), "b": float(random.random())}
        made = made.after(features, helped, 1.0, 1.0)
        rows.append(features)
        useful.append(helped["a"])
    x, y = np.array(rows), np.array(useful)
    expected = np.linalg.solve(x.T @ x + np.diag([*[PENALTY] * 5, 1e-6]), x.T @ y)
    assert made.lines()[made.nodes.index("a")] == pytest.approx(expected)


def test_a_line_reaches_where_nothing_was_asked():
    """Useful the more a question lies to the east. Asked only between -0.5 and 0.5, it is expected beyond."""
    centres = np.array([[1, 0], [0, 1]], dtype=np.float32)
    learned = Learned.beginning("ours", centres, np.ones(2))
    for step in np.linspace(-0.5, 0.5, 60):
        query = np.array([step, np.sqrt(1 - step**2)], dtype=np.float32)
        learned = learned.after(Outcome(query, {"a": 0.5}, {"a": 0.5 + 0.5 * step}, unknown=frozenset({"a"})))
    line = learned.regressions.lines()[0]
    east = np.array([1, 0], dtype=np.float32)
    assert line @ features_of(east, learned.centres) > 0.75 > 0.25 > line @ features_of(-east, learned.centres)


def test_it_is_stored_with_the_rest_and_goes_with_the_hospital():
    """To the precision of the wire."""
    learned = Learned.beginning("ours", np.eye(3, dtype=np.float32), np.ones(3))
    for at in range(9):
        outcome = Outcome(np.eye(3, dtype=np.float32)[at % 3], {"a": 0.5, "b": 0.5}, {"a": 1.0, "b": at / 9})
        learned = learned.after(Outcome(outcome.query, outcome.expected, outcome.useful, unknown=frozenset("ab")))
    back = Learned.from_experience(Experience.model_validate_json(learned.as_experience().model_dump_json()))
    assert back.regressions.nodes == ("a", "b")
    assert back.regressions.lines() == pytest.approx(learned.regressions.lines(), abs=1e-4)
    assert learned.without("a").regressions.nodes == ("b",)
