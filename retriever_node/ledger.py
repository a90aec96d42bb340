"""The disclosure ledger: how much text each asker, project and coordinator was given, of which collection, on which
day. Text has no formal privacy bound; what there is instead is counted here, on disk, before any of it is sent.

A charge is one passage of one request. It is made once however often it is asked for and whichever replica answers:
a handle names a passage anew each time, the passage's own number does not change.

Days are UTC and never go back. A clock that was set back opens no quota: charges go on counting for the newest day
there is, and where that is more than a day ahead nothing is released until the owner has seen to it (`trust_clock`).
A clock that jumps ahead while the node runs opens none either (`retriever_node.steady_clock`).
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from fedrag.core.errors import QuotaExceeded, Refused
from fedrag.core.wire import NodeId
from retriever_node.config import QuotaConfig
from retriever_node.handles import Recipient
from retriever_node.policy import PassageQuota

DAY_S: Final = 86_400
PERIOD_DAYS: Final = 30
KEPT_DAYS: Final = 100
"""Older charges are in the audit log alone."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A passage that is about to leave: its collection, its number in the store, the bytes of its text."""

    collection: NodeId
    passage_id: int
    text_bytes: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a collection lets this asker have: the quota of its grant, and how many passages it holds."""

    quota: PassageQuota
    passages: int


_Limit = tuple[str, float | None, int]
"""Code, most, used."""


def charge(
    connection: sqlite3.Connection,
    recipient: Recipient,
    disclosures: Sequence[Disclosure],
    quota: QuotaConfig,
    now_s: float,
    allowances: Mapping[NodeId, Allowance] = MappingProxyType({}),
) -> None:
    """Charge a release before it is sent. A passage that this asker was given for this request before is free.

    Raises QuotaExceeded: `request_quota`, `asker_quota`, `coordinator_quota`, `project_quota`, `collection_quota`,
    `month_quota`, `share_quota`; Refused: `clock_jumped`. The surrounding transaction then leaves no trace.
    """
    if isinstance(disclosures, Mapping):
        disclosures = [Disclosure("", handle, size) for handle, size in disclosures.items()]
    day = _day(connection, now_s)
    connection.executemany(
        "INSERT OR IGNORE INTO charges VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                recipient.coordinator,
                recipient.asker,
                recipient.request_id,
                str(one.passage_id),
                one.collection,
                recipient.project,
                day,
                one.text_bytes,
            )
            for one in disclosures
        ],
    )
    for code, most, used in _limits(connection, recipient, disclosures, quota, day, allowances):
        if most is not None and used > most:
            raise QuotaExceeded("the disclosure quota is used up", code=code)


def given(
    connection: sqlite3.Connection, recipient: Recipient, disclosures: Sequence[Disclosure], now_s: float
) -> frozenset[Disclosure]:
    """Those of them that this asker was given before within 30 days: what an identical question replays is free."""
    since = int(now_s) // DAY_S - PERIOD_DAYS
    return frozenset(
        one
        for one in disclosures
        if connection.execute(
            "SELECT 1 FROM charges WHERE asker = ? AND collection = ? AND passage = ? AND day > ?",
            (recipient.asker, one.collection, str(one.passage_id), since),
        ).fetchone()
    )


def trust_clock(connection: sqlite3.Connection, now_s: float) -> int:
    """After a clock was wrong: what was charged to days to come counts for today, so nothing is given twice. Returns
    how many charges that were."""
    today = int(now_s) // DAY_S
    connection.execute(
        "INSERT INTO spent SELECT what, who, collection, ?, sum(passages) FROM spent WHERE day > ? "
        "GROUP BY what, who, collection ON CONFLICT DO UPDATE SET passages = passages + excluded.passages",
        (today, today),
    )
    connection.execute("DELETE FROM spent WHERE day > ?", (today,))
    return connection.execute("UPDATE charges SET day = ? WHERE day > ?", (today, today)).rowcount


def _day(connection: sqlite3.Connection, now_s: float) -> int:
    """The day that counts now: today, or the newest that was charged to."""
    today = int(now_s) // DAY_S
    (newest,) = connection.execute("SELECT max(day) FROM charges").fetchone()
    if newest is None or newest == today:
        return today
    if newest > today + 1:
        raise Refused("the clock is days behind what was charged", code="clock_jumped")
    if newest > today:
        return int(newest)
    for table in ("charges", "spent"):
        connection.execute(f"DELETE FROM {table} WHERE day < ?", (today - KEPT_DAYS,))  # noqa: S608 - constants
    return today


def _limits(
    connection: sqlite3.Connection,
    recipient: Recipient,
    disclosures: Sequence[Disclosure],
    quota: QuotaConfig,
    day: int,
    allowances: Mapping[NodeId, Allowance],
) -> Iterator[_Limit]:
    who = (recipient.coordinator, recipient.asker, recipient.request_id)
    (asked,) = connection.execute(
        "SELECT count(*) FROM charges WHERE coordinator = ? AND asker = ? AND request_id = ?", who
    ).fetchone()
    yield "request_quota", quota.passages_per_request, asked
    yield "asker_quota", quota.passages_per_asker_per_day, _spent(connection, day, "asker", recipient.asker)
    everyone = _spent(connection, day, "coordinator", recipient.coordinator)
    yield "coordinator_quota", quota.passages_per_coordinator_per_day, everyone
    for collection in dict.fromkeys(one.collection for one in disclosures):
        if collection in allowances:
            yield from _limits_of(connection, collection, recipient, day, allowances[collection])


def _limits_of(
    connection: sqlite3.Connection, collection: NodeId, recipient: Recipient, day: int, allowance: Allowance
) -> Iterator[_Limit]:
    granted, asker = allowance.quota, recipient.asker
    yield "asker_quota", granted.per_asker_per_day, _spent(connection, day, "asker", asker, collection)
    if recipient.project:
        project = _spent(connection, day, "project", recipient.project, collection)
        yield "project_quota", granted.per_project_per_day, project
    yield "collection_quota", granted.per_day, _spent(connection, day, "everybody", "", collection)
    in_30_days = _spent(connection, day, "asker", asker, collection, days=PERIOD_DAYS)
    yield "month_quota", granted.per_asker_per_30_days, in_30_days
    if granted.share_per_30_days is not None:
        most = granted.share_per_30_days * allowance.passages
        if in_30_days > most:  # else there cannot be more distinct ones either
            yield "share_quota", most, _distinct(connection, collection, asker, day)


def _spent(
    connection: sqlite3.Connection, day: int, what: str, who: str, collection: NodeId = "", *, days: int = 1
) -> int:
    """Passages charged in so many days up to this one, of one collection or of all; a trigger on `charges` adds up."""
    (passages,) = connection.execute(
        "SELECT coalesce(sum(passages), 0) FROM spent WHERE what = ? AND who = ? AND collection = ? AND day > ?",
        (what, who, collection, day - days),
    ).fetchone()
    return int(passages)


def _distinct(connection: sqlite3.Connection, collection: NodeId, asker: str, day: int) -> int:
    (passages,) = connection.execute(
        "SELECT count(DISTINCT passage) FROM charges WHERE asker = ? AND collection = ? AND day > ?",
        (asker, collection, day - PERIOD_DAYS),
    ).fetchone()
    return int(passages)
