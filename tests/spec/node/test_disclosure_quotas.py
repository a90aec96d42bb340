"""Text is charged once per request and passage, per asker, project, collection and coordinator, by days that never go
back."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedrag.core.errors import QuotaExceeded, Refused
from retriever_node import ledger
from retriever_node.config import QuotaConfig
from retriever_node.handles import Recipient
from retriever_node.ledger import Allowance, Disclosure
from retriever_node.policy import PassageQuota
from retriever_node.state import _SCHEMAS, NodeState
from retriever_node.steady_clock import SLACK_S, SteadyClock

DAY = 86_400
START = 20_000 * DAY
ROOMY = QuotaConfig()


@pytest.fixture
def state(tmp_path: Path):
    opened = NodeState(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def give(
    state: NodeState,
    passages: Iterable[int],
    granted: PassageQuota | None = None,
    *,
    asker: str = "a",
    request: str = "r",
    project: str = "",
    coordinator: str = "c",
    collection: str = "notes",
    size: int = 1_000,
    quota: QuotaConfig = ROOMY,
    now_s: float = START,
) -> str:
    """The code of what came of it; "given" where it was charged."""
    who = Recipient(asker, "treatment", coordinator, request, project)
    allowances = {collection: Allowance(granted, size)} if granted else {}
    try:
        with state.transaction() as connection:
            disclosures = [Disclosure(collection, number, 10) for number in passages]
            ledger.charge(connection, who, disclosures, quota, now_s, allowances)
    except Refused as refused:
        return refused.code
    return "given"


def charged(state: NodeState) -> int:
    with state.reading() as connection:
        return connection.execute("SELECT count(*) FROM charges").fetchone()[0]


def test_a_passage_of_a_request_is_paid_once_whatever_handle_named_it(state: NodeState) -> None:
    """Two replicas seal two handles for the same passage: what is charged is the passage."""
    quota = QuotaConfig(passages_per_asker_per_day=2)
    assert [give(state, [1, 2], quota=quota) for _ in range(3)] == ["given"] * 3
    assert charged(state) == 2
    assert give(state, [3], quota=quota) == "asker_quota"


@pytest.mark.parametrize("other", [{"asker": "b"}, {"coordinator": "d"}, {"request": "s"}], ids=str)
def test_what_one_was_given_is_free_for_nobody_else(state: NodeState, other: dict[str, str]) -> None:
    """A coordinator that uses a request's id again, for another asker, pays for it; so does another request."""
    assert give(state, [1, 2]) == "given"
    assert give(state, [1, 2], **other) == "given"
    assert charged(state) == 4


@pytest.mark.parametrize(
    ("granted", "second", "code"),
    [
        (PassageQuota(per_asker_per_day=3), {"request": "s"}, "asker_quota"),
        (PassageQuota(per_asker_per_day=3), {"request": "s", "asker": "b"}, "given"),
        (PassageQuota(per_asker_per_day=3), {"request": "s", "now_s": START + DAY}, "given"),
        (PassageQuota(per_project_per_day=3), {"asker": "b", "project": "study"}, "project_quota"),
        (PassageQuota(per_project_per_day=3), {"asker": "b", "project": "other"}, "given"),
        (PassageQuota(per_day=3), {"asker": "b", "coordinator": "d"}, "collection_quota"),
        (PassageQuota(per_day=3), {"asker": "b", "collection": "letters"}, "given"),
        (PassageQuota(per_asker_per_30_days=3), {"request": "s", "now_s": START + 29 * DAY}, "month_quota"),
        (PassageQuota(per_asker_per_30_days=3), {"request": "s", "now_s": START + 30 * DAY}, "given"),
        (PassageQuota(share_per_30_days=0.003), {"request": "s", "now_s": START + 29 * DAY}, "share_quota"),
        (PassageQuota(share_per_30_days=0.004), {"request": "s"}, "given"),
        (PassageQuota(share_per_30_days=0.003), {"request": "s", "now_s": START + 30 * DAY}, "given"),
    ],
)
def test_each_quota_of_a_grant_holds_and_no_further(state: NodeState, granted, second, code) -> None:
    """Three passages first, of 1,000; then passages 3 and 4, of which one is new."""
    first = {"project": "study"} if second.get("project") else {}
    assert give(state, [1, 2, 3], granted, **first) == "given"
    assert give(state, [3, 4], granted, **second) == code


def test_a_share_counts_passages_not_how_often_they_were_given(state: NodeState) -> None:
    """Three of a thousand, asked for in ten requests, stay three of a thousand; the fourth is one too many."""
    granted = PassageQuota(share_per_30_days=0.003)
    assert {give(state, [1, 2, 3], granted, request=f"r{turn}") for turn in range(10)} == {"given"}
    assert give(state, [4], granted, request="s") == "share_quota"


def test_a_refused_release_of_several_collections_leaves_no_trace(state: NodeState) -> None:
    """The second collection's quota refuses the whole."""
    who = Recipient("a", "treatment", "c", "r")
    allowances = {"x": Allowance(PassageQuota(), 10), "y": Allowance(PassageQuota(per_day=1), 10)}
    disclosures = [Disclosure("x", 1, 10), Disclosure("y", 2, 10), Disclosure("y", 3, 10)]
    with pytest.raises(QuotaExceeded), state.transaction() as connection:
        ledger.charge(connection, who, disclosures, ROOMY, START, allowances)
    assert charged(state) == 0


@pytest.mark.parametrize("back_s", [1, DAY - 1, DAY], ids=["a second", "most of a day", "a day"])
def test_a_clock_set_back_opens_no_quota(state: NodeState, back_s: int) -> None:
    """What was charged today goes on counting, whatever day the clock says it is."""
    quota = QuotaConfig(passages_per_asker_per_day=2)
    assert give(state, [1, 2], quota=quota) == "given"
    assert give(state, [3], quota=quota, request="s", now_s=START - back_s) == "asker_quota"


def test_a_clock_days_behind_what_was_charged_is_a_denial_until_the_owner_has_seen_to_it(state: NodeState) -> None:
    """Charges of a wrong tomorrow then count for today: nothing is given twice, and it goes on."""
    quota = QuotaConfig(passages_per_asker_per_day=2)
    assert give(state, [1, 2], quota=quota, now_s=START + 900 * DAY) == "given"
    assert give(state, [3], quota=quota, request="s") == "clock_jumped"
    with state.transaction() as connection:
        assert ledger.trust_clock(connection, START) == 2
    assert give(state, [3], quota=quota, request="s") == "asker_quota"
    assert give(state, [3], quota=quota, request="s", now_s=START + DAY) == "given"


def test_old_charges_are_forgotten_and_no_quota_opens_by_it(state: NodeState) -> None:
    """Only what no quota looks at any more."""
    assert give(state, [1]) == "given"
    assert give(state, [2], request="s", now_s=START + (ledger.KEPT_DAYS + 1) * DAY) == "given"
    assert charged(state) == 1
    assert ledger.KEPT_DAYS > ledger.PERIOD_DAYS


def test_a_jump_ahead_while_the_node_runs_opens_nothing() -> None:
    """The steady clock goes with the machine: a day ahead at once is five minutes ahead; a day later it is a day."""
    wall, up = [START + 0.0], [50.0]
    steady = SteadyClock(lambda: wall[0], lambda: up[0])
    assert steady() == START
    wall[0] += 40 * DAY
    assert steady() == START + SLACK_S
    up[0] += DAY
    assert START + DAY <= steady() <= START + 1.01 * DAY + SLACK_S
    wall[0] = START - 5
    assert steady() == START - 5


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.integers(0, 5), st.frozensets(st.integers(0, 9), min_size=1), st.integers(-1, 3)
        ),
        max_size=40,
    )
)
def test_whatever_is_asked_in_whatever_order_no_quota_is_exceeded(tmp_path_factory, asked) -> None:
    """Against a ledger kept by hand: a request is given exactly when every quota allows it, and days never go back."""
    state = NodeState(tmp_path_factory.mktemp("ledger") / "state.sqlite")
    quota = QuotaConfig(passages_per_request=4, passages_per_asker_per_day=6, passages_per_coordinator_per_day=9)
    granted = PassageQuota(per_asker_per_30_days=12, share_per_30_days=0.8)
    by_hand: dict[tuple[str, int, int], int] = {}
    today, newest = 0, -1_000
    for asker, request, passages, days in asked:
        today += days
        day = max(today, newest)
        hoped = dict.fromkeys(((asker, request, passage) for passage in passages), day) | by_hand
        mine = {key: at for key, at in hoped.items() if key[0] == asker}
        may = (
            newest <= today + 1
            and sum(key[1] == request for key in mine) <= 4
            and sum(at == day for at in mine.values()) <= 6
            and sum(at == day for at in hoped.values()) <= 9
            and sum(at > day - 30 for at in mine.values()) <= 12
            and len({key[2] for key, at in mine.items() if at > day - 30}) <= 8
        )
        became = give(
            state, passages, granted, asker=asker, request=str(request), size=10, quota=quota, now_s=START + today * DAY
        )
        assert (became == "given") == may, became
        if may:
            by_hand = hoped
            newest = max(by_hand.values())
    assert charged(state) == len(by_hand)
    with state.reading() as connection:
        added_up = connection.execute("SELECT sum(passages) FROM spent WHERE what = 'coordinator'").fetchone()[0]
    assert (added_up or 0) == len(by_hand)
    state.close()


def test_a_ledger_of_the_format_before_is_taken_over(tmp_path: Path) -> None:
    """What an earlier version charged goes on counting."""
    path = tmp_path / "state.sqlite"
    database = sqlite3.connect(path)
    for added in _SCHEMAS[:2]:
        database.executescript(added)
    database.execute("INSERT INTO charges VALUES ('a', 'c', 'r', 'digest', ?, 10)", (START // DAY,))
    database.execute("PRAGMA user_version = 2")
    database.commit()
    database.close()
    state = NodeState(path)
    quota = QuotaConfig(passages_per_asker_per_day=2)
    assert give(state, [1], quota=quota, request="s") == "given"
    assert give(state, [2], quota=quota, request="s") == "asker_quota"
    state.close()
