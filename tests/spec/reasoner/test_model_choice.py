"""Which model to ask: what a table of sums says of a question. Oracles: sums small enough to reckon with by hand."""

import itertools

import numpy as np
import pytest

from fedrag.core.errors import ConfigError
from reasoner.model_choice import STRENGTH, CellSums, Expected, ModelTable, StoredTable, load

NORTH, EAST = np.eye(2, dtype=np.float32)


def table(asked, right, cost, models=("small", "large")) -> ModelTable:
    sums = (np.array(one, dtype=np.float64) for one in (asked, right, cost))
    return ModelTable("e", np.eye(2, dtype=np.float32), tuple(models), *sums)


# Of a thousand questions in each cell and model: small knows the north, large knows everything at ten times the cost.
KNOWN = table([[1000, 1000]] * 2, [[900, 950], [100, 950]], [[1000, 10_000]] * 2)


def chosen(known: ModelTable, query, cost_weight: float) -> str:
    return known.models[known.expected(query[None]).order(cost_weight)[0, 0]]


@pytest.mark.parametrize(
    ("cost_weight", "north", "east"),
    [(0.0, "large", "large"), (0.02, "small", "large"), (0.2, "small", "small"), (1e9, "small", "small")],
)
def test_the_model_with_the_greatest_accuracy_less_its_weighed_cost_is_asked(cost_weight, north, east) -> None:
    """North: .90 − λ against .95 − 10 λ, equal at λ = .0056. East: .10 − λ against .95 − 10 λ, equal at λ = .094."""
    assert (chosen(KNOWN, NORTH, cost_weight), chosen(KNOWN, EAST, cost_weight)) == (north, east)


def test_accuracy_of_models_and_ease_of_cells_are_told_apart() -> None:
    """Oracle: the two equations as one linear system, solved at once."""
    asked, right = np.array([[4.0, 1.0], [0.0, 6.0]]), np.array([[3.0, 1.0], [0.0, 2.0]])
    known = table(asked, right, asked)
    system, told = np.zeros((4, 4)), np.zeros(4)
    everybody = right.sum() / asked.sum()
    for model in range(2):
        system[model, model] = asked[:, model].sum() + STRENGTH
        system[model, 2:] = asked[:, model]
        told[model] = right[:, model].sum() + STRENGTH * everybody
    for cell in range(2):
        system[2 + cell, 2 + cell] = asked[cell].sum() + STRENGTH
        system[2 + cell, :2] = asked[cell]
        told[2 + cell] = right[cell].sum()
    solved = np.linalg.solve(system, told)
    north = (right[0] + STRENGTH * (solved[:2] + solved[2])) / (asked[0] + STRENGTH)
    east = (right[1] + STRENGTH * (solved[:2] + solved[3])) / (asked[1] + STRENGTH)
    near, far = known.weights(NORTH[None])[0]
    expected = known.expected(NORTH[None])
    assert near > 0.99
    assert expected.accuracy[0] == pytest.approx(near * north + far * east)
    assert expected.cost[0] == pytest.approx([1.0, 1.0])


def test_a_model_is_no_better_for_having_been_put_to_easy_questions() -> None:
    """Lucky answered easy questions only, able the same share of those and most of the hard ones: seen alone, lucky has
    the better mean."""
    seen = table([[400, 100], [40, 400]], [[360, 90], [4, 200]], [[1, 1], [1, 1]], models=("lucky", "able"))
    means = seen.right.sum(axis=0) / seen.asked.sum(axis=0)
    assert means[0] > means[1]
    between = np.array([[1.0, 1.0]], dtype=np.float32) / np.float32(np.sqrt(2))
    lucky, able = seen.expected(between).accuracy[0]
    assert able > lucky + 0.1


def test_an_empty_cell_is_no_cell_where_a_model_is_always_wrong() -> None:
    """Large was asked in the north only. In the east, which small shows to be harder, it is worse than in the north but
    still the better one."""
    seen = table([[50, 100], [50, 0]], [[25, 90], [5, 0]], [[50, 100], [50, 0]])
    (north, east), costs = seen.expected(np.stack([NORTH, EAST]))
    assert north[0] - east[0] > 0.3
    assert 0.4 < east[1] < north[1]
    assert costs[1, 1] == pytest.approx(1.0)
    assert chosen(seen, EAST, 0.0) == "large"


def test_a_model_that_nobody_asked_is_an_average_one() -> None:
    """Neither cheap nor dear, neither right nor wrong: its numbers lie between those of the others."""
    expected = KNOWN.of(("small", "new", "large")).expected(NORTH[None])
    assert expected.accuracy[0, 0] < 0.95
    small, new, large = expected.cost[0]
    assert small < new < large
    assert new == pytest.approx((1000 * 2 + 10_000 * 2) / 4000)


def test_nothing_learned_chooses_in_order() -> None:
    """No cells, no sums: every model is as good as another."""
    nothing = ModelTable("e", np.zeros((0, 2), dtype=np.float32), ("a", "b"), *np.zeros((3, 0, 2)))
    expected = nothing.expected(np.stack([NORTH, EAST]))
    assert np.allclose(expected.accuracy, 0.5)
    assert expected.order(1.0).tolist() == [[0, 1], [0, 1]]


def test_the_greater_lambda_the_cheaper_and_at_last_the_cheapest() -> None:
    """Of random estimates: mean cost never rises with λ, and ends at the cheapest model of each question."""
    random = np.random.default_rng(5)
    expected = Expected(random.random((200, 4)), random.random((200, 4)))
    rows = np.arange(200)
    costs = [expected.cost[rows, expected.order(weight)[:, 0]] for weight in (0, 0.01, 0.1, 1, 10, 1e9)]
    assert all((later <= earlier).all() for earlier, later in itertools.pairwise(costs))
    assert (costs[-1] == expected.cost.min(axis=1)).all()
    assert (expected.order(0)[:, 0] == expected.accuracy.argmax(axis=1)).all()


def test_of_equally_good_models_the_cheaper_is_asked() -> None:
    """At λ = 0 too, where cost has no weight."""
    assert Expected(np.array([[0.8, 0.8, 0.7]]), np.array([[2.0, 1.0, 0.5]])).order(0.0).tolist() == [[1, 0, 2]]


def test_a_question_is_read_at_its_nearest_cells() -> None:
    """On the way from north to east the weights pass over, and always sum to 1."""
    angles = np.linspace(0, np.pi / 2, 7)
    queries = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    weights = KNOWN.weights(queries)
    assert np.allclose(weights.sum(axis=1), 1)
    assert (np.diff(weights[:, 0]) < 0).all()
    assert weights[3] == pytest.approx([0.5, 0.5])


def test_a_cell_without_questions_has_no_say() -> None:
    """As if it were not there, be it the very nearest."""
    beside = np.array([[0.8, 0.6]], dtype=np.float32)
    sums = ([[9.0, 9.0], [0.0, 0.0]], [[9.0, 3.0], [0.0, 0.0]], [[9.0, 9.0], [0.0, 0.0]])
    assert table(*sums).weights(np.stack([EAST, beside[0]])).tolist() == [[1, 0], [1, 0]]


def test_sums_of_two_times_may_be_added() -> None:
    """A model that came later brings a column; what was counted before stays."""
    more = table([[10], [20]], [[5], [6]], [[7], [8]], models=("new",))
    whole = KNOWN.plus(more)
    assert whole.models == ("small", "large", "new")
    assert whole.asked.tolist() == [[1000, 1000, 10], [1000, 1000, 20]]
    assert KNOWN.plus(KNOWN).right.tolist() == (2 * KNOWN.right).tolist()


def test_a_stored_table_says_the_same(tmp_path) -> None:
    """Through the file, an empty one too."""
    queries = np.stack([NORTH, EAST])
    for one in (KNOWN, ModelTable("e", np.zeros((0, 2), dtype=np.float32), ("a",), *np.zeros((3, 0, 1)))):
        (tmp_path / "models.json").write_text(one.stored().model_dump_json())
        again = load(tmp_path / "models.json")
        assert again.models == one.models
        for before, after in zip(one.expected(queries), again.expected(queries), strict=True):
            assert after == pytest.approx(before)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "missing_config"),
        ("{}", "bad_config"),
        ("not JSON", "bad_config"),
        (
            StoredTable(
                comparable_with="e",
                cells=(),
                models=("a",),
                sums=(CellSums(cell=3, model=0, asked=1.0, right=1.0, cost=0.0),),
            ).model_dump_json(),
            "bad_config",
        ),
    ],
    ids=["no file", "another file", "no JSON", "a cell that is not there"],
)
def test_what_is_no_table_is_refused(tmp_path, text, code) -> None:
    """Before a question is asked."""
    if text is not None:
        (tmp_path / "models.json").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "models.json")
    assert refused.value.code == code
