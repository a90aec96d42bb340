"""Descriptions form a chain on the coordinator's disk, and what was seen survives a restart."""

from datetime import UTC, datetime

import numpy as np
import pytest

from fedrag import probes
from fedrag.core.collection import CollectionDescription, EncoderIdentity
from fedrag.kept_trust import Declared, Link, TrustStore
from router.trust import Density, Record, Trust, sighting

ENCODER = EncoderIdentity(
    name="made", weights_sha256="0" * 64, precision="fp32", dimension=4, maximum_tokens=8, languages=("en",)
)


def description(version: int, passages: int) -> CollectionDescription:
    return CollectionDescription(
        node="oakmere",
        collection="guidelines",
        version=version,
        encoder=ENCODER,
        release_class="public",
        passages=passages,
        described_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def place(tmp_path):
    return tmp_path / "trust.sqlite"


def test_every_break_of_the_chain_is_seen_after_a_restart_too(place) -> None:
    store = TrustStore(place)
    assert store.follow(description(1, 10)) is Link.FIRST
    assert store.follow(description(2, 11)) is Link.NEXT
    store.close()
    again = TrustStore(place)
    assert again.follow(description(2, 11)) is Link.SAME
    assert again.follow(description(2, 12)) is Link.FORK
    assert again.follow(description(1, 10)) is Link.ROLLBACK
    assert again.follow(description(5, 13)) is Link.GAP
    assert [version for _, _, version, _ in again.chain()] == [1, 2, 5]
    again.close()


def test_records_come_back_as_they_were(place) -> None:
    claims = Density(np.eye(4, dtype=np.float32)[:2], np.array([5.0, 7.0]))
    trust = Trust({"oakmere": Record.beginning(claims, vouched=True)})
    trust = trust.after(sighting(np.eye(4, dtype=np.float32)[0], {"oakmere": np.array([0.9])}), probe=True)
    store = TrustStore(place)
    store.put({"oakmere": (trust.records["oakmere"], 3)})
    ((record, vouched),) = store.records(4).values()
    assert vouched == 3
    assert record.claims.same(claims)
    assert record.proved.same(claims)
    assert record.probes.found.tolist() == trust.records["oakmere"].probes.found.tolist()
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
