"""The evaluation of routing questions to models, on a federation whose best choice is known."""

from contextlib import contextmanager

import numpy as np
import pytest

from fedrag.encoders import ENCODERS
from fedrag.evaluation import model_routing
from fedrag.evaluation.model_routing import (
    ALONE_OWN,
    CENTRAL,
    COIN,
    FEDERATED,
    ORACLE,
    ModelTask,
    decided,
    logs_of,
    measure,
)
from fedrag.evaluation.run import Half, Run
from reasoner.model_choice import Expected

ENCODER = ENCODERS.build("hashing", {"dimension": 64})
TOPICS = ("warfarin dose heart rhythm", "eczema cream dry skin")


@pytest.fixture(scope="module")
def task() -> ModelTask:
    """Plain knows the heart for 1, dear the skin for 2, nothing else: who chooses rightly pays 1.5 for all."""
    about = [number % 2 for number in range(600)]
    return ModelTask(
        name="planted",
        ids=tuple(f"question-{number}" for number in range(600)),
        subjects=tuple(f"{topic}-{number % 7}" for number, topic in enumerate(about)),
        texts=tuple(f"{TOPICS[topic]} {number % 11}" for number, topic in enumerate(about)),
        models=("plain", "dear"),
        right=np.array([[float(topic == 0), float(topic == 1)] for topic in about]),
        cost=np.array([[1.0, 2.0]] * 600),
        unit="made up",
    )


@pytest.fixture(scope="module")
def found(task, tmp_path_factory):
    @contextmanager
    def silent(what):
        yield lambda done, of: None

    run = Run(None, None, Half.ALL, tmp_path_factory.mktemp("run"), silent, "")
    return measure(task, run, ENCODER)


def rows(found, title: str) -> dict[str, tuple]:
    (table,) = [one for one in found.tables if title in one.title]
    return {row[0]: row for row in table.rows}


def test_the_planted_optimum_is_found_by_all_that_learn_together(found) -> None:
    """From (1, .5) to (1.5, 1) and flat to 2: .875. A coin between the models: .5 everywhere, dear is no better."""
    areas = {name: row[1] for name, row in rows(found, "area under").items()}
    assert areas[ORACLE] == pytest.approx(0.875)
    assert areas[FEDERATED] == pytest.approx(0.875, abs=0.01)
    assert areas[CENTRAL] == pytest.approx(0.875, abs=0.01)
    assert areas[COIN] == pytest.approx(0.5, abs=0.01)
    assert areas["a party alone: worst"] < 0.8


def test_every_price_of_accuracy_is_tried(task) -> None:
    """From the most accurate, which here is dear, to the cheapest."""
    expected = Expected(np.tile([0.5, 0.9], (600, 1)), task.cost)
    made = decided(task, np.arange(600), expected)
    assert (made.cost[:, 0] == 2).all()
    assert (made.cost[:, -1] == 1).all()
    assert (made.right[:, 0] == task.right[:, 1]).all()


def test_a_new_model_is_worth_what_it_knows(found) -> None:
    """Without either of the two half of the questions cannot be answered; a tenth of the questions tell which."""
    (table,) = [one for one in found.tables if "comes later" in one.title]
    without, calibrated, start = (row[2] for row in table.rows[:3])
    assert without <= 0.51
    assert calibrated == pytest.approx(start, abs=0.05) == pytest.approx(0.875, abs=0.05)


def test_a_partys_own_log_is_worth_less_than_everybodys(found) -> None:
    """It has asked one model mostly, and cannot know of the other."""
    own = rows(found, "skew 0.6")
    assert own[FEDERATED][1] > own[ALONE_OWN][1]


def test_nobody_learns_from_the_questions_it_is_judged_on(task, monkeypatch) -> None:
    """Every log that is learned from holds questions of other folds only, and of each one model."""
    vectors = ENCODER.encode_queries(list(task.texts))
    logs = logs_of(task, vectors, ENCODER.identity.comparable_with, 0.6, seed=0)
    for fold in range(model_routing.FOLDS):
        train, test = set(logs.train(fold).tolist()), set(logs.test(fold).tolist())
        assert not train & test
        parties = logs.parties(logs.train(fold))
        assert sum(len(one.models) for one in parties.values()) == len(train)


def test_parties_share_few_subjects_where_skew_is_strong(task) -> None:
    """The largest share of a subject that one party has."""
    vectors = np.zeros((600, 2), dtype=np.float32)

    def largest(skew):
        logs = logs_of(task, vectors, "e", skew, seed=0)
        subjects = np.array(task.subjects)
        return np.mean(
            [np.bincount(logs.owner[subjects == one]).max() / (subjects == one).sum() for one in set(task.subjects)]
        )

    assert largest(0.03) > 0.85 > largest(0.6) > 0.2
    assert largest(100.0) < 0.25
