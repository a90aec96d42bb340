"""Learning together which model to ask. Oracles: the same questions counted in one place, and planted knowledge."""

import numpy as np
import pytest

from fedrag.core.errors import ProtocolError
from fedrag.evaluation.masked_learning import learn
from fedrag.model_learning import (
    DEAREST,
    FEWEST,
    GLOBAL,
    LOCAL,
    MOST,
    UNIT,
    Groups,
    Log,
    cells_of,
    counted,
    numbers_of,
    personal,
    table_of,
)
from reasoner.model_choice import ModelTable

MODELS = ("heart", "skin", "cheap")
TOPICS = np.eye(8, dtype=np.float32)[:4]


def log(topics, models, right, cost=None, seed=0) -> Log:
    """Questions near these topics: `models[i]` was put to the i-th."""
    random = np.random.default_rng(seed)
    vectors = TOPICS[list(topics)] + 0.05 * random.standard_normal((len(topics), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cost = np.ones(len(topics)) if cost is None else np.array(cost, dtype=np.float64)
    return Log("e", vectors, tuple(models), np.array(right, dtype=np.float64), cost)


def made_up(questions: int, seed: int, topics=(0, 1, 2, 3)) -> Log:
    """Heart knows topics 0 and 1, skin 2 and 3; cheap is right in half of everything at a tenth of the cost."""
    random = np.random.default_rng(seed)
    asked, models = random.choice(topics, size=questions), random.choice(MODELS, size=questions)
    chance = np.where(models == "cheap", 0.5, np.where((models == "heart") == (asked < 2), 0.8, 0.1))
    right = random.random(questions) < chance
    return log(asked, models.tolist(), right, np.where(models == "cheap", 0.1, 1.0), seed)


PARTIES = {f"party-{one}": made_up(400, one, topics) for one, topics in enumerate([(0, 2), (1, 3), (0, 3), (1, 2)])}


def best(table: ModelTable, cost_weight: float = 0.0) -> list[str]:
    return [table.models[at] for at in table.expected(TOPICS).order(cost_weight)[:, 0]]


def test_a_masked_sum_is_the_sum_of_the_same_counts_in_the_clear() -> None:
    """Through keys, masks and seeds, to the last unit."""
    learned = learn(PARTIES, MODELS)
    centres = learned.table.centres
    clear = sum(numbers_of(counted(one, centres, MODELS)) for one in PARTIES.values())
    assert (numbers_of(learned.table) == clear).all()
    assert learned.table.asked.sum() == 1600
    assert learned.table.right.sum() == sum(one.right.sum() for one in PARTIES.values())


def test_together_they_know_what_none_knows_alone() -> None:
    """The planted optimum of every topic, although each party asks about two of the four only."""
    learned = learn(PARTIES, MODELS)
    assert best(learned.table) == ["heart", "heart", "skin", "skin"]
    assert best(learned.table, cost_weight=1.0) == ["cheap"] * 4
    assert best(learned.table, cost_weight=1e9) == ["cheap"] * 4


def test_what_a_party_says_and_hears_is_counted() -> None:
    """A few vectors and sums: the same order for all, however many questions they have."""
    few, many = learn(PARTIES, MODELS), learn({k: made_up(2000, 7) for k in PARTIES}, MODELS)
    assert set(few.sent) == set(PARTIES)
    assert max(many.sent.values()) < 2 * max(few.sent.values()) < 40_000


def test_groups_of_fewer_questions_than_a_few_are_not_shown() -> None:
    """What is shown without that rule gives away the two questions on topic 1; with it, nothing is like them."""
    topics = [0] * 20 + [1] * (FEWEST - 1) + [2] * 20
    mine = log(topics, ["heart"] * len(topics), [1.0] * len(topics)).vectors
    everything, shown = Groups.of(mine, number=len(topics), fewest=1), Groups.of(mine, number=len(topics))
    assert (everything.centres @ TOPICS[1]).max() > 0.9
    assert (shown.centres @ TOPICS[1]).max(initial=0.0) < 0.5
    assert (shown.sizes >= FEWEST).all()


def test_a_party_without_questions_shows_nothing_and_breaks_nothing() -> None:
    """Neither groups nor counts of it, and the others learn what they would have."""
    nothing = log([], [], [])
    assert len(Groups.of(nothing.vectors).centres) == 0
    with_it, without = learn({**PARTIES, "silent": nothing}, MODELS), learn(PARTIES, MODELS)
    assert (with_it.table.asked == without.table.asked).all()


def test_there_are_no_more_cells_and_groups_than_are_allowed() -> None:
    """Whatever the number of questions."""
    groups = [Groups.of(one.vectors) for one in PARTIES.values()]
    assert all(len(one.centres) <= LOCAL for one in groups)
    assert len(cells_of(groups)) <= GLOBAL
    assert sum(int(one.sizes.sum()) for one in groups) <= 1600


def test_a_model_that_is_new_is_counted_in_the_same_cells() -> None:
    """It is chosen where it is better than those that were there, and only there."""
    table = learn(PARTIES, MODELS).table
    topics = [0, 1, 2, 3] * 100
    calibration = log(topics, ["new"] * 400, [float(topic == 3) for topic in topics], seed=3)
    assert best(table.plus(counted(calibration, table.centres, (*MODELS, "new")))) == ["heart", "heart", "skin", "new"]


def test_a_party_that_joins_adds_what_it_would_have_counted_from_the_start() -> None:
    """In the cells that are there."""
    first = {name: one for name, one in PARTIES.items() if name != "party-3"}
    table = learn(first, MODELS).table
    joined = table.plus(counted(PARTIES["party-3"], table.centres, MODELS))
    whole = sum(numbers_of(counted(one, table.centres, MODELS)) for one in PARTIES.values())
    assert (numbers_of(joined) == whole).all()


def test_a_partys_own_counts_win_where_it_has_many_and_everybodys_elsewhere() -> None:
    """At this hospital skin knows topic 0, whatever others found; of topic 1 it has no question."""
    table = learn(PARTIES, MODELS).table
    here = log([0] * 400, ["heart", "skin"] * 200, [0.0, 1.0] * 200, seed=9)
    own = personal(counted(here, table.centres, MODELS), table)
    assert best(own) == ["skin", "heart", "skin", "skin"]
    nothing = personal(counted(log([], [], []), table.centres, MODELS), table)
    assert best(nothing) == best(table)


def test_a_party_counts_no_more_than_it_may() -> None:
    """Neither more right than one, nor dearer than the dearest, nor models nobody named."""
    boasting = log([0] * 3, ["heart", "heart", "unheard"], [50.0, -3.0, 1.0], cost=[1e12, -5.0, 1.0])
    sums = counted(boasting, TOPICS, MODELS)
    assert (sums.asked.sum(), sums.right.sum(), sums.cost.sum()) == (2, 1, DEAREST)
    many = Log("e", np.tile(TOPICS[:1], (MOST + 5, 1)), ("heart",) * (MOST + 5), np.ones(MOST + 5), np.ones(MOST + 5))
    assert counted(many, TOPICS, MODELS).asked.sum() == MOST


@pytest.mark.parametrize(
    ("asked", "right", "cost"),
    [(2 * MOST + 1, 0.0, 0.0), (10.0, 11.0, 0.0), (1.0, 1.0, 1.01 * DEAREST), (0.0, 0.0, 5.0)],
    ids=["too many", "more right than asked", "too dear", "cost of nothing"],
)
def test_a_sum_that_cannot_be_one_is_refused(asked, right, cost) -> None:
    """Of two parties, with one cell and model."""
    total = np.rint(UNIT * np.array([asked, right, cost])).astype(np.uint64)
    with pytest.raises(ProtocolError) as refused:
        table_of(total, 2, "e", TOPICS[:1], ("heart",))
    assert refused.value.code == "implausible_counts"


def test_a_sum_of_other_cells_is_refused() -> None:
    """Its length says so."""
    with pytest.raises(ProtocolError):
        table_of(np.zeros(4, dtype=np.uint64), 2, "e", TOPICS[:1], ("heart",))
