"""The disclosure ledger: how much text each asker and coordinator was given. Text has no formal privacy bound."""

import hashlib
import sqlite3
from collections.abc import Mapping
from typing import Final

from fedrag.core.errors import QuotaExceeded
from retriever_node.config import QuotaConfig
from retriever_node.handles import Recipient

_DAY_S: Final = 86_400


def charge(
    connection: sqlite3.Connection,
    recipient: Recipient,
    text_bytes: Mapping[str, int],
    quota: QuotaConfig,
    now_s: float,
) -> None:
    """Charge a release, handle → bytes of text, before it is sent.

    Idempotent on (request, handle): asking again for what was already released is free.

    Raises QuotaExceeded when the request, its asker today, or its coordinator today would get more than the quota; the
    surrounding transaction then leaves no trace.
    """
    day = int(now_s) // _DAY_S
    connection.executemany(
        "INSERT OR IGNORE INTO charges VALUES (?, ?, ?, ?, ?, ?)",
        [
            (recipient.asker, recipient.coordinator, recipient.request_id, _digest(handle), day, size)
            for handle, size in text_bytes.items()
        ],
    )
    for code, limit, where, values in (
        ("request_quota", quota.passages_per_request, "request_id = ?", (recipient.request_id,)),
        ("asker_quota", quota.passages_per_asker_per_day, "asker = ? AND day = ?", (recipient.asker, day)),
        (
            "coordinator_quota",
            quota.passages_per_coordinator_per_day,
            "coordinator = ? AND day = ?",
            (recipient.coordinator, day),
        ),
    ):
        used = connection.execute(f"SELECT count(*) FROM charges WHERE {where}", values).fetchone()[0]  # noqa: S608
        if used > limit:
            raise QuotaExceeded("the disclosure quota is used up", code=code)


def _digest(handle: str) -> str:
    return hashlib.sha256(handle.encode()).hexdigest()
