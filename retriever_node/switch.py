"""The owner's switch: while it is off nothing leaves, across restarts and replicas, whatever the policy says.

Kept in the node's own memory, which every replica shares. It is looked at before anything is searched, and again inside
the transaction that charges a release: what was not charged before it was turned off does not leave after.
"""

import sqlite3
from typing import Final

from fedrag.core.errors import Refused
from retriever_node import audit

CODE: Final = "releasing_stopped"
_STOPPED: Final = "stopped"
_REASON_CHARACTERS: Final = 500


def require_releasing(connection: sqlite3.Connection) -> None:
    """Raises Refused(releasing_stopped), whoever asks and whatever for."""
    if stopped(connection) is not None:
        raise Refused("this hospital releases nothing at the moment", code=CODE)


def stopped(connection: sqlite3.Connection) -> tuple[str, str] | None:
    """Since when (ISO 8601, UTC) and why nothing leaves; None while things may."""
    row = connection.execute("SELECT at, decided FROM decisions WHERE what = ?", (_STOPPED,)).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def stop(connection: sqlite3.Connection, reason: str, now_s: float) -> None:
    """From the commit of this transaction on nothing leaves. Told again, the first moment and the new reason stand."""
    connection.execute(
        "INSERT INTO decisions VALUES (?, ?, ?) ON CONFLICT (what) DO UPDATE SET decided = excluded.decided",
        (_STOPPED, reason[:_REASON_CHARACTERS], audit.timestamp(now_s)),
    )
    audit.note(connection, "releasing_stopped", now_s, detail=reason[:_REASON_CHARACTERS])


def resume(connection: sqlite3.Connection, now_s: float) -> bool:
    """Things may leave again as the policy says; False where they might already."""
    done = connection.execute("DELETE FROM decisions WHERE what = ?", (_STOPPED,)).rowcount > 0
    if done:
        audit.note(connection, "releasing_resumed", now_s)
    return done
