"""An asker in a hurry does not suspend hospitals for everybody else."""

import asyncio

import pytest

from fedrag.circuit import CircuitBreaker
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import NodeStatus
from fedrag.fanout import FAIR_MS, ask_all


class Slow:
    id = "slow"


async def sleeps(_node):
    await asyncio.sleep(60)


@pytest.mark.parametrize(("deadline_ms", "suspended"), [(30, set()), (FAIR_MS + 20, {"slow"})])
async def test_only_a_fair_chance_that_was_missed_counts(deadline_ms, suspended) -> None:
    """Two time-outs of 30 ms say nothing of a hospital; two of half a second do."""
    breaker = CircuitBreaker()
    for _ in range(2):
        deadline = Deadline.after_ms(deadline_ms)
        gathered = await ask_all([Slow()], sleeps, deadline, breaker)
        assert gathered.outcomes["slow"].status is NodeStatus.TIMED_OUT
    assert breaker.suspended() == suspended
