"""One hospital at several addresses: who is asked, when somebody else is asked too, and how often at most."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError, ProtocolError, Refused, Unavailable
from fedrag.core.protocols import Reply
from fedrag.http.replicas import Latency, ReplicatedNode, RetryBudget

BROKEN, UNREACHABLE = (lambda code=code: Unavailable("x", code=code) for code in ("connection_broken", "unreachable"))


@dataclass
class Replica:
    """Answers with its name after a while, or raises; remembers how often it was asked and how often cancelled."""

    name: str
    after_s: float = 0.0
    errors: list[Callable[[], Exception] | None] = field(default_factory=list)
    asked: int = 0
    cancelled: int = 0
    id: str = "n"

    async def describe(self, deadline: Deadline) -> Reply[str]:
        self.asked += 1
        error = self.errors.pop(0) if self.errors else None
        try:
            await asyncio.sleep(self.after_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if error is not None:
            raise error()
        return Reply(self.name, 1)


def node(*replicas: Replica, budget: RetryBudget | None = None) -> ReplicatedNode:
    return ReplicatedNode(replicas, budget or RetryBudget(), _latency={"describe": Latency(guess_s=0.02)})


async def ask(replicated: ReplicatedNode) -> str:
    try:
        return (await replicated.describe(Deadline.after_ms(5_000))).value
    except FedragError as error:
        return error.code


async def test_a_fast_first_replica_is_the_only_one_asked() -> None:
    """No hedge without need."""
    one, two = Replica("one"), Replica("two")
    assert await ask(node(one, two)) == "one"
    assert (one.asked, two.asked) == (1, 0)


async def test_a_slow_first_replica_is_overtaken_and_cancelled() -> None:
    """The next is asked after the hedge delay; the slow call is cancelled, the fast one asked first from then on."""
    slow, fast = Replica("slow", after_s=30), Replica("fast")
    replicated = node(slow, fast)
    assert await ask(replicated) == "fast"
    assert (slow.asked, slow.cancelled, fast.asked) == (1, 1, 1)
    assert await ask(replicated) == "fast"
    assert (slow.asked, fast.asked) == (1, 2)


@pytest.mark.parametrize("error", [BROKEN, UNREACHABLE, lambda: Unavailable("x", code="bad_status")])
async def test_a_broken_replica_is_replaced_at_once(error) -> None:
    """Without waiting for the hedge delay."""
    dead, alive = Replica("dead", errors=[error]), Replica("alive")
    replicated = node(dead, alive)
    replicated._latency["describe"].guess_s = 30
    assert await ask(replicated) == "alive"


async def test_when_all_are_dead_the_last_error_is_told() -> None:
    """Each replica is asked once."""
    replicas = [Replica(str(n), errors=[UNREACHABLE] * 9) for n in range(3)]
    assert await ask(node(*replicas)) == "unreachable"
    assert [one.asked for one in replicas] == [1, 1, 1]


@pytest.mark.parametrize(("error", "asked"), [(BROKEN, 2), (UNREACHABLE, 1)])
async def test_a_single_address_is_asked_again_only_if_it_had_been_reached(error, asked) -> None:
    """A kept connection may have been closed meanwhile; a closed port is closed."""
    single = Replica("single", errors=[error] * 9)
    assert await ask(node(single)) == error().code
    assert single.asked == asked


@pytest.mark.parametrize(
    "error", [lambda: Refused("x"), lambda: ProtocolError("x"), lambda: Unavailable("x", code="internal")]
)
async def test_what_a_replica_answers_is_final(error) -> None:
    """A refusal, a malformed answer or its own failure is not asked for twice."""
    one, two = Replica("one", errors=[error]), Replica("two")
    assert await ask(node(one, two)) == error().code
    assert two.asked == 0


async def test_no_task_outlives_the_call() -> None:
    """Neither after an answer nor after a cancellation."""
    before = asyncio.all_tasks()
    replicated = node(Replica("slow", after_s=30), Replica("slower", after_s=30))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await replicated.describe(Deadline.after_ms(5_000))
    assert asyncio.all_tasks() == before


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def test_an_outage_is_not_amplified() -> None:
    """A thousand requests to a dead first replica: no more further attempts than the burst and a tenth of them."""
    budget = RetryBudget(ratio=0.1, floor_per_s=1, burst=10, clock=Clock())
    dead, alive = Replica("dead", errors=[UNREACHABLE] * 2_000), Replica("dead too", errors=[UNREACHABLE] * 2_000)
    replicated = node(dead, alive, budget=budget)
    for _ in range(1_000):
        await ask(replicated)
    assert dead.asked + alive.asked - 1_000 == budget.attempts["retry"]
    assert 100 <= budget.attempts["retry"] <= 110
    assert budget.attempts["denied"] == 1_000 - budget.attempts["retry"]


def test_the_budget_refills_with_time_and_never_overflows() -> None:
    """Hand-computed: ten at the start, one per second, a tenth per request, at most ten."""
    clock = Clock()
    budget = RetryBudget(ratio=0.1, floor_per_s=1, burst=10, clock=clock)
    assert [budget.spend("retry") for _ in range(11)] == [True] * 10 + [False]
    clock.now_s = 2.5
    assert [budget.spend("hedge") for _ in range(3)] == [True, True, False]
    for _ in range(6):
        budget.earn()
    assert [budget.spend("hedge") for _ in range(2)] == [True, False]
    clock.now_s = 1_000
    assert [budget.spend("retry") for _ in range(11)] == [True] * 10 + [False]
    assert budget.attempts == {"retry": 20, "hedge": 3, "denied": 4}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([1.0] * 7, 0.25),
        ([0.001] * 64, 0.05),
        ([9.0] * 64, 2.0),
        ([n / 100 for n in range(1, 65)], 0.60),
        ([5.0] * 64 + [0.1] * 64, 0.1),
    ],
    ids=["too few", "floor", "ceiling", "95th of 1..64", "only the last 64 count"],
)
def test_the_hedge_delay_is_the_95th_percentile_within_bounds(seconds, expected) -> None:
    """Of the last 64 answers: index floor(.95 · 63) = 59 of the ordered sample."""
    latency = Latency()
    for one in seconds:
        latency.add(one)
    assert latency.hedge_after_s() == pytest.approx(expected)
