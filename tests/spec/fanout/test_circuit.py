"""When a hospital that fails is left alone, and when it is asked again."""

import pytest

from fedrag.circuit import CircuitBreaker


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(threshold=2, base_s=2, maximum_s=16, clock=clock)


def fail(breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.record("n", alive=False)


def test_two_failures_in_a_row_suspend(breaker) -> None:
    """One does not, nor do two with an answer between them."""
    fail(breaker)
    assert breaker.admits("n")
    breaker.record("n", alive=True)
    fail(breaker)
    assert breaker.admits("n")
    fail(breaker)
    assert not breaker.admits("n")
    assert breaker.suspended() == {"n"}
    assert breaker.admits("other")


def test_a_pause_that_is_over_is_not_enough(breaker, clock) -> None:
    """No question is spent on finding out whether a dead hospital is back: a probe must have reached it first."""
    fail(breaker, 2)
    clock.now_s = 1_000
    assert not breaker.admits("n")
    breaker.probe("n", alive=False)
    assert not breaker.admits("n")
    breaker.probe("n", alive=True)
    assert breaker.admits("n")


def test_a_probe_that_succeeds_does_not_shorten_the_pause(breaker, clock) -> None:
    """A hospital that describes itself well and fails questions is not back yet."""
    fail(breaker, 2)
    breaker.probe("n", alive=True)
    clock.now_s = 1.9
    assert not breaker.admits("n")
    clock.now_s = 2.0
    assert breaker.admits("n")


def test_one_question_at_a_time_tries(breaker, clock) -> None:
    """While the trial runs nobody else is sent after it; its success opens the way, its failure doubles the pause."""
    fail(breaker, 2)
    for pause_s in (2, 4, 8, 16, 16):
        breaker.probe("n", alive=True)
        clock.now_s += pause_s - 0.1
        assert not breaker.admits("n")
        clock.now_s += 0.1
        assert [breaker.admits("n"), breaker.admits("n")] == [True, False]
        fail(breaker)
    breaker.probe("n", alive=True)
    clock.now_s += 16
    assert breaker.admits("n")
    breaker.record("n", alive=True)
    assert [breaker.admits("n"), breaker.admits("n")] == [True, True]


def test_a_crowd_that_fails_together_counts_once(breaker, clock) -> None:
    """Fifty questions in flight when a hospital dies do not suspend it for longer than two."""
    fail(breaker, 50)
    breaker.probe("n", alive=True)
    clock.now_s = 2.0
    assert breaker.admits("n")


def test_failed_probes_suspend_before_any_question_pays(breaker, clock) -> None:
    """However long it stays dead, its pause does not grow: a hospital that comes back is used soon."""
    for _ in range(20):
        breaker.probe("n", alive=False)
    assert not breaker.admits("n")
    clock.now_s = 2.0
    breaker.probe("n", alive=True)
    assert breaker.admits("n")
