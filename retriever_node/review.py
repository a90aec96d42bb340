"""The release queue: what somebody of the hospital looks at before it leaves.

    pending → approved | denied | expired            what was approved is fetched by who asked, until it is over

Every question that states a reason makes an entry, whether it found something or not, and is over at a time that
depends on nothing but when it was asked: who waits cannot tell a denial from an expiry or from nothing found. Staff
sees only what holds passages; a question asked again in nearly the same words waits behind the first.
"""

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from math import ceil
from typing import Any, Final

from fedrag.core.errors import InputError, NotFound
from fedrag.core.exchange import Citation
from fedrag.core.identity import Purpose, Role
from fedrag.core.quantities import facts_of
from fedrag.core.wire import NodeId
from retriever_node import audit
from retriever_node.config import ReviewConfig
from retriever_node.handles import Recipient
from retriever_node.policy import NodeAsker
from retriever_node.terms import terms_of

_DAY_S: Final = 86_400
_NEARLY: Final = 0.8
"""Share of their terms that two questions have in common (Jaccard) from which on they are asked as one."""
_COLUMNS: Final = (
    "id, request_id, coordinator, asker, role, issuer, project, purpose, question, reason, passages, made_at, until, "
    "state, decided_at, decided_by, note, released_at"
)
_WHOSE: Final = (
    "request_id = ? AND coordinator = ? AND asker = ? AND role = ? AND issuer = ? AND project = ? AND purpose = ?"
)


class State(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Held:
    """A passage that waits. `extract`: as in `SealedPassage`; `sha256`: of what would have left when it was asked for
    (`form_sha256`), the only thing that may; `handle`: under which it is released, known to nobody before."""

    passage_id: int
    collection: NodeId
    probability: float
    extract: tuple[int, int]
    sha256: str
    handle: str = ""
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked what, and why. `question` is empty where it was shown as a vector alone."""

    recipient: Recipient
    role: str
    issuer: str
    question: str
    reason: str

    @classmethod
    def by(cls, asker: NodeAsker, recipient: Recipient, question: str | None, reason: str) -> "Asked":
        return cls(recipient, asker.role or "", asker.issuer or "", question or "", reason)

    @property
    def asker(self) -> NodeAsker:
        return NodeAsker(
            self.recipient.asker,
            Role(self.role) if self.role else None,
            Purpose(self.recipient.purpose),
            self.issuer or None,
            self.recipient.project or None,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """Times in Unix seconds. `until`: when it is over; `note`: why it was denied, for the hospital's own eyes;
    `released_at`: when approved text was first fetched; `again`: how many more times it was asked meanwhile."""

    id: int
    asked: Asked
    held: tuple[Held, ...]
    made_at: int
    until: int
    state: State
    decided_at: int | None
    decided_by: str
    note: str
    released_at: int | None
    again: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a request stands for who asked it. `open`: whether something may still come."""

    open: bool
    approved: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Numbers:
    """Entries that held passages, by what became of them, and how many questions found nothing to hold."""

    pending: int
    approved: int
    denied: int
    expired: int
    fetched: int
    median_decision_s: float | None
    without_passages: int


def form_sha256(text: str, citation: Citation) -> str:
    """Equal where exactly the same would leave: the text, and everything a citation says."""
    return hashlib.sha256(f"{citation.model_dump_json()}\n{text}".encode()).hexdigest()


def queue(
    connection: sqlite3.Connection, asked: Asked, held: Sequence[Held], settings: ReviewConfig, now_s: float
) -> int | None:
    """Let a question wait, whatever it found; until when, or None where its asker or everybody together has had the
    day's share. Idempotent on the request."""
    made_at, recipient = int(now_s), asked.recipient
    until = ceil(now_s + settings.expires_h * 3600)
    _expire(connection, now_s)
    connection.execute("DELETE FROM reviews WHERE until < ?", (made_at - settings.keep_days * _DAY_S,))
    if (known := _row(connection, recipient, asked.asker)) is not None:
        return known.until
    today = made_at // _DAY_S * _DAY_S
    for limit, where, values in (
        (settings.per_asker_per_day, "asker = ? AND made_at >= ?", (recipient.asker, today)),
        (settings.per_coordinator_per_day, "coordinator = ? AND made_at >= ?", (recipient.coordinator, today)),
    ):
        made = connection.execute(f"SELECT count(*) FROM reviews WHERE {where}", values).fetchone()[0]  # noqa: S608
        if made >= limit:
            return None
    first = _near_identical(connection, asked, now_s, settings)
    kept = [
        replace(one, handle=secrets.token_urlsafe(48), approved=False)
        for one in (held[: settings.passages] if first is None else first.held)
    ]
    done = connection.execute(
        "INSERT OR IGNORE INTO reviews (request_id, coordinator, asker, role, issuer, project, purpose, question, "
        "reason, passages, made_at, until, same_as, state, decided_at, decided_by, note) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            recipient.request_id,
            recipient.coordinator,
            recipient.asker,
            asked.role,
            asked.issuer,
            recipient.project,
            recipient.purpose,
            asked.question,
            asked.reason,
            _dumped(kept),
            made_at,
            until,
            None if first is None else first.id,
            State.PENDING if first is None else first.state,
            None if first is None else first.decided_at,
            "" if first is None else first.decided_by,
            "" if first is None else first.note,
        ),
    )
    if done.rowcount == 0:  # this request of this asker, in another role or for another purpose
        return None
    _log(connection, "review_queued", asked, kept, now_s)
    return until


def standing(connection: sqlite3.Connection, recipient: Recipient, asker: NodeAsker, now_s: float) -> Standing:
    """What may leave now, for exactly this asker, in this role and project, for this purpose and request. Before its
    own beginning, which is a clock that was put back, nothing does."""
    whose = _whose(recipient, asker)
    columns = "id, state, made_at, until, decided_at"
    found = connection.execute(f"SELECT {columns} FROM reviews WHERE {_WHOSE}", whose).fetchone()  # noqa: S608
    if found is None:
        return Standing(open=False)
    number, state, made_at, until, decided_at = found
    if now_s >= until:
        return Standing(open=False)
    if state != State.APPROVED or now_s < made_at or now_s < (decided_at or 0):
        return Standing(open=True)
    (entry,) = _entries(connection, "id = ?", number)  # not before: how long it takes tells that there is something
    return Standing(open=True, approved=tuple(one for one in entry.held if one.approved))


def fetched(connection: sqlite3.Connection, recipient: Recipient, now_s: float) -> None:
    """Note that approved text was released, the first time."""
    connection.execute(
        "UPDATE reviews SET released_at = ? WHERE coordinator = ? AND request_id = ? AND asker = ? "
        "AND released_at IS NULL",
        (int(now_s), recipient.coordinator, recipient.request_id, recipient.asker),
    )


def entries(connection: sqlite3.Connection, now_s: float, states: Iterable[State] = tuple(State)) -> tuple[Entry, ...]:
    """Those that somebody can decide or has decided, oldest first."""
    _expire(connection, now_s)
    wanted = set(states)
    return tuple(
        one
        for one in _entries(connection, "same_as IS NULL AND passages != '[]' ORDER BY made_at, id")
        if one.state in wanted
    )


def entry(connection: sqlite3.Connection, number: int, now_s: float) -> Entry:
    """Raises NotFound(unknown_review)."""
    _expire(connection, now_s)
    for one in _entries(connection, "id = ? AND same_as IS NULL AND passages != '[]'", number):
        return one
    raise NotFound(f"no entry {number} in the release queue", code="unknown_review")


def approve(
    connection: sqlite3.Connection, number: int, passages: Iterable[int], by: str, now_s: float
) -> tuple[Entry, ...]:
    """Let these of the entry's passages leave, 1 the first, and none of its others. Returns it and those behind it.

    Raises NotFound(unknown_review), InputError: already_decided, unknown_passage, not_signed.
    """
    chosen, there = frozenset(passages), range(1, len(entry(connection, number, now_s).held) + 1)
    if not chosen or not chosen.issubset(there):
        raise InputError(f"entry {number} has passages 1 to {len(there)}: name one or more", code="unknown_passage")
    return _decide(connection, number, State.APPROVED, chosen, by, "", now_s)


def deny(connection: sqlite3.Connection, number: int, by: str, note: str, now_s: float) -> tuple[Entry, ...]:
    """Let nothing leave; `note` says why, to the hospital alone. Raises as `approve`."""
    return _decide(connection, number, State.DENIED, frozenset(), by, note, now_s)


def numbers(connection: sqlite3.Connection, now_s: float) -> Numbers:
    """What is still kept, counted."""
    found = entries(connection, now_s)
    of_state = {state: sum(one.state is state for one in found) for state in State}
    took = sorted(one.decided_at - one.made_at for one in found if one.decided_at is not None)
    empty = connection.execute("SELECT count(*) FROM reviews WHERE passages = '[]'").fetchone()[0]
    return Numbers(
        pending=of_state[State.PENDING],
        approved=of_state[State.APPROVED],
        denied=of_state[State.DENIED],
        expired=of_state[State.EXPIRED],
        fetched=sum(one.released_at is not None for one in found),
        median_decision_s=(took[(len(took) - 1) // 2] + took[len(took) // 2]) / 2 if took else None,
        without_passages=empty,
    )


def _decide(
    connection: sqlite3.Connection,
    number: int,
    state: State,
    chosen: frozenset[int],
    by: str,
    note: str,
    now_s: float,
) -> tuple[Entry, ...]:
    if not by.strip():
        raise InputError("a decision names who made it", code="not_signed")
    if entry(connection, number, now_s).state is not State.PENDING:
        raise InputError(f"entry {number} is not pending any more", code="already_decided")
    decided = []
    for one in _entries(connection, "(id = ? OR same_as = ?) AND state = 'pending'", number, number):
        held = tuple(replace(each, approved=at in chosen) for at, each in enumerate(one.held, start=1))
        connection.execute(
            "UPDATE reviews SET state = ?, decided_at = ?, decided_by = ?, note = ?, passages = ? WHERE id = ?",
            (state, int(now_s), by.strip(), note.strip(), _dumped(held), one.id),
        )
        told = [each for each in held if each.approved] if state is State.APPROVED else held
        _log(connection, f"review_{state}", one.asked, told, now_s, by.strip())
        decided.append(replace(one, state=state, held=held, decided_at=int(now_s), decided_by=by.strip(), note=note))
    return tuple(decided)


def _expire(connection: sqlite3.Connection, now_s: float) -> None:
    for one in _entries(connection, "state = 'pending' AND until <= ?", int(now_s)):
        connection.execute("UPDATE reviews SET state = ? WHERE id = ?", (State.EXPIRED, one.id))
        _log(connection, "review_expired", one.asked, one.held, now_s)


def _near_identical(connection: sqlite3.Connection, asked: Asked, now_s: float, settings: ReviewConfig) -> Entry | None:
    """The entry of the same asker that already waits for this, or was denied, in the first half of its time: whoever
    asks again learns nothing of a denial, and does not wait behind what is nearly over."""
    wanted, asker = set(terms_of(asked.question)), asked.recipient
    if not wanted:
        return None
    open_ones = _entries(
        connection,
        "same_as IS NULL AND coordinator = ? AND asker = ? AND role = ? AND issuer = ? AND project = ? "
        "AND purpose = ? AND until > ? AND state IN ('pending', 'denied') ORDER BY id DESC",
        asker.coordinator,
        asker.asker,
        asked.role,
        asked.issuer,
        asker.project,
        asker.purpose,
        int(now_s + settings.expires_h * 1800),
    )
    for one in open_ones:
        terms = set(terms_of(one.asked.question))
        if (
            len(wanted & terms) >= _NEARLY * len(wanted | terms)
            and facts_of(asked.question) == facts_of(one.asked.question)
            and asked.reason.casefold().split() == one.asked.reason.casefold().split()
        ):
            return one
    return None


def _row(connection: sqlite3.Connection, recipient: Recipient, asker: NodeAsker) -> Entry | None:
    found = _entries(connection, _WHOSE, *_whose(recipient, asker))
    return found[0] if found else None


def _whose(recipient: Recipient, asker: NodeAsker) -> tuple[str, ...]:
    return (
        recipient.request_id,
        recipient.coordinator,
        recipient.asker,
        asker.role or "",
        asker.issuer or "",
        recipient.project,
        recipient.purpose,
    )


def _entries(connection: sqlite3.Connection, where: str, *values: str | int) -> tuple[Entry, ...]:
    rows = connection.execute(
        f"SELECT {_COLUMNS}, (SELECT count(*) FROM reviews AS later WHERE later.same_as = reviews.id) "  # noqa: S608
        f"FROM reviews WHERE {where}",
        values,
    ).fetchall()
    return tuple(_entry(row) for row in rows)


def _entry(row: tuple[Any, ...]) -> Entry:
    number, request_id, coordinator, asker, role, issuer, project, purpose, *rest = row
    question, reason, passages, made_at, until, state, decided_at, decided_by, note, released_at, again = rest
    return Entry(
        id=number,
        asked=Asked(Recipient(asker, purpose, coordinator, request_id, project), role, issuer, question, reason),
        held=tuple(Held(**{**one, "extract": tuple(one["extract"])}) for one in json.loads(passages)),
        made_at=made_at,
        until=until,
        state=State(state),
        decided_at=decided_at,
        decided_by=decided_by,
        note=note,
        released_at=released_at,
        again=again,
    )


def _dumped(held: Iterable[Held]) -> str:
    return json.dumps([asdict(one) for one in held], separators=(",", ":"))


def _log(
    connection: sqlite3.Connection, kind: str, asked: Asked, held: Iterable[Held], now_s: float, by: str = ""
) -> None:
    recipient, passages = asked.recipient, tuple(held)
    audit.append(
        connection,
        audit.AuditEvent(
            at=audit.timestamp(now_s),
            kind=kind,
            request_id=recipient.request_id,
            asker=recipient.asker,
            purpose=recipient.purpose,
            coordinator=recipient.coordinator,
            passages=tuple(one.passage_id for one in passages),
            role=asked.role,
            issuer=asked.issuer,
            project=recipient.project,
            collections=tuple(one.collection for one in passages),
            detail=by,
        ),
    )
