"""Each description names the one before it, whatever happens to the hospital's passages."""

from datetime import UTC, datetime

import pytest

from fedrag.core.collection import CollectionDescription, EncoderIdentity
from retriever_node.chain import follow
from retriever_node.state import NodeState

ENCODER = EncoderIdentity(
    name="made", weights_sha256="0" * 64, precision="fp32", dimension=4, maximum_tokens=8, languages=("en",)
)


def described(passages: int, version: int = 1, collection: str = "guidelines", day: int = 1) -> CollectionDescription:
    return CollectionDescription(
        node="oakmere",
        collection=collection,
        version=version,
        encoder=ENCODER,
        release_class="public",
        passages=passages,
        described_at=datetime(2026, 1, day, tzinfo=UTC),
    )


@pytest.fixture
def state(tmp_path):
    state = NodeState(tmp_path / "state.sqlite")
    yield state
    state.close()


def test_each_names_the_digest_of_the_one_before(state) -> None:
    first = follow(state, described(10))
    second = follow(state, described(11, version=2, day=2))
    third = follow(state, described(12, version=3, day=3))
    assert first.previous == ""
    assert [second.previous, third.previous] == [first.digest, second.digest]
    assert [first.version, second.version, third.version] == [1, 2, 3]


def test_the_same_is_the_same_after_a_restart_and_from_a_replica(state, tmp_path) -> None:
    follow(state, described(10))
    last = follow(state, described(11, version=2))
    replica = NodeState(tmp_path / "state.sqlite")
    assert follow(replica, described(11, version=2)) == last
    assert follow(replica, described(11, version=2)).digest == last.digest
    after = follow(replica, described(12, version=3))
    replica.close()
    assert after.previous == last.digest
    assert follow(state, described(12, version=3)) == after


def test_passages_restored_from_a_backup_go_on_in_the_chain(state) -> None:
    """Their store counts from an older version; what was signed is not signed a second time."""
    follow(state, described(10))
    last = follow(state, described(11, version=2))
    restored = follow(state, described(10, version=1))
    assert restored.version == 3
    assert restored.previous == last.digest


def test_a_higher_version_is_another_link_though_nothing_else_changed(state) -> None:
    """As after `fedrag-node restore`: routers refuse what is not above what they saw."""
    last = follow(state, described(10, version=4))
    restored = follow(state, described(10, version=1_800_000_000))
    assert restored.version == 1_800_000_000
    assert restored.previous == last.digest
    assert follow(state, described(10, version=1_800_000_000)) == restored


def test_collections_have_chains_of_their_own(state) -> None:
    one = follow(state, described(10))
    other = follow(state, described(10, collection="leaflets"))
    assert other.previous == ""
    assert follow(state, described(11, version=2)).previous == one.digest


def test_the_digest_covers_all_but_the_signature() -> None:
    one = described(10)
    assert one.model_copy(update={"signature": "QUJD"}).digest == one.digest
    assert one.model_copy(update={"previous": "a" * 64}).digest != one.digest
    assert one.model_copy(update={"passages": 11}).digest != one.digest
