"""Descriptions form a chain on the coordinator's disk, and what was seen survives a restart."""

import sqlite3
from datetime import UTC, datetime

import numpy as np
import pytest

from fedrag import probes
from fedrag.core.collection import CollectionDescription, EncoderIdentity
from fedrag.kept_trust import Declared, Link, TrustStore
from router.density import Density
from router.evidence import Trial
from router.record import Record
from router.trust import Trust, sighting

ENCODER = EncoderIdentity(
    name="made", weights_sha256="0" * 64, precision="fp32", dimension=4, maximum_tokens=8, languages=("en",)
)


def description(version: int, passages: int, previous: str = "") -> CollectionDescription:
    return CollectionDescription(
        node="oakmere",
        collection="guidelines",
        version=version,
        encoder=ENCODER,
        release_class="public",
        passages=passages,
        described_at=datetime(2026, 1, 1, tzinfo=UTC),
        previous=previous,
    )


@pytest.fixture
def place(tmp_path):
    return tmp_path / "trust.sqlite"


def test_every_break_of_the_chain_is_seen_after_a_restart_too(place) -> None:
    first = description(1, 10)
    second = description(2, 11, first.digest)
    third = description(3, 12, second.digest)
    store = TrustStore(place)
    assert [store.follow(one) for one in (first, second, third)] == [Link.FIRST, Link.NEXT, Link.NEXT]
    store.close()
    again = TrustStore(place)
    assert again.follow(third) is Link.SAME
    assert again.follow(description(6, 15, "a" * 64)) is Link.GAP
    assert again.follow(second) is Link.ROLLBACK
    assert again.follow(description(3, 99, first.digest)) is Link.FORK
    assert [version for _, _, version, _ in again.chain()] == [1, 2, 3, 6, 2, 3]
    again.close()


@pytest.mark.parametrize(
    ("version", "passages", "previous"),
    [(2, 12, "first"), (3, 12, "first"), (3, 12, ""), (1, 12, "")],
    ids=["same version", "next, of an older one", "next, of none", "a new beginning"],
)
def test_a_second_history_is_a_fork_whatever_its_version(place, version, passages, previous) -> None:
    """Signed with the hospital's own key, and yet not what follows the last one."""
    first = description(1, 10)
    store = TrustStore(place)
    store.follow(first)
    store.follow(description(2, 11, first.digest))
    forked = description(version, passages, first.digest if previous else "")
    assert store.follow(forked) is Link.FORK
    assert store.follow(forked) is Link.SAME
    store.close()


def test_a_backup_is_told_from_a_fork_and_once(place) -> None:
    """It goes on from what it knew at the time, under a version that it cannot have given out."""
    first = description(1, 10)
    store = TrustStore(place)
    store.follow(first)
    store.follow(description(2, 11, first.digest))
    restored = description(1_800_000_000, 10, first.digest)
    assert store.follow(restored) is Link.RESTORED
    assert store.follow(restored) is Link.SAME
    assert store.follow(description(1_800_000_001, 12, restored.digest)) is Link.NEXT
    store.close()


def test_what_the_operator_said_outlives_the_first_format(place) -> None:
    """Records and chain of format 1 are dropped, and seen again."""
    store = TrustStore(place)
    store.declare("oakmere", "trust-a", vouch=True)
    store.close()
    database = sqlite3.connect(place)
    for statement in ("DROP TABLE chain", "CREATE TABLE chain (node TEXT)", "PRAGMA user_version = 1"):
        database.execute(statement)
    database.close()
    again = TrustStore(place)
    assert again.declared() == {"oakmere": Declared("trust-a", 1)}
    assert again.follow(description(1, 10)) is Link.FIRST
    again.close()


def test_what_was_seen_under_the_second_format_is_seen_again(place) -> None:
    """It did not tell probes apart by whose claims they were about; chain and declarations stay."""
    first = description(1, 10)
    store = TrustStore(place)
    store.follow(first)
    store.declare("oakmere", "trust-a")
    store.put({"oakmere": (Record.beginning(Density.nothing(4)), 0)})
    store.close()
    database = sqlite3.connect(place)
    database.execute("PRAGMA user_version = 2")
    database.execute("UPDATE records SET record = '{}'")
    database.commit()
    database.close()
    again = TrustStore(place)
    assert again.records(4) == {}
    assert again.follow(first) is Link.SAME
    assert again.declared()["oakmere"].organisation == "trust-a"
    again.close()


def test_records_come_back_as_they_were(place) -> None:
    claims = Density(np.eye(4, dtype=np.float32)[:2], np.array([5.0, 7.0]))
    trust = Trust({"oakmere": Record.beginning(claims, vouched=True)})
    trust = trust.after(sighting(np.eye(4, dtype=np.float32)[0], {"oakmere": np.array([0.9])}), about="oakmere")
    store = TrustStore(place)
    store.put({"oakmere": (trust.records["oakmere"], 3)})
    ((record, vouched),) = store.records(4).values()
    assert vouched == 3
    assert record.claims.same(claims)
    assert record.proved.same(claims)
    for test in Trial:
        assert record.sums[test].found.tolist() == trust.records["oakmere"].sums[test].found.tolist()
        assert record.sums[test].odds.tolist() == trust.records["oakmere"].sums[test].odds.tolist()
    assert store.records(5) == {}
    store.close()


def test_the_operators_word_is_kept_beside(place) -> None:
    store = TrustStore(place)
    store.declare("oakmere", vouch=True)
    store.declare("oakmere", "trust-a")
    store.declare("ashby")
    assert store.declared() == {"oakmere": Declared("trust-a", 1), "ashby": Declared("ashby", 0)}
    store.close()


def test_probes_are_the_nearest_unused_questions_about_each_prototype() -> None:
    """Of four directions, each with three questions, a hospital that claims two gets theirs and then others."""
    pool = np.repeat(np.eye(4, dtype=np.float32), 3, axis=0)
    record = Record.beginning(Density(np.eye(4, dtype=np.float32)[[2, 0]], np.array([9.0, 5.0])))
    first = probes.about(record, pool, (), 3)
    assert first == [6, 7, 8]
    assert probes.about(record, pool, {6}, 2) == [7, 8]
    assert len(set(probes.about(record, pool, ()))) == len(pool)


def test_the_shipped_list_makes_different_questions() -> None:
    listed = probes.listed()
    assert len(listed) == len(set(listed)) == len(probes.topics()) * len(probes.WAYS)
    assert all(one.endswith("?") for one in listed)
