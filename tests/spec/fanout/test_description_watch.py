"""The catalogue follows the members: newcomers soon, the dead left alone and found again, leavers forgotten."""

import asyncio
from datetime import UTC, datetime

import pytest

from fedrag.circuit import CircuitBreaker
from fedrag.core.collection import CollectionDescription, EncoderIdentity, NodeDescription
from fedrag.core.errors import Unavailable
from fedrag.core.protocols import Reply
from fedrag.descriptions import REFRESH_S, DescriptionWatch
from fedrag.http.signing import Signer

KEY = Signer.generate().public_key


class Hospital:
    """Describes itself while alive; counts how often it was asked."""

    def __init__(self, node: str) -> None:
        self.id, self.alive, self.asked = node, True, 0

    async def describe(self, deadline) -> Reply[NodeDescription]:
        self.asked += 1
        if not self.alive:
            raise Unavailable("down", code="unreachable")
        return Reply(NodeDescription(node=self.id, name=self.id.title(), public_key=KEY, collections=()), 1)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(clock=clock)


async def test_a_newcomer_is_described_and_a_leaver_forgotten(breaker, clock) -> None:
    """Also one that came back with another key: what its old key said counts no more."""
    members = {"a": Hospital("a")}
    watch = DescriptionWatch(lambda: members, breaker, clock)
    await watch.refresh()
    members["b"] = Hospital("b")
    await watch.refresh()
    assert (watch.name_of("a"), watch.name_of("b")) == ("A", "B")
    del members["a"]
    members["b"] = Hospital("b")
    members["b"].alive = False
    await watch.refresh()
    assert (watch.name_of("a"), watch.name_of("b")) == ("a", "b")
    assert set(watch.catalogue().descriptions) == set()


async def test_a_dead_hospital_is_asked_less_and_less_and_found_again(breaker, clock, monkeypatch) -> None:
    """After 1, 2, 4, 8 and then every 15 seconds; suspended after the second miss, admitted when it is back."""
    monkeypatch.setattr("fedrag.descriptions._TICK_S", 0)
    dead = Hospital("dead")
    dead.alive = False
    watch = DescriptionWatch(lambda: {"dead": dead}, breaker, clock)
    running = asyncio.create_task(watch.run())
    asked_at = []
    for second in range(80):
        clock.now_s = float(second)
        before = dead.asked
        for _ in range(10):
            await asyncio.sleep(0)
        asked_at += [second] * (dead.asked - before)
        assert breaker.admits("dead") == (second < 1)
    assert asked_at == [0, 1, 3, 7, 15, 30, 45, 60, 75]
    dead.alive = True
    clock.now_s = 90.0
    for _ in range(10):
        await asyncio.sleep(0)
    assert breaker.admits("dead")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_hospital_that_hangs_holds_up_nobody(breaker, clock, monkeypatch) -> None:
    """The others are refreshed while it is still being asked, and it is not asked twice at once."""
    monkeypatch.setattr("fedrag.descriptions._TICK_S", 0)
    well, hung = Hospital("well"), Hospital("hung")

    async def hang(deadline):
        hung.asked += 1
        await asyncio.sleep(60)

    hung.describe = hang
    watch = DescriptionWatch(lambda: {"well": well, "hung": hung}, breaker, clock)
    running = asyncio.create_task(watch.run())
    for step in range(4):
        clock.now_s = step * REFRESH_S
        for _ in range(10):
            await asyncio.sleep(0)
    assert (well.asked, hung.asked) == (4, 1)
    before = asyncio.all_tasks()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(asyncio.all_tasks()) < len(before)


async def test_a_description_that_goes_back_is_refused_and_told(breaker, clock) -> None:
    """The catalogue keeps what it knew, and names who says otherwise now; until it says so no longer."""
    hospital = Hospital("a")
    versions = {
        version: CollectionDescription(
            node="a",
            collection="guidelines",
            version=version,
            encoder=EncoderIdentity(
                name="e", weights_sha256="0" * 64, precision="fp32", dimension=3, maximum_tokens=8, languages=("en",)
            ),
            release_class="public",
            passages=version,
            described_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for version in (1, 2)
    }

    coming = iter((2, 1, 1, 2))

    async def describe(deadline):
        described = NodeDescription(node="a", name="A", public_key=KEY, collections=(versions[next(coming)],))
        return Reply(described, 1)

    hospital.describe = describe
    members = {"a": hospital}
    watch, told = DescriptionWatch(lambda: members, breaker, clock), []
    for _ in range(4):
        await watch.refresh()
        told.append([one.collections[0].version for one in watch.catalogue().stale.values()])
        assert [one.version for one in watch.catalogue().collections()] == [2]
    assert told == [[], [1], [1], []]
