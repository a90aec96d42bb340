"""A stream in which a source turns, measured where every figure is known."""

import numpy as np
import pytest

from fedrag.evaluation import turning_tables
from fedrag.evaluation.recordings import RecordedTask
from fedrag.evaluation.turning import Asked, Course, Votes, followed, learned, paying, sure, turned, wrong
from reasoner.source_answer import SourceAnswer

OPTIONS = ("A", "B", "C", "D")
GOOD = {"east": 0.85, "north": 0.8, "south": 0.75, "west": 0.7}


def made(count: int) -> list[Asked]:
    """Four sources that are right this often, in two folds."""
    drawn, asked = np.random.default_rng(1), []
    for number in range(count):
        right = OPTIONS[drawn.integers(4)]
        others = [option for option in OPTIONS if option != right]
        said = {
            name: SourceAnswer(right if drawn.random() < share else others[drawn.integers(3)], "", 1.0)
            for name, share in GOOD.items()
        }
        asked.append(Asked(str(number % 2), OPTIONS, right, said))
    return asked


@pytest.fixture(scope="module")
def asked() -> list[Asked]:
    return made(800)


@pytest.fixture(scope="module")
def votes(asked) -> Votes:
    return learned(asked)


def test_a_stream_is_honest_until_it_turns(asked) -> None:
    """Every question once; the first 300 as they were, the others with the lie; the same order for the same seed."""
    lying = [one.saying({"west": SourceAnswer("A", "", 0.0)}) for one in asked]
    stream = turned(asked, lying, 300, 7)
    assert {id(one) for one in stream[:300]} <= {id(one) for one in asked}
    assert {id(one) for one in stream[300:]} <= {id(one) for one in lying}
    again = turned(asked, asked, 0, 7)
    assert [one.right for one in again] == [one.right for one in stream]
    assert sorted(id(one) for one in again) == sorted(map(id, asked))


def test_what_became_of_it_is_counted_by_hand() -> None:
    """Out at the third question, back at the fifth, another out at the sixth: two alarms; since the second question the
    first took one."""
    none, west, east = frozenset[str](), frozenset({"west"}), frozenset({"east"})
    course = Course((True,) * 7, (none, none, west, west, none, east, east))
    assert course.alarms == 2
    assert course.first("west", 1) == 1
    assert course.first("west", 4) is None


def test_lies_are_what_they_say(asked, votes) -> None:
    """The wrong option that most others chose; the same answer without a doubt; wrong only where that turns it."""
    said = {
        "east": SourceAnswer("C"),
        "north": SourceAnswer("C"),
        "south": SourceAnswer("B"),
        "west": SourceAnswer("A"),
    }
    assert wrong(Asked("0", OPTIONS, "A", said), "west") == SourceAnswer("C", "", 0.0)
    assert sure(asked[0], "west") == SourceAnswer(asked[0].answers["west"].choice, "", 0.0)
    lied = [one.saying({"east": paying(one, "east", votes)}) for one in asked]
    told = [
        (votes.right(one), one.answers != with_lie.answers, votes.right(with_lie))
        for one, with_lie in zip(asked, lied, strict=True)
    ]
    assert all(before and not after for before, lies, after in told if lies)
    assert all(before == after for before, lies, after in told if not lies)
    assert any(lies for _, lies, _ in told)


def test_a_source_left_out_is_not_heard(asked, votes) -> None:
    """While nobody lies nobody is left out, and every answer is that of the whole vote; with a liar it
    is, from then on, that of the others."""
    honest = followed(asked, votes)
    assert honest.right == tuple(votes.right(one) for one in asked)
    lying = [one.saying({"east": wrong(one, "east")}) for one in asked]
    course = followed(lying, votes)
    out = course.first("east", 0)
    assert out is not None
    assert out < 60
    assert course.right[out:] == tuple(votes.right(one, {"east"}) for one in lying[out:])


def test_the_table_holds_a_liar_to_a_point(asked, votes, monkeypatch) -> None:
    """One order: always wrong, the watched vote is within a point of the vote without it, and far above the unwatched;
    honest but sure of itself, it is never left out."""
    monkeypatch.setattr(turning_tables, "ORDERS", 1)
    table = turning_tables.turning(asked, votes)
    rows = {row[:2]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    lied = rows["wrong", "east"]
    assert lied["difference"] > -0.01
    assert lied["calibrated vote, watched"] > lied["not watched"] + 0.05
    assert rows["as before", "east"]["found, of orders"] == "0 of 1"


def test_few_questions_have_no_such_tables(asked) -> None:
    """Nothing can be noticed in them."""
    task = RecordedTask("small", (), {}, "east", tuple(GOOD), ("east", "west"))
    assert turning_tables.turning_tables(task, ()) == ()
