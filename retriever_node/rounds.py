"""A hospital's part in rounds of common statistics: what it counts is added to what others count, and nobody sees it.

What it will not do, whoever asks: take part in two sums within an interval, or in a sum of hospitals that differ by one
or two from those of an earlier sum. Both could show what a single hospital counted, or what it took in since.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from fedrag.core.errors import ConfigError, IdentityError, Refused
from fedrag.core.identity import Purpose
from fedrag.core.masked_sums import MaskedVector, Numbers, Seeds, Survivors
from fedrag.core.statistics import Agreed, Agreement, Entry, Keys, Round, SurvivorsToSign
from fedrag.core.wire import Base64, NodeId
from fedrag.http.signing import Signer, verify
from fedrag.privacy.masked_sums import SIGNED_AS, Contributor, differ_safely
from retriever_node import audit
from retriever_node.state import NodeState
from retriever_node.terms import PublicTerms

LIFETIME_S: Final = 300.0
"""Of a round; what a coordinator did not end by then it begins anew."""

_SECRET_BYTES: Final = 32

Count = Callable[[PublicTerms], Numbers]
"""What the hospital counts, (passages, length, passages with each term): see `fedrag.core.statistics.vector`."""


@dataclass(slots=True)
class _Round:
    """`identities`: whose signatures are believed in this round."""

    contributor: Contributor
    counted: Numbers
    began_s: float
    identities: dict[NodeId, Base64] = field(default_factory=dict)
    keys_sha256: str = ""
    survivors: tuple[NodeId, ...] = ()
    secret: bytes = b""
    revealed: bool = False


@dataclass(slots=True)
class Rounds:
    """One round per coordinator at a time, in memory: a restart ends it.

    Args:
        terms: what is counted; None where nothing is.
        pinned: the hospitals it takes part with and their public keys; empty: whoever the coordinator says there is.
        interval_s: between two sums.
        clock: Unix time.
        monotonic: what a round's lifetime is measured by.
    """

    node: NodeId
    signer: Signer
    state: NodeState
    terms: PublicTerms | None
    count: Count
    pinned: Mapping[NodeId, Base64]
    interval_s: float
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _rounds: dict[tuple[str, str], _Round] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def key(self, coordinator: str, request: Round) -> Entry:
        """Begins a round; an earlier one of this coordinator ends. Raises Refused (`no_terms`, `too_soon`)."""
        if self.terms is None:
            raise Refused("this hospital counts no terms", code="no_terms")
        with self.state.transaction() as connection:
            self._require_rested(connection)
        identities: dict[NodeId, Base64] = {}

        def known(node: NodeId, signed: bytes, signature: str) -> None:
            self._require_known(identities, node, signed, signature)

        contributor = Contributor(self.node, request.round, lambda signed: self.signer.sign(SIGNED_AS, signed), known)
        begun = _Round(contributor, self.count(self.terms), self.monotonic(), identities)
        with self._lock:
            for old in [one for one in self._rounds if one[0] == coordinator]:
                del self._rounds[old]
            self._rounds[coordinator, request.round] = begun
        return Entry(
            node=self.node,
            round=request.round,
            key=contributor.key(),
            terms_sha256=self.terms.sha256,
            terms=len(self.terms.terms),
        )

    def mask(self, coordinator: str, request: Keys) -> MaskedVector:
        """Raises Refused (`bad_round`, `other_terms`, `unknown_hospital`), IdentityError (`bad_signature`)."""
        with self._lock:
            now = self._of(coordinator, request)
            if self.terms is None or request.terms_sha256 != self.terms.sha256:
                raise Refused("others count other terms", code="other_terms")
            if self.pinned and not request.keys.keys() <= {self.node, *self.pinned}:
                raise Refused("a hospital that is not pinned here takes part", code="unknown_hospital")
            now.identities.update(self.pinned or request.identities)
            now.identities[self.node] = self.signer.public_key
            masked = now.contributor.mask(now.counted, request.keys)
            now.keys_sha256 = masked.keys_sha256
            return masked

    def survivors(self, coordinator: str, request: SurvivorsToSign) -> Agreement:
        """Raises Refused (`bad_round`, `joiners_wait`, `too_soon`)."""
        with self._lock:
            now = self._of(coordinator, request)
            with self.state.transaction() as connection:
                self._require_safe(connection, request.survivors)
            word = now.contributor.survived(request.survivors)
            now.survivors = request.survivors
            sealed: dict[NodeId, Base64] = {}
            if self.node == request.survivors[0]:
                now.secret = now.secret or secrets.token_bytes(_SECRET_BYTES)
                sealed = now.contributor.seal(now.secret)
            return Agreement(
                node=self.node,
                round=request.round,
                keys_sha256=word.keys_sha256,
                signature=word.signature,
                sealed=sealed,
            )

    def seeds(self, coordinator: str, request: Agreed) -> Seeds:
        """What is given out is on disk before it goes: from here on this sum counts as made, whatever comes of it.

        Raises Refused (`bad_round`, `joiners_wait`, `too_soon`), IdentityError (`bad_signature`).
        """
        with self._lock:
            now = self._of(coordinator, request)
            agreed = {
                node: Survivors(
                    node=node,
                    round=request.round,
                    keys_sha256=now.keys_sha256,
                    survivors=now.survivors,
                    signature=signature,
                )
                for node, signature in request.signatures.items()
            }
            seeds = now.contributor.reveal(agreed)
            with self.state.transaction() as connection:
                self._require_safe(connection, now.survivors)
                connection.execute(
                    "INSERT OR REPLACE INTO sums VALUES (?, ?)", (json.dumps(now.survivors), int(self.clock()))
                )
                audit.append(connection, self._event(coordinator, request.round))
            now.revealed = True
            now.secret = now.secret or self._unsealed(now, request)
            return seeds

    def counted(self, coordinator: str, round_id: str) -> Numbers | None:
        """What this hospital added in that round, while it is remembered."""
        with self._lock:
            known = self._rounds.get((coordinator, round_id))
            return known.counted if known is not None and known.revealed else None

    def secret(self, coordinator: str, round_id: str) -> bytes:
        """What the hospitals of that round share and its coordinator does not know; empty where there is nothing."""
        with self._lock:
            known = self._rounds.get((coordinator, round_id))
            return known.secret if known is not None and known.revealed else b""

    def _unsealed(self, now: _Round, request: Agreed) -> bytes:
        """The sum does not depend on it: a hospital without the secret makes no keyed sketches."""
        try:
            return now.contributor.unseal(now.survivors[0], request.sealed) if request.sealed else b""
        except Refused:
            return b""

    def _of(self, coordinator: str, request: Round) -> _Round:
        known = self._rounds.get((coordinator, request.round))
        if known is None or self.monotonic() - known.began_s > LIFETIME_S:
            raise Refused("no such round here, or no longer", code="bad_round")
        return known

    def _require_known(self, identities: Mapping[NodeId, Base64], node: NodeId, signed: bytes, signature: str) -> None:
        try:
            verify(identities.get(node, ""), SIGNED_AS, signed, signature)
        except ConfigError:
            raise IdentityError("no public key of this hospital", code="bad_signature") from None

    def _require_safe(self, connection: sqlite3.Connection, survivors: tuple[NodeId, ...]) -> None:
        self._require_rested(connection)
        for (hospitals,) in connection.execute("SELECT hospitals FROM sums"):
            if not differ_safely(frozenset(json.loads(hospitals)), frozenset(survivors)):
                raise Refused("one or two hospitals more or less than in an earlier sum", code="joiners_wait")

    def _require_rested(self, connection: sqlite3.Connection) -> None:
        (last,) = connection.execute("SELECT max(revealed_at) FROM sums").fetchone()
        if last is not None and self.clock() < last + self.interval_s:
            raise Refused("this hospital was in a sum not long ago", code="too_soon")

    def _event(self, coordinator: str, round_id: str) -> audit.AuditEvent:
        return audit.AuditEvent(
            at=audit.timestamp(self.clock()),
            kind="statistics",
            request_id=round_id,
            asker=f"coordinator:{coordinator}",
            purpose=Purpose.UNSTATED,
            coordinator=coordinator,
        )
