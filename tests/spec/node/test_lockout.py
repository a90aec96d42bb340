"""Lockout: what counts as the same question, what as another, who is locked, and until when.

Oracles: counts by hand; vectors with known cosines.
"""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from fedrag.core.errors import IntegrityError, NotFound, Unavailable
from fedrag.core.question import PassageFilter
from retriever_node.config import LockoutConfig
from retriever_node.lockout import COSINE, WINDOW_S, Asked, AskedOf, Lockout, locks, unlock
from retriever_node.state import NodeState

RECORDS = AskedOf("records", generation=1, policy="p")
DAY_S = 86_400
START_S = 1_800_000_000


def unit(*values: float) -> np.ndarray:
    vector = np.zeros(64, dtype=np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def at_cosine(cosine: float, direction: int) -> np.ndarray:
    """A unit vector with this cosine to `unit(1)`; those of different directions have cosine² to each other."""
    vector = np.zeros(64, dtype=np.float32)
    vector[0], vector[direction] = cosine, np.sqrt(1 - cosine**2)
    return vector


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now_s = float(START_S)

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path):
    made = NodeState(tmp_path / "state.sqlite")
    yield made
    made.close()


@pytest.fixture
def lockout(clock: Clock) -> Lockout:
    return Lockout(b"k" * 32, LockoutConfig(), clock)


class Asker:
    """Puts questions on record one after the other, each in a request of its own unless one is named."""

    def __init__(self, state: NodeState, lockout: Lockout, name: str = "ann") -> None:
        self.state, self.lockout, self.name, self.requests = state, lockout, name, 0

    def ask(self, asked: Asked, of: AskedOf = RECORDS, passages=(3, 1, 2), request_id: str | None = None) -> bool:
        self.requests += 1
        request = request_id or f"{self.name}-{self.requests}"
        with self.state.transaction() as connection:
            return self.lockout.count(connection, self.name, of, asked, request, passages)

    def recall(self, asked: Asked, of: AskedOf = RECORDS) -> tuple[int, ...] | None:
        with self.state.transaction() as connection:
            return self.lockout.recall(connection, self.name, of, asked)

    def locked(self) -> bool:
        with self.state.transaction() as connection:
            return self.lockout.locked(connection, self.name)


@pytest.fixture
def ann(state: NodeState, lockout: Lockout) -> Asker:
    return Asker(state, lockout)


def reworded(number: int, cosine: float = 0.999) -> Asked:
    """In other words every time, all nearly in one direction."""
    return Asked(at_cosine(cosine, 1 + number), " ".join(f"word{number}x{at}" for at in range(6)), None)


def test_the_eighth_near_duplicate_in_thirty_days_locks_and_the_seventh_does_not(ann: Asker) -> None:
    """And nothing that is asked afterwards is answered, whatever it is."""
    assert [ann.ask(reworded(number)) for number in range(8)] == [False] * 7 + [True]
    assert ann.locked()
    assert ann.ask(Asked(unit(0, 0, 0, 1), "something else altogether", None))


def test_questions_below_the_threshold_are_other_questions(ann: Asker) -> None:
    """Fifty of them lock nobody: each has this cosine to the first and a smaller one to the others."""
    ann.ask(Asked(unit(1), "where it begins", None))
    below = COSINE - 0.02
    assert not any(ann.ask(reworded(number, below)) for number in range(50))


def test_the_same_words_count_as_near_whatever_vector_comes_with_them(ann: Asker) -> None:
    """A coordinator that sends an unrelated vector with each copy is not let off; an added word is no help."""
    words = "does the woman with the broken hip take warfarin or another anticoagulant since her stroke"
    asked = [Asked(unit(*([0] * number), 1), f"{words} {number}{number}", None) for number in range(8)]
    assert [ann.ask(one) for one in asked] == [False] * 7 + [True]


def test_an_identical_question_is_recalled_and_never_counted(ann: Asker) -> None:
    """A hundred times: the same passages in the same order, however the words are spaced and capitalised."""
    first = Asked(unit(1), "Does she take  warfarin?", None)
    ann.ask(first, passages=(30, 10, 20))
    for _ in range(100):
        assert ann.recall(Asked(unit(1), "does she take warfarin?", None)) == (30, 10, 20)
        assert not ann.ask(first, passages=(99,))
    assert ann.recall(first) == (30, 10, 20)


def test_another_text_filter_asker_or_collection_is_not_identical(ann: Asker, state, lockout) -> None:
    """Each of them decides which passages are found."""
    first = Asked(unit(1), "Does she take warfarin?", None)
    ann.ask(first)
    since = PassageFilter(effective_from=date(2024, 1, 1))
    assert ann.recall(replace(first, text="Did she take warfarin?")) is None
    assert ann.recall(replace(first, wanted=since)) is None
    assert ann.recall(replace(first, text=None)) is None
    assert ann.recall(first, replace(RECORDS, collection="other")) is None
    assert Asker(state, lockout, "bob").recall(first) is None


@pytest.mark.parametrize("changed", [replace(RECORDS, generation=2), replace(RECORDS, policy="q")])
def test_after_another_generation_or_policy_it_counts_as_new(ann: Asker, changed: AskedOf) -> None:
    """Asked again and again before and after a change, a question tells what changed: each change counts."""
    asked = Asked(unit(1), "Does she take warfarin?", None)
    ann.ask(asked, passages=(1,))
    assert ann.recall(asked, changed) is None
    for number in range(3):
        assert not ann.ask(asked, changed, passages=(2, number))
        assert not ann.ask(asked, RECORDS, passages=(1, number))
    assert ann.ask(asked, changed)


def test_all_calls_of_one_request_count_once(ann: Asker) -> None:
    """A hedged replica that has moved on to the next generation meanwhile asks for the same request; another question
    under the same request id is another question."""
    asked = Asked(unit(1), "Does she take warfarin?", None)
    for generation in range(20):
        assert not ann.ask(asked, replace(RECORDS, generation=generation), request_id="one")
    assert [ann.ask(reworded(number), request_id="one") for number in range(7)] == [False] * 6 + [True]


def test_what_was_asked_thirty_days_ago_counts_no_more(ann: Asker, clock: Clock) -> None:
    """Seven a month, month after month, lock nobody; nothing of them is left on record."""
    for number in range(28):
        clock.now_s = START_S + number * (WINDOW_S / 7 + 1)
        assert not ann.ask(reworded(number))
    asked = Asked(unit(1), "Does she take warfarin?", None)
    ann.ask(asked)
    clock.now_s += WINDOW_S
    assert ann.recall(asked) is None


def test_a_locked_asker_stays_locked_until_somebody_unlocks(ann: Asker, state, clock: Clock) -> None:
    """A year does not help. Unlocked, the count begins again at nothing, and what was found is still recalled."""
    for number in range(8):
        ann.ask(reworded(number))
    clock.now_s += 365 * DAY_S
    assert ann.ask(reworded(20))
    with state.transaction() as connection:
        assert [(one.asker, one.at, one.collection) for one in locks(connection)] == [("ann", START_S, "records")]
        assert unlock(connection, "ann").asker == "ann"
        assert locks(connection) == ()
        with pytest.raises(NotFound, match="not locked"):
            unlock(connection, "ann")
    assert [ann.ask(reworded(number)) for number in range(30, 38)] == [False] * 7 + [True]


def test_unlocked_within_the_month_the_count_begins_at_nothing(ann: Asker, state) -> None:
    """What was found before is still recalled: nobody is charged for it again."""
    for number in range(8):
        ann.ask(reworded(number), passages=(number,))
    with state.transaction() as connection:
        unlock(connection, "ann")
    assert ann.recall(reworded(0)) == (0,)
    assert [ann.ask(reworded(number)) for number in range(10, 18)] == [False] * 7 + [True]


def test_one_asker_or_collection_does_not_count_for_another(ann: Asker, state, lockout) -> None:
    """Seven each."""
    bob, other = Asker(state, lockout, "bob"), replace(RECORDS, collection="other")
    for number in range(7):
        assert not ann.ask(reworded(number))
        assert not ann.ask(reworded(number), other)
        assert not bob.ask(reworded(number))
    assert ann.ask(reworded(7))
    assert not bob.locked()


def test_too_many_different_questions_lock_too(state, clock: Clock) -> None:
    """No ordinary month holds so many: the limit is a setting."""
    ann = Asker(state, Lockout(b"k" * 32, LockoutConfig(questions=20), clock))
    asked = [Asked(unit(*([0] * number), 1), f"topic{number}", None) for number in range(21)]
    assert [ann.ask(one) for one in asked] == [False] * 20 + [True]


def test_nothing_on_disk_tells_a_question(ann: Asker, state, tmp_path: Path) -> None:
    """Neither a word, nor a hash that somebody without the key could make, nor a vector."""
    asked = Asked(unit(3, 1, 2), "Zanzibarfever", None)
    ann.ask(asked)
    state.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    eight = np.rint(asked.vector / asked.vector.max() * 127).astype(np.int8).tobytes()
    for told in (b"anzibar", eight[:8], asked.vector.tobytes()[:12]):
        assert told not in stored


def test_a_record_that_was_changed_is_a_denial(ann: Asker, state) -> None:
    """Another asker's sketch in its place too: each is sealed to where it stands."""
    ann.ask(reworded(0))
    bob = Asker(state, ann.lockout, "bob")
    bob.ask(reworded(1))
    with state.transaction() as connection:
        connection.execute("UPDATE asked SET sketch = (SELECT sketch FROM asked WHERE asker = 'bob')")
    with pytest.raises(IntegrityError) as caught:
        ann.ask(reworded(2))
    assert caught.value.code == "lockout_damaged"
    with state.transaction() as connection:
        connection.execute("UPDATE asked SET passages = 'x'")
    with pytest.raises(IntegrityError):
        ann.recall(reworded(0))


def test_a_clock_that_was_set_back_forgets_nothing(ann: Asker, clock: Clock) -> None:
    """What is on record of days to come counts on; forward, the node's clock cannot jump at all."""
    for number in range(7):
        assert not ann.ask(reworded(number))
    clock.now_s -= 300 * DAY_S
    assert ann.recall(reworded(0)) == (3, 1, 2)
    assert ann.ask(reworded(7))


def test_a_disk_that_is_full_leaves_no_trace_and_no_answer(ann: Asker, state, monkeypatch) -> None:
    """The question is not counted, and its caller gets an error instead of passages."""
    many = [Asked(unit(*([0] * (number % 60)), 1), f"topic{number}", None) for number in range(500)]
    with state.transaction() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable) as caught:
        list(map(ann.ask, many))
    assert caught.value.code == "state_full"
    asked = ann.requests
    with state.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
        assert connection.execute("SELECT count(*) FROM asked").fetchone()[0] == asked - 1
    assert not ann.ask(many[asked - 1])
