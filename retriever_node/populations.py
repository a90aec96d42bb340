"""A hospital's part in population questions: its noisy count goes into a masked sum, and nobody sees it by itself.

    key         identify → may this asker have counts? → a key for the round, the floor and the noise
    mask        count → leave out whose budget is spent → floor → noise → charge, keep, audit → mask
    survivors   a sum of nearly the same hospitals as before? → sign who is in it
    seeds       all signed the same → keep who is in it → what unmasks the sum

What is counted is drawn once for each question and state of the records, and kept: asked again, it is the same number,
and costs nobody anything. Nothing that is refused, and no size or time of an answer, depends on what the records say.
docs/population-counts.md has the proof of what an answer tells.
"""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np

from fedrag.core.errors import ConfigError, IdentityError, MissingExtra, QuotaExceeded, Refused
from fedrag.core.masked_sums import MaskedVector, Numbers, Seeds, Survivors
from fedrag.core.populations import (
    MAXIMUM_PATIENTS,
    UNITS,
    Concept,
    CountEntry,
    CountKeys,
    CountRound,
    PopulationQuestion,
)
from fedrag.core.statistics import Agreed, Agreement, Round, SurvivorsToSign
from fedrag.core.wire import Base64, NodeId, ReleaseClass
from fedrag.http.signing import Signer, verify
from fedrag.privacy.masked_sums import SIGNED_AS, Contributor, differ_safely
from retriever_node import audit, renyi, switch
from retriever_node.facts import SEX, Fact, in_band, states, words
from retriever_node.gate import Gate
from retriever_node.noise import Noise, discrete_gaussian
from retriever_node.policy import NodeAsker
from retriever_node.policy.live import LivePolicy
from retriever_node.policy.rules import Policy
from retriever_node.renyi import Budget
from retriever_node.state import NodeState
from retriever_node.store import PassageStore

LIFETIME_S: Final = 120.0
"""Of a round."""
SENSITIVITY: Final = 5
"""Quarters of a patient by which one patient changes a floored count, at most."""
_PACE_S: Final = 0.25
"""Masked counts leave at a multiple of this after they were asked for, whatever was counted."""
_DAY_S: Final = 86_400
_ROUNDS: Final = 64

Draw = Callable[[float, int], tuple[Noise, float]]
"""Standard deviation and sensitivity to noise and the ρ it costs: `discrete_gaussian`."""


def floored(patients: int, floor: int) -> int:
    """What a hospital adds for so many patients, in quarters of one: f(n) = min(4n, 5 · max(n − floor + 1, 0)).

    Nothing below the floor, all of them from 5 · (floor − 1) on, in between less. One patient more or less changes it
    by 5 quarters at most; a floor that let the whole count through at once would change by `floor` patients there.
    """
    return min(UNITS * patients, SENSITIVITY * max(patients - floor + 1, 0))


@dataclass(frozen=True, slots=True)
class Counting:
    """What this asker's question is counted over, and above which floor; `rules`: those of the policy that say so."""

    asker: NodeAsker
    policy: Policy
    collections: tuple[NodeId, ...]
    floor: int
    rules: tuple[str, ...]


@dataclass(slots=True)
class _Round:
    """`row`: by what the count is kept that goes into this round's sum."""

    request: CountRound
    contributor: Contributor
    began_s: float
    identities: dict[NodeId, Base64] = field(default_factory=dict)
    keys_sha256: str = ""
    row: str = ""
    survivors: tuple[NodeId, ...] = ()
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class Populations:
    """Rounds in memory, a few per coordinator: a restart ends them. Counts and losses in the node's state.

    Args:
        collections: this node's, and their classes; only those of class `patient` are about patients.
        budget: what counts may tell about a patient.
        questions_per_asker_per_day: new ones; an asker without a token is their coordinator.
        pinned: the hospitals it takes part with and their public keys; empty: whoever the coordinator says there is.
        draw: the noise.
        clock: Unix time.
        monotonic, sleep: what rounds and answers are timed by.
    """

    node: NodeId
    signer: Signer
    gate: Gate
    policy: LivePolicy
    state: NodeState
    store: PassageStore
    collections: Mapping[NodeId, ReleaseClass]
    budget: Budget
    questions_per_asker_per_day: int
    pinned: Mapping[NodeId, Base64]
    draw: Draw = discrete_gaussian
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _rounds: dict[tuple[str, str], _Round] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def key(self, coordinator: str, request: CountRound) -> CountEntry:
        """Begins a round. Raises IdentityError; Refused (`no_counts`, `no_noise`, and what switch and policy raise)."""
        counting = self._counting(coordinator, request)
        sigma = self.budget.sigma(SENSITIVITY / UNITS)
        _, rho = self._noise(sigma)
        with self.state.transaction() as connection:
            switch.require_releasing(connection)
            complete = renyi.told(connection) + rho <= self.budget.total
        identities: dict[NodeId, Base64] = {}

        def known(node: NodeId, signed: bytes, signature: str) -> None:
            try:
                verify(identities.get(node, ""), SIGNED_AS, signed, signature)
            except ConfigError:
                raise IdentityError("no public key of this hospital", code="bad_signature") from None

        contributor = Contributor(self.node, request.round, lambda signed: self.signer.sign(SIGNED_AS, signed), known)
        with self._lock:
            self._forget(coordinator)
            self._rounds[coordinator, request.round] = _Round(request, contributor, self.monotonic(), identities)
        return CountEntry(
            node=self.node,
            round=request.round,
            key=contributor.key(),
            floor=counting.floor,
            sigma=sigma,
            epsilon=renyi.epsilon_of(rho, self.budget.delta),
            delta=self.budget.delta,
            complete=complete,
        )

    def mask(self, coordinator: str, request: CountKeys) -> MaskedVector:
        """What is counted is on disk, charged and audited before it goes.

        Raises Refused (`bad_round`, `unknown_hospital`, `no_counts`, `policy_changed`, `no_noise`), QuotaExceeded,
        IdentityError (`bad_signature`).
        """
        began_s = self.monotonic()
        try:
            now = self._of(coordinator, request)
            with now.lock:
                if self.pinned and not request.keys.keys() <= {self.node, *self.pinned}:
                    raise Refused("a hospital that is not pinned here takes part", code="unknown_hospital")
                now.identities.update(self.pinned or request.identities)
                now.identities[self.node] = self.signer.public_key
                now.row, values = self._counted(coordinator, now.request)
                masked = now.contributor.mask(values, request.keys)
                now.keys_sha256 = masked.keys_sha256
                return masked
        finally:
            passed_s = self.monotonic() - began_s
            self.sleep(_PACE_S - passed_s % _PACE_S)

    def survivors(self, coordinator: str, request: SurvivorsToSign) -> Agreement:
        """Raises Refused (`bad_round`, `joiners_wait`)."""
        now = self._of(coordinator, request)
        with now.lock:
            with self.state.transaction() as connection:
                _require_safe(connection, now.row, request.survivors)
            word = now.contributor.survived(request.survivors)
            now.survivors = request.survivors
            return Agreement(
                node=self.node, round=request.round, keys_sha256=word.keys_sha256, signature=word.signature
            )

    def seeds(self, coordinator: str, request: Agreed) -> Seeds:
        """Raises Refused (`bad_round`, `joiners_wait`), IdentityError (`bad_signature`)."""
        now = self._of(coordinator, request)
        with now.lock:
            unsigned = Survivors(
                node=self.node,
                round=request.round,
                keys_sha256=now.keys_sha256,
                survivors=now.survivors,
                signature="",
            )
            agreed = {
                node: unsigned.model_copy(update={"node": node, "signature": signature})
                for node, signature in request.signatures.items()
            }
            seeds = now.contributor.reveal(agreed)
            with self.state.transaction() as connection:
                switch.require_releasing(connection)
                sums = _require_safe(connection, now.row, now.survivors)
                connection.execute(
                    "UPDATE counted SET sums = ? WHERE fingerprint = ?",
                    (json.dumps(sorted({*sums, now.survivors})), now.row),
                )
            return seeds

    def _counting(self, coordinator: str, request: CountRound) -> Counting:
        asker = self.gate.identify(request.token, coordinator)
        policy = self.policy.now()
        granted = {
            one: policy.grant(one, release_class, asker)
            for one, release_class in sorted(self.collections.items())
            if release_class is ReleaseClass.PATIENT
        }
        counted = {one: grant for one, grant in granted.items() if grant.release.counts}
        if not counted:
            raise Refused("no counts of patients for this asker", code="no_counts")
        floor, rules = max(one.floor for one in counted.values()), {one.rule for one in counted.values()}
        return Counting(asker, policy, tuple(counted), floor, tuple(sorted(rules)))

    def _noise(self, sigma: float) -> tuple[Noise, float]:
        try:
            return self.draw(sigma * UNITS, SENSITIVITY)
        except MissingExtra:
            raise Refused("this hospital has no library for noise", code="no_noise") from None

    def _counted(self, coordinator: str, request: CountRound) -> tuple[str, Numbers]:
        """The row that it is kept by, and the noisy counts: those that were drawn before, where there are some."""
        counting = self._counting(coordinator, request)
        now_s = self.clock()
        year = datetime.fromtimestamp(now_s, UTC).year
        row = self._fingerprint(request.question, counting, year)
        cells = self._cells(request.question, counting, year)
        noise, rho = self._noise(self.budget.sigma(SENSITIVITY / UNITS))
        with self.state.transaction() as connection:
            switch.require_releasing(connection)
            if not self.policy.unchanged(counting.policy):
                raise Refused("the release policy changed since", code="policy_changed")
            kept = connection.execute("SELECT noisy FROM counted WHERE fingerprint = ?", (row,)).fetchone()
            if kept is None:
                day = int(now_s) // _DAY_S
                self._require_quota(connection, counting.asker, day)
                there = renyi.within_budget(connection, frozenset().union(*cells), rho, self.budget.total)
                noisy = [noise(floored(min(len(cell & there), MAXIMUM_PATIENTS), counting.floor)) for cell in cells]
                renyi.charge(connection, there, rho)
                connection.execute(
                    "INSERT INTO counted (fingerprint, asker, day, rho, noisy) VALUES (?, ?, ?, ?, ?)",
                    (row, counting.asker.pseudonym, day, rho, json.dumps(noisy)),
                )
            else:
                noisy = json.loads(kept[0])
            audit.append(connection, self._event(coordinator, request, counting, 0.0 if kept else rho))
        return row, np.array(noisy, dtype=np.int64).view(np.uint64)

    def _cells(self, question: PopulationQuestion, counting: Counting, year: int) -> list[frozenset[bytes]]:
        """Whom the question is about, as the ledger knows them: every one in one cell at most."""
        facts = self.store.facts()

        def having(holds: Callable[[Fact], bool]) -> frozenset[int]:
            return self.store.patients_with([one for one, fact in facts.items() if holds(fact)], counting.collections)

        def of(concept: Concept) -> frozenset[int]:
            return having(lambda fact: states(fact, concept))

        found = frozenset.intersection(*map(of, question.having))
        if (sex := question.sex) is not None:
            found &= having(lambda fact: fact.kind == SEX and fact.code == sex)
        if (age := question.age) is not None:
            found &= having(lambda fact: in_band(fact, age, year))
        both = found.intersection(*map(of, question.also))
        secret = self.signer.derived_secret("count ledger")
        return [
            frozenset(renyi.patient_id(secret, patient) for patient in self.store.patient_keys(cell))
            for cell in ((both, found - both) if question.also else (found,))
        ]

    def _fingerprint(self, question: PopulationQuestion, counting: Counting, year: int) -> str:
        """Equal for equal questions over records that nothing was read into since."""
        made_of = [
            _spelt(question),
            year if question.age else 0,
            [(one, self.store.generation(one)) for one in counting.collections],
            hashlib.sha256(self.store.document_key).hexdigest(),
            (counting.floor, self.budget.question),
        ]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()

    def _require_quota(self, connection: sqlite3.Connection, asker: NodeAsker, day: int) -> None:
        """A clock that was set back opens it no sooner."""
        (asked,) = connection.execute(
            "SELECT count(*) FROM counted WHERE asker = ? AND day >= ?", (asker.pseudonym, day)
        ).fetchone()
        if asked >= self.questions_per_asker_per_day:
            raise QuotaExceeded("as many new counts today as this asker may have", code="count_quota")

    def _event(self, coordinator: str, request: CountRound, counting: Counting, rho: float) -> audit.AuditEvent:
        secret = self.signer.derived_secret("audit questions")
        asker = counting.asker
        return replace(
            audit.AuditEvent(
                at=audit.timestamp(self.clock()),
                kind="count",
                request_id=request.round,
                asker=asker.pseudonym,
                purpose=asker.purpose,
                coordinator=coordinator,
            ),
            role=asker.role or "",
            issuer=asker.issuer or "",
            project=asker.project or "",
            collections=counting.collections,
            rules=counting.rules,
            question=audit.question_digest(secret, json.dumps(_spelt(request.question))),
            figures={"rho": rho, "epsilon": renyi.epsilon_of(rho, self.budget.delta), "floor": float(counting.floor)},
        )

    def _of(self, coordinator: str, request: Round) -> _Round:
        with self._lock:
            known = self._rounds.get((coordinator, request.round))
        if known is None or self.monotonic() - known.began_s > LIFETIME_S:
            raise Refused("no such round here, or no longer", code="bad_round")
        return known

    def _forget(self, coordinator: str) -> None:
        """Rounds that are over, and the oldest where there are too many."""
        own = [one for one in self._rounds if one[0] == coordinator]
        old = [one for one in self._rounds if self.monotonic() - self._rounds[one].began_s > LIFETIME_S]
        for one in {*old, *own[: max(len(own) - _ROUNDS + 1, 0)]}:
            del self._rounds[one]


def _spelt(question: PopulationQuestion) -> list[object]:
    """Equal where the same is asked in another order or spelling."""

    def concepts(some: tuple[Concept, ...]) -> list[list[str]]:
        spelt = {
            (one.kind or "", one.system or "", (one.code or "").casefold(), " ".join(words(one.label or "")))
            for one in some
        }
        return [list(one) for one in sorted(spelt)]

    age = question.age
    return [
        concepts(question.having),
        concepts(question.also),
        question.sex or "",
        [age.at_least, age.at_most] if age else [],
    ]


def _require_safe(connection: sqlite3.Connection, row: str, survivors: tuple[NodeId, ...]) -> list[tuple[NodeId, ...]]:
    """The sums that this very count was in; two of nearly the same hospitals would show the rest of them by
    subtraction."""
    found = connection.execute("SELECT sums FROM counted WHERE fingerprint = ?", (row,)).fetchone()
    if found is None:
        raise Refused("nothing was counted in this round", code="bad_round")
    sums = [tuple(one) for one in json.loads(found[0])]
    if not all(differ_safely(frozenset(one), frozenset(survivors)) for one in sums):
        raise Refused("one or two hospitals more or less than in an earlier sum", code="joiners_wait")
    return sums
