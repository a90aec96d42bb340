"""Lockout: who asks a `patient` collection the same thing over and over, in other words, is refused until somebody of
the hospital looks at it.

    identical question    the same passages again, not counted
    near-duplicate        counted with those before it; one more than allowed within 30 days locks its asker
    anything else         counted alone

Per asker and collection. All calls of one request count once. What is kept of a question is a keyed digest and, sealed,
a sketch: its vector in eight bits and keyed hashes of its terms; never its text.
"""

import hashlib
import hmac
import json
import math
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fedrag.core.errors import IntegrityError, NotFound
from fedrag.core.question import PassageFilter
from fedrag.core.wire import FloatVector
from retriever_node import audit
from retriever_node.config import LockoutConfig
from retriever_node.terms import terms_of

LOCKED: Final = "locked"
WINDOW_S: Final = 30 * 86_400
COSINE: Final = 0.93
"""From this cosine two questions are near-duplicates. Rewordings of one clinical question lie at .95 to .99 with the
embedded encoder, the same question about another finding or person at .85 and below; a synonym can escape (.76)."""
COMMON_TERMS: Final = 0.8
"""Or from this Jaccard coefficient of their terms: a vector alone can be turned away from its text."""

_TERMS: Final = 128
_TERM_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AskedOf:
    """The collection that was asked, as it was: another generation or policy can give another answer."""

    collection: str
    generation: int
    policy: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as a node sees it: `vector` under the node's own encoder, `text` where it is shown."""

    vector: FloatVector
    text: str | None
    wanted: PassageFilter | None

    def canonical(self) -> bytes:
        """Equal for identical questions: the text, or else the vector, and which passages may be found."""
        shown = " ".join(self.text.split()).casefold() if self.text else _eight_bits(self.vector).tobytes().hex()
        wanted = self.wanted.model_dump_json() if self.wanted else ""
        return json.dumps([self.text is None, shown, wanted]).encode()


@dataclass(frozen=True, slots=True)
class Lock:
    """`at` in Unix seconds; `collection` is the one that was asked when it fell."""

    asker: str
    at: int
    collection: str


@dataclass(frozen=True, slots=True)
class Lockout:
    """Args:
    key: the node's own, at least 16 bytes; others are derived from it.
    limits: how many near-duplicates, and how many questions at all, an asker has in 30 days.
    clock: Unix time in seconds, one that no jump moves ahead (`retriever_node.steady_clock`). Set back it only makes
        the window longer: what is on record of days to come counts too.

    Raises IntegrityError(lockout_damaged) where a record is not what was written.
    """

    key: bytes
    limits: LockoutConfig
    clock: Callable[[], float]

    def locked(self, connection: sqlite3.Connection, asker: str) -> bool:
        return connection.execute("SELECT 1 FROM locks WHERE asker = ?", (asker,)).fetchone() is not None

    def recall(
        self, connection: sqlite3.Connection, asker: str, asked_of: AskedOf, asked: Asked
    ) -> tuple[int, ...] | None:
        """The passages that this very question found before, best first; None where it is new, or was asked of another
        generation, under another policy, or more than 30 days ago."""
        now_s = int(self.clock())
        found = connection.execute(
            "SELECT passages FROM asked WHERE asker = ? AND collection = ? AND question = ?"
            " AND at > ? AND generation = ? AND policy = ?",
            (*self._name(asker, asked_of, asked), now_s - WINDOW_S, asked_of.generation, asked_of.policy),
        ).fetchone()
        return None if found is None else _passages(found[0])

    def count(
        self,
        connection: sqlite3.Connection,
        asker: str,
        asked_of: AskedOf,
        asked: Asked,
        request_id: str,
        passages: Iterable[int],
    ) -> bool:
        """Puts a question that is new on record, with what it found. True where its asker is locked, by this question
        or by an earlier one: then nothing of this collection may be told."""
        now_s, name = int(self.clock()), self._name(asker, asked_of, asked)
        connection.execute("DELETE FROM asked WHERE at <= ?", (now_s - WINDOW_S,))
        if self.locked(connection, asker):
            return True
        before = connection.execute(
            "SELECT counted, generation, policy, request FROM asked"
            " WHERE asker = ? AND collection = ? AND question = ?",
            name,
        ).fetchone()
        same = before is not None and before[1:3] == (asked_of.generation, asked_of.policy)
        if before is not None and (same or before[3] == request_id):
            connection.execute(
                "UPDATE asked SET request = ? WHERE asker = ? AND collection = ? AND question = ?", (request_id, *name)
            )
            return False
        row = (1 if before is None else before[0] + 1, asked_of.generation, asked_of.policy, request_id)
        sketch = self._seal(asked, name)
        connection.execute(
            "INSERT OR REPLACE INTO asked VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*name, now_s, *row, json.dumps(list(passages)), sketch),
        )
        near, all_of_them = self._counted(connection, asked, name)
        if near <= self.limits.near_duplicates and all_of_them <= self.limits.questions:
            return False
        connection.execute("INSERT INTO locks VALUES (?, ?, ?)", (asker, now_s, asked_of.collection))
        audit.note(connection, LOCKED, now_s, collection=asked_of.collection, detail=asker)
        _log.warning("asker_locked", asker=asker, collection=asked_of.collection, near_duplicates=near)
        return True

    def _name(self, asker: str, asked_of: AskedOf, asked: Asked) -> tuple[str, str, bytes]:
        return asker, asked_of.collection, self._keyed(b"question", asked.canonical())

    def _keyed(self, use: bytes, what: bytes) -> bytes:
        return hmac.new(self.key, use + b"\0" + what, hashlib.sha256).digest()

    @property
    def _cipher(self) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(self._keyed(b"lockout", b"sketches"))

    def _terms(self, text: str | None) -> frozenset[bytes]:
        """Keyed hashes of the terms, of long questions the smallest of them: of two sets, these overlap about as the
        sets do."""
        key = self._keyed(b"lockout", b"terms")
        hashed = {
            hashlib.blake2b(term.encode(), key=key, digest_size=_TERM_BYTES).digest() for term in terms_of(text or "")
        }
        return frozenset(sorted(hashed)[:_TERMS])

    def _seal(self, asked: Asked, name: tuple[str, str, bytes]) -> bytes:
        vector = _eight_bits(asked.vector).tobytes()
        plain = len(vector).to_bytes(2, "big") + vector + b"".join(sorted(self._terms(asked.text)))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, _bound(name))

    def _counted(self, connection: sqlite3.Connection, asked: Asked, name: tuple[str, str, bytes]) -> tuple[int, int]:
        """How often near-duplicates of it were asked, itself included, and how often anything was."""
        vector, terms = _eight_bits(asked.vector), self._terms(asked.text)
        near = everything = 0
        for counted, other, theirs in self._sketches(connection, name):
            everything += counted
            if _cosine(vector, other) >= COSINE or _jaccard(terms, theirs) >= COMMON_TERMS:
                near += counted
        return near, everything

    def _sketches(
        self, connection: sqlite3.Connection, name: tuple[str, str, bytes]
    ) -> Iterator[tuple[int, npt.NDArray[np.int8], frozenset[bytes]]]:
        cipher = self._cipher
        rows = connection.execute(
            "SELECT question, counted, sketch FROM asked WHERE asker = ? AND collection = ?", name[:2]
        )
        for question, counted, sealed in rows:
            try:
                plain = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound((*name[:2], question)))
            except (InvalidTag, ValueError, TypeError):
                raise IntegrityError("a record of the lockout was changed", code="lockout_damaged") from None
            length = int.from_bytes(plain[:2], "big") + 2
            terms = frozenset(plain[at : at + _TERM_BYTES] for at in range(length, len(plain), _TERM_BYTES))
            yield counted, np.frombuffer(plain, np.int8, length - 2, 2), terms


def locks(connection: sqlite3.Connection) -> tuple[Lock, ...]:
    """Who is locked, the longest first."""
    rows = connection.execute("SELECT asker, at, collection FROM locks ORDER BY at, asker")
    return tuple(Lock(*row) for row in rows)


def unlock(connection: sqlite3.Connection, asker: str) -> Lock:
    """Lets an asker go on. What was counted is forgotten, what identical questions found is not.

    Raises NotFound(not_locked).
    """
    lock = next((one for one in locks(connection) if one.asker == asker), None)
    if lock is None:
        raise NotFound("this asker is not locked", code="not_locked")
    connection.execute("DELETE FROM locks WHERE asker = ?", (asker,))
    connection.execute("UPDATE asked SET counted = 0 WHERE asker = ?", (asker,))
    return lock


def _passages(stored: str) -> tuple[int, ...]:
    try:
        return tuple(int(one) for one in json.loads(stored))
    except (ValueError, TypeError):
        raise IntegrityError("a record of the lockout was changed", code="lockout_damaged") from None


def _eight_bits(vector: FloatVector) -> npt.NDArray[np.int8]:
    """To the nearest of 255 steps between the largest component and its negative."""
    largest = float(np.abs(vector).max(initial=0.0)) or 1.0
    scaled: npt.NDArray[np.int8] = np.rint(vector / largest * 127).astype(np.int8)
    return scaled


def _cosine(one: npt.NDArray[np.int8], other: npt.NDArray[np.int8]) -> float:
    """0 for vectors of different encoders."""
    if len(one) != len(other):
        return 0.0
    mine, theirs = one.astype(np.float32), other.astype(np.float32)
    return float(mine @ theirs) / (math.sqrt(float(mine @ mine) * float(theirs @ theirs)) or 1.0)


def _jaccard(one: frozenset[bytes], other: frozenset[bytes]) -> float:
    """0 where there are no terms at all: nothing was shown."""
    return len(one & other) / max(1, len(one | other))


def _bound(name: tuple[str, str, bytes]) -> bytes:
    asker, collection, question = name
    return b"\0".join((asker.encode(), collection.encode(), question))
