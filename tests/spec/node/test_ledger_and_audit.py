"""The ledger charges once, refuses beyond the quota, and the audit chain notices every change."""

import sqlite3
from pathlib import Path

import pytest

from fedrag.core.errors import IdentityError, IntegrityError, QuotaExceeded
from retriever_node import audit, ledger
from retriever_node.config import QuotaConfig
from retriever_node.handles import Recipient
from retriever_node.ledger import Disclosure
from retriever_node.state import NodeState

DAY = 86_400


def recipient(asker: str = "a", coordinator: str = "c", request: str = "r") -> Recipient:
    return Recipient(asker, "treatment", coordinator, request)


@pytest.fixture
def state(tmp_path: Path):
    opened = NodeState(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def charge(state: NodeState, who: Recipient, passages: str, quota: QuotaConfig, now_s: float = 0) -> None:
    with state.transaction() as connection:
        ledger.charge(connection, who, [Disclosure("d", ord(name), 10) for name in passages], quota, now_s)


def test_asking_again_for_the_same_is_free(state: NodeState) -> None:
    """A retry after a lost response costs nothing; three handles fit a quota of three however often they are asked."""
    quota = QuotaConfig(passages_per_request=3, passages_per_asker_per_day=3)
    for _ in range(5):
        charge(state, recipient(), "xyz", quota)
    with pytest.raises(QuotaExceeded):
        charge(state, recipient(request="r2"), "w", quota)


@pytest.mark.parametrize(
    ("quota", "second", "code"),
    [
        (QuotaConfig(passages_per_request=2), recipient(), "request_quota"),
        (QuotaConfig(passages_per_asker_per_day=2), recipient(request="r2"), "asker_quota"),
        (QuotaConfig(passages_per_coordinator_per_day=2), recipient(asker="b", request="r2"), "coordinator_quota"),
    ],
)
def test_each_quota_holds(state: NodeState, quota: QuotaConfig, second: Recipient, code: str) -> None:
    """Two passages are within each quota, the third is refused with its code."""
    charge(state, recipient(), "xy", quota)
    with pytest.raises(QuotaExceeded) as refused:
        charge(state, second, "z", quota)
    assert refused.value.code == code


def test_a_refused_charge_leaves_no_trace(state: NodeState) -> None:
    """A request for too much is refused whole: what would have fitted still fits afterwards."""
    quota = QuotaConfig(passages_per_asker_per_day=2)
    with pytest.raises(QuotaExceeded):
        charge(state, recipient(), "xyz", quota)
    charge(state, recipient(), "xy", quota)


def test_a_new_day_is_a_new_quota(state: NodeState) -> None:
    """Quotas per day count from midnight UTC."""
    quota = QuotaConfig(passages_per_asker_per_day=1)
    charge(state, recipient(), "x", quota, now_s=DAY - 1)
    charge(state, recipient(request="r2"), "y", quota, now_s=DAY)


def test_a_nonce_is_good_once(state: NodeState) -> None:
    """A request seen inside the window is a replay; long after it, the nonce is forgotten and its time refuses it."""
    state.remember_nonce("n", now_s=1_000, window_s=300)
    with pytest.raises(IdentityError) as refused:
        state.remember_nonce("n", now_s=1_200, window_s=300)
    assert refused.value.code == "replayed"
    state.remember_nonce("n", now_s=1_700, window_s=300)


def write_lines(state: NodeState, count: int) -> None:
    for number in range(count):
        with state.transaction() as connection:
            audit.append(connection, audit.AuditEvent(audit.timestamp(number), "offers", "r", "a", "treatment", "c"))


def read_lines(state: NodeState) -> list[str]:
    with state.transaction() as connection:
        return list(audit.lines(connection))


def test_an_untouched_chain_reads_back(state: NodeState) -> None:
    """Lines come oldest first."""
    write_lines(state, 3)
    lines = read_lines(state)
    assert len(lines) == 3
    assert all(f'"at":"1970-01-01T00:00:0{second}+00:00"' in line for second, line in enumerate(lines))


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET event = replace(event, 'offers', 'release') WHERE position = 2",
        "DELETE FROM audit WHERE position = 2",
        "DELETE FROM audit WHERE position = 1",
        "UPDATE audit SET head = (SELECT head FROM audit WHERE position = 1) WHERE position = 2",
    ],
    ids=["changed", "removed", "beginning removed", "head replaced"],
)
def test_tampering_breaks_the_chain(state: NodeState, tampering: str) -> None:
    """Whatever is done to a line in the file, reading the log says so."""
    write_lines(state, 3)
    with state.transaction() as connection:
        connection.execute(tampering)
    with pytest.raises(IntegrityError) as broken:
        read_lines(state)
    assert broken.value.code == "audit_broken"


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """A node never guesses at state that a later version wrote."""
    path = tmp_path / "state.sqlite"
    NodeState(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(IntegrityError):
        NodeState(path)
