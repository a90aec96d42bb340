"""One hospital's half of a question, in two steps: offers without text, then the text of what won elsewhere.

    offers    identify → grants of the policy → search → seal → audit
    release   identify → grants of the policy → open handles → charge the ledger → audit → sign the receipt

What a person has to approve first is not offered: it waits (`retriever_node/review.py`), and is released when it is
asked for again (`awaited`). Each step that can deny runs before anything is returned, so an error anywhere is a denial.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

import structlog

from fedrag.core.collection import NodeDescription
from fedrag.core.deadline import Deadline
from fedrag.core.errors import Refused
from fedrag.core.exchange import (
    AwaitedRequest,
    Offer,
    OfferRequest,
    Offers,
    Receipt,
    Release,
    ReleasedPassage,
    ReleaseRequest,
    Similarity,
    Sketch,
)
from fedrag.core.protocols import Encoder, Reranker
from fedrag.core.sketch import sketch_of
from fedrag.core.traces import TraceRequest
from fedrag.core.wire import FloatVector, Name, NodeId, ReleaseClass, decode_vector
from fedrag.http.signing import Signer, signed_bytes
from retriever_node import audit, chain, ledger, review, switch
from retriever_node.collection import Collection
from retriever_node.config import QuotaConfig, ReviewConfig
from retriever_node.documents import Passage
from retriever_node.extract import extracts
from retriever_node.gate import Gate
from retriever_node.handles import LIFETIME_S, HandleSealer, Recipient, SealedPassage
from retriever_node.ledger import Allowance, Disclosure
from retriever_node.lockout import LOCKED, Asked, Lockout
from retriever_node.patient_offers import NO_PASSAGE, Granted, PatientOffers, patient_offers, places
from retriever_node.patient_share import require_patient_share
from retriever_node.policy import Grant, Kind, NodeAsker
from retriever_node.policy.live import LivePolicy
from retriever_node.policy.rules import Policy
from retriever_node.populations import Populations
from retriever_node.redacted import releasable
from retriever_node.redaction import Redaction
from retriever_node.review import Held
from retriever_node.search import Found, Query, search
from retriever_node.served import Candidate, ServedCollection, bucket, cited, leaving, told
from retriever_node.state import NodeState
from retriever_node.statistics import NodeStatistics, key_id
from retriever_node.store import PassageStore

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RetrieverNode:
    id: NodeId
    name: Name
    signer: Signer
    gate: Gate
    sealer: HandleSealer
    state: NodeState
    store: PassageStore
    quota: QuotaConfig
    review: ReviewConfig
    policy: LivePolicy
    collections: Mapping[NodeId, ServedCollection]
    encoder: Encoder
    reranker: Reranker | None
    statistics: NodeStatistics
    populations: Populations
    lockout: Lockout
    clock: Callable[[], float]
    ledger_clock: Callable[[], float] | None = None
    """What quotas are counted by; by default `clock`."""

    def describe(self) -> NodeDescription:
        """Denied collections are not mentioned to anyone. Raises Refused where nothing may leave at all."""
        policy = self.policy.now()
        with self.state.reading() as connection:
            switch.require_releasing(connection)
        described = (
            chain.follow(self.state, served.description())
            for served in self.collections.values()
            if policy.describes(served.id, served.release_class)
        )
        return NodeDescription(
            node=self.id,
            name=self.name,
            public_key=self.signer.public_key,
            collections=tuple(
                unsigned.model_copy(update={"signature": self.signer.sign("description", signed_bytes(unsigned))})
                for unsigned in described
            ),
        )

    def refresh(self) -> None:
        """Move on to what was ingested meanwhile; searches that run keep the state they began with."""
        for served in self.collections.values():
            served.collection.refresh()

    def offers(self, request: OfferRequest, deadline: Deadline) -> Offers:
        """Raises IdentityError or Refused, for reasons that do not depend on content; DeadlineExceeded when nobody
        waits any more."""
        asker = self._identify(request)
        recipient = _recipient(asker, request)
        policy = self.policy.now()
        deadline.require()
        grants, vector = self._grants(policy, asker), self._query(request)
        records = self._records(policy, grants, vector, recipient, request)
        candidates = self._candidates(
            policy, grants, vector, recipient, request, request.k - (len(records.passages) if records else 0)
        )
        reviewed = [
            one
            for one in self.collections.values()
            if grants[one.id].reviews and one.passes(request.filter, grants[one.id])
        ]
        held = self._held(reviewed, grants, vector, request) if request.reason else ()
        deadline.require()
        offers = tuple(self._offer(rank, one) for rank, one in enumerate(candidates, start=1))
        until: int | None = None
        digest = audit.question_digest(self.signer.derived_secret("audit questions"), request.text, request.vector)
        with self.state.transaction() as connection:
            switch.require_releasing(connection)
            head = audit.append(connection, replace(self._event("offers", asker, recipient), question=digest))
            locked = records is not None and records.count(connection, self.lockout, recipient)
            locked = locked or self.lockout.locked(connection, recipient.asker)
            if locked:
                reviewed, held = (
                    [one for one in reviewed if not self._is_patient(one.id)],
                    tuple(one for one in held if not self._is_patient(one.collection)),
                )
            if reviewed and request.reason:
                asked = review.Asked.by(asker, recipient, request.text, request.reason)
                until = review.queue(connection, asked, held, self.review, self.clock())
        if records is not None and not locked:
            offers += self._patient_offers(records, len(offers), grants, policy, recipient)
        if locked and all(self._is_patient(one) for one, grant in grants.items() if grant.offers or grant.reviews):
            raise Refused("asked too often in other words; an administrator of this hospital unlocks", code=LOCKED)
        along = [one.handle for one in candidates if one.grant.direct]
        return Offers(
            node=self.id,
            request_id=request.request_id,
            offers=offers,
            notices=(LOCKED,) if locked else (),
            awaiting_release=bool(reviewed),
            awaiting_until=datetime.fromtimestamp(until, UTC) if until is not None else None,
            release=self._release_along(along, request, deadline),
            receipt=self._receipt(request.request_id, head),
        )

    def release(self, request: ReleaseRequest, deadline: Deadline) -> Release:
        """Raises IdentityError, Refused, QuotaExceeded or DeadlineExceeded; then nothing of the request was released or
        charged."""
        asker = self._identify(request)
        recipient = _recipient(asker, request)
        policy = self.policy.now()
        opened = self._open(request, recipient, policy)
        grants = self._grants(policy, asker)
        for sealed in opened.values():
            grant = grants[sealed.collection]
            if not grant.offers or not grant.processors.allow(request.processor):
                raise Refused("not released to this asker or this processor", code="not_allowed")
        left = self._leaving({handle: (one.passage_id, one.extract) for handle, one in opened.items()}, grants)
        return self._give(left, grants, policy, asker, recipient, request, deadline)

    def awaited(self, request: AwaitedRequest, deadline: Deadline) -> Offers:
        """What somebody here has approved of an earlier request, with its text.

        Raises IdentityError, Refused or DeadlineExceeded, for reasons that do not depend on what was decided. Whatever
        keeps back something approved looks as if nothing was decided; why stands in our own log.
        """
        asker = self._identify(request)
        recipient = _recipient(asker, request)
        policy = self.policy.now()
        deadline.require()
        with self.state.transaction() as connection:
            switch.require_releasing(connection)
            standing = review.standing(connection, recipient, asker, self.clock())
        release = self._approved(standing.approved, policy, asker, recipient, request, deadline)
        given = {passage.handle for passage in release.passages} if release else set()
        offers = [
            Offer(handle=one.handle, rank=rank, probability=bucket(one.probability))
            for rank, one in enumerate((one for one in standing.approved if one.handle in given), start=1)
        ]
        return Offers(
            node=self.id,
            request_id=request.request_id,
            offers=tuple(offers),
            awaiting_release=standing.open and release is None,
            release=release,
        )

    def _approved(
        self,
        approved: Sequence[Held],
        policy: Policy,
        asker: NodeAsker,
        recipient: Recipient,
        request: AwaitedRequest,
        deadline: Deadline,
    ) -> Release | None:
        """None where nothing is left of it: the policy of now, and what would leave now, are looked at once more."""
        grants = self._grants(policy, asker)
        allowed = [
            one
            for one in approved
            if one.collection in grants
            and grants[one.collection].release.text
            and grants[one.collection].processors.allow(request.processor)
        ]
        left = self._leaving({one.handle: (one.passage_id, one.extract) for one in allowed}, grants)
        same = {
            one.handle: left[one.handle]
            for one in allowed
            if one.handle in left and self._form(left[one.handle], grants) == one.sha256
        }
        if len(same) < len(approved):
            _log.warning("approved_not_released", code="not_as_approved", passages=len(approved) - len(same))
        try:
            return self._give(same, grants, policy, asker, recipient, request, deadline) if same else None
        except Refused as refused:
            _log.warning("approved_not_released", code=refused.code, passages=len(same))
            return None

    def _form(self, passage: Passage, grants: Mapping[NodeId, Grant]) -> str:
        return review.form_sha256(passage.text, cited(passage, grants[passage.collection], self.store.document_key))

    def _leaving(
        self, named: Mapping[str, tuple[int, tuple[int, int]]], grants: Mapping[NodeId, Grant]
    ) -> dict[str, Passage]:
        """Of each (passage id, extract) what may leave now; nothing of one that names a patient."""
        passages = self.store.passages([passage_id for passage_id, _ in named.values()])
        shown = releasable(passages, self._redactions, self.store, recheck=True)
        left: dict[str, Passage] = {}
        for handle, (passage_id, extract) in named.items():
            if passage_id in shown:
                passage = leaving(shown[passage_id], grants[shown[passage_id].collection], extract)
                if passage is not None:
                    left[handle] = passage
        return left

    def _give(
        self,
        left: Mapping[str, Passage],
        grants: Mapping[NodeId, Grant],
        policy: Policy,
        asker: NodeAsker,
        recipient: Recipient,
        request: ReleaseRequest | AwaitedRequest,
        deadline: Deadline,
    ) -> Release:
        """The only place where text leaves: charged and audited first, while policy and switch still say so."""
        reviewed = isinstance(request, AwaitedRequest)
        released = tuple(
            ReleasedPassage(
                handle=handle,
                text=passage.text,
                citation=cited(passage, grants[passage.collection], self.store.document_key),
                release_class=self.collections[passage.collection].release_class,
            )
            for handle, passage in left.items()
        )
        disclosures = [Disclosure(one.collection, one.passage_id, len(one.text.encode())) for one in left.values()]
        event = replace(
            self._event("release", asker, recipient),
            processor=str(request.processor),
            passages=tuple(one.passage_id for one in disclosures),
            text_bytes=sum(one.text_bytes for one in disclosures),
            collections=tuple(one.collection for one in disclosures),
            passage_bytes=tuple(one.text_bytes for one in disclosures),
            rules=tuple(grants[one.collection].rule for one in disclosures),
            detail="review" if reviewed else "",
        )
        allowances = {
            one: Allowance(grants[one].quota, len(self.collections[one].collection))
            for one in {passage.collection for passage in left.values()}
        }
        patients = self._patients(left.values())
        with self.state.transaction() as connection:
            deadline.require()  # behind the lock of the store, the last moment at which nothing was charged yet
            switch.require_releasing(connection)
            if not self.policy.unchanged(policy):
                raise Refused("the release policy changed since the offer", code="policy_changed")
            now_s = (self.ledger_clock or self.clock)()
            patient = [one for one in disclosures if self._is_patient(one.collection)]
            if patient and self.lockout.locked(connection, recipient.asker):
                raise Refused("an administrator of this hospital unlocks", code=LOCKED)
            free = ledger.given(connection, recipient, patient, now_s)
            charged = [one for one in disclosures if one not in free]
            ledger.charge(connection, recipient, charged, self.quota, now_s, allowances)
            for one in {passage.collection for passage in patient}:
                share = grants[one].quota.share_per_30_days
                if share is not None:
                    require_patient_share(connection, recipient, patient, one, share, self.store, now_s)
            head = audit.append(connection, event)
            if reviewed:
                review.fetched(connection, recipient, self.clock())
        return Release(
            node=self.id,
            request_id=request.request_id,
            passages=released,
            patients=patients,
            receipt=self._receipt(request.request_id, head),
        )

    def _patients(self, released: Iterable[Passage]) -> int:
        """Distinct patients behind passages of class `patient`; a document that is about nobody known counts as one."""
        about = [one for one in released if self.collections[one.collection].release_class is ReleaseClass.PATIENT]
        whose = self.store.provenance([one.passage_id for one in about])
        behind: set[tuple[str, ...]] = set()
        for one in about:
            known = whose[one.passage_id].patients if one.passage_id in whose else ()
            behind |= {(patient,) for patient in known} or {(one.collection, one.document_id)}
        return len(behind)

    def _release_along(self, handles: Sequence[str], request: OfferRequest, deadline: Deadline) -> Release | None:
        """None where nothing is to go along with the offers, or is refused: what wins is then asked for by itself."""
        if request.direct is None or not handles:
            return None
        wanted = min(request.direct.passages, self.quota.passages_per_request)
        asked = ReleaseRequest(
            request_id=request.request_id,
            coordinator=request.coordinator,
            node=request.node,
            handles=tuple(handles[:wanted]),
            processor=request.direct.processor,
            deadline_ms=request.deadline_ms,
            token=request.token,
        )
        try:
            return self.release(asked, deadline)
        except Refused:
            return None

    def opened(self, request: TraceRequest, handles: Iterable[str]) -> dict[str, SealedPassage]:
        """What handles name that were made for this very request. Raises as `release` does."""
        recipient, policy = _recipient(self._identify(request), request), self.policy.now()
        return self._opened(handles, recipient, policy)

    def record_trace(
        self, request: TraceRequest, policy: Policy, left: Sequence[Disclosure], deadline: Deadline
    ) -> Receipt:
        """A chain of thought is about to leave: charges and audits it; what was read for it has been already.

        Raises Refused, QuotaExceeded or DeadlineExceeded; then it must not leave.
        """
        asker = self._identify(request)
        recipient = _recipient(asker, request)
        event = replace(
            self._event("trace", asker, recipient),
            processor=str(request.processor),
            text_bytes=sum(one.text_bytes for one in left if one.collection not in self.collections),
            figures={"round": request.round, "demonstrations": len(left) - 1},
        )
        with self.state.transaction() as connection:
            deadline.require()
            switch.require_releasing(connection)
            if not self.policy.unchanged(policy):
                raise Refused("the release policy changed meanwhile", code="policy_changed")
            now_s = (self.ledger_clock or self.clock)()
            ledger.charge(connection, recipient, left, self.quota, now_s)
            head = audit.append(connection, event)
        return self._receipt(request.request_id, head)

    def _identify(self, request: OfferRequest | ReleaseRequest | AwaitedRequest | TraceRequest) -> NodeAsker:
        if request.node != self.id:
            raise Refused("a request for another node", code="wrong_node")
        return self.gate.identify(request.token, request.coordinator)

    def _grants(self, policy: Policy, asker: NodeAsker) -> dict[NodeId, Grant]:
        return {one.id: policy.grant(one.id, one.release_class, asker) for one in self.collections.values()}

    def _candidates(
        self,
        policy: Policy,
        grants: Mapping[NodeId, Grant],
        vector: FloatVector | None,
        recipient: Recipient,
        request: OfferRequest,
        k: int,
    ) -> tuple[Candidate, ...]:
        """Over the collections that exist for this asker; each passage as it could be released. Those of which only
        buckets are told are searched by themselves: they push nothing aside whose similarity is told."""
        if vector is None:
            return ()
        there = self._there(grants, request, patient=False)
        coarse = {one.id for one in there if one.redaction or grants[one.id].release is Kind.EXTRACT}
        query = Query(vector, request.text, request.filter)

        def candidates(wanted: list[Collection]) -> list[Candidate]:
            return [
                Candidate(
                    found=one,
                    grant=grants[one.collection],
                    handle=self._handle(one.collection, one.passage.passage_id, span, policy, recipient),
                    extract=span,
                    coarse=one.collection in coarse,
                )
                for one, span in self._found(wanted, query, k, grants)
            ]

        return told(
            candidates([one.collection for one in there if one.id not in coarse]),
            candidates([one.collection for one in there if one.id in coarse]),
            k,
        )

    def _there(self, grants: Mapping[NodeId, Grant], request: OfferRequest, *, patient: bool) -> list[ServedCollection]:
        """The collections, of class `patient` or the others, that exist for this asker and this request."""
        some = [one for one in self.collections.values() if self._is_patient(one.id) is patient]
        return [one for one in some if grants[one.id].offers and one.passes(request.filter, grants[one.id])]

    def _is_patient(self, collection: NodeId) -> bool:
        return self.collections[collection].release_class is ReleaseClass.PATIENT

    def _records(
        self,
        policy: Policy,
        grants: Mapping[NodeId, Grant],
        vector: FloatVector | None,
        recipient: Recipient,
        request: OfferRequest,
    ) -> PatientOffers | None:
        """What may be offered of `patient` collections; None where none is asked."""
        there = self._there(grants, request, patient=True)
        count = places(request.k, beside_others=bool(self._there(grants, request, patient=False)))
        if vector is None or not there or not count:
            return None
        granted = [Granted(one, grants[one.id], one.version(policy)) for one in there]
        asked = Asked(vector, request.text, request.filter)
        return patient_offers(granted, asked, recipient, count, self.store, self.state, self.lockout, self.reranker)

    def _patient_offers(
        self,
        records: PatientOffers,
        before: int,
        grants: Mapping[NodeId, Grant],
        policy: Policy,
        recipient: Recipient,
    ) -> tuple[Offer, ...]:
        """Behind all others, so that no rank tells how they compare."""
        real = [one for one in records.passages if one is not None]
        spans = dict(
            zip(
                [one.passage.passage_id for one in records.looked_at],
                self._extracts(records.looked_at, grants, records.asked.vector),
                strict=True,
            )
        )
        named = [(one.collection, one.passage.passage_id, spans[one.passage.passage_id]) for one in real]
        decoy = (records.granted[0].served.id, NO_PASSAGE, (0, 0))
        named += [decoy] * (len(records.passages) - len(real))
        return tuple(
            Offer(
                handle=self._handle(collection, passage_id, span, policy, recipient),
                rank=rank,
                probability=records.probability,
            )
            for rank, (collection, passage_id, span) in enumerate(named, start=before + 1)
        )

    def _found(
        self, wanted: Sequence[Collection], query: Query, k: int, grants: Mapping[NodeId, Grant]
    ) -> list[tuple[Found, tuple[int, int]]]:
        """Each passage as it could be released, and what of it bears on the question."""
        hits = search(wanted, query, k, self.store, self.reranker) if wanted else ()
        shown = releasable([one.passage for one in hits], self._redactions, self.store)
        found = [replace(one, passage=shown[one.passage.passage_id]) for one in hits if one.passage.passage_id in shown]
        return list(zip(found, self._extracts(found, grants, query.vector), strict=True))

    def _held(
        self,
        reviewed: Sequence[ServedCollection],
        grants: Mapping[NodeId, Grant],
        vector: FloatVector | None,
        request: OfferRequest,
    ) -> tuple[Held, ...]:
        """What a reviewer is to look at: the best of what would leave."""
        if vector is None:
            return ()
        query = Query(vector, request.text, request.filter)
        held = []
        for one, span in self._found([served.collection for served in reviewed], query, self.review.passages, grants):
            left = leaving(one.passage, grants[one.collection], span)
            if left is not None and one.probability >= self.review.probability:
                form = self._form(left, grants)
                held.append(Held(left.passage_id, one.collection, one.probability, span, form))
        return tuple(held)

    def _extracts(
        self, found: Sequence[Found], grants: Mapping[NodeId, Grant], vector: FloatVector
    ) -> list[tuple[int, int]]:
        """Of each passage what bears on the question, where that alone may leave; elsewhere (0, 0)."""
        some = [one.passage for one in found if grants[one.collection].release is Kind.EXTRACT]
        spans = dict(
            zip(
                [one.passage_id for one in some],
                extracts([one.text for one in some], vector, self.encoder),
                strict=True,
            )
        )
        return [spans.get(one.passage.passage_id, (0, 0)) for one in found]

    @property
    def _redactions(self) -> Mapping[NodeId, Redaction | None]:
        return {served.id: served.redaction for served in self.collections.values()}

    def _query(self, request: OfferRequest) -> FloatVector | None:
        if request.vector is not None and request.comparable_with == self.encoder.identity.comparable_with:
            return decode_vector(request.vector)
        if request.text is not None:
            vector: FloatVector = self.encoder.encode_queries([request.text])[0]
            return vector
        return None

    def _handle(
        self, collection: NodeId, passage_id: int, extract: tuple[int, int], policy: Policy, recipient: Recipient
    ) -> str:
        served = self.collections[collection]
        sealed = SealedPassage(
            collection=served.id,
            passage_id=passage_id,
            generation=served.collection.generation,
            policy=served.version(policy),
            expires_at=int(self.clock()) + LIFETIME_S,
            extract=extract,
        )
        return self.sealer.seal(sealed, recipient)

    def _offer(self, rank: int, one: Candidate) -> Offer:
        """A sketch is of what would leave; similarities are told where what was compared is what would leave."""
        bare = Offer(handle=one.handle, rank=rank, probability=one.probability)
        if self.collections[one.found.collection].release_class is ReleaseClass.PATIENT:
            return bare
        text = leaving(one.found.passage, one.grant, one.extract)
        sketch = _sketch(text.text, self.statistics.sketch_key) if text is not None else None
        similarity = Similarity(value=one.found.similarity, comparable_with=one.found.comparable_with)
        return bare.model_copy(update={"sketch": sketch, "similarity": None if one.coarse else similarity})

    def _open(self, request: ReleaseRequest, recipient: Recipient, policy: Policy) -> dict[str, SealedPassage]:
        return self._opened(request.handles, recipient, policy)

    def _opened(self, handles: Iterable[str], recipient: Recipient, policy: Policy) -> dict[str, SealedPassage]:
        versions = {served.id: served.version(policy) for served in self.collections.values()}
        now_s = self.clock()
        return {handle: self.sealer.open(handle, recipient, versions, now_s) for handle in handles}

    def _event(self, kind: str, asker: NodeAsker, recipient: Recipient) -> audit.AuditEvent:
        return audit.AuditEvent(
            at=audit.timestamp(self.clock()),
            kind=kind,
            request_id=recipient.request_id,
            asker=recipient.asker,
            purpose=recipient.purpose,
            coordinator=recipient.coordinator,
            role=asker.role or "",
            issuer=asker.issuer or "",
            project=recipient.project,
        )

    def _receipt(self, request_id: str, head: str) -> Receipt:
        unsigned = Receipt(
            node=self.id,
            request_id=request_id,
            head=head,
            released_at=datetime.fromtimestamp(self.clock(), UTC),
            signature="",
        )
        return unsigned.model_copy(update={"signature": self.signer.sign("receipt", signed_bytes(unsigned))})


@lru_cache(maxsize=16_384)
def _sketch(text: str, key: bytes) -> Sketch:
    return sketch_of(text, key, key_id(key))


def _recipient(asker: NodeAsker, request: OfferRequest | ReleaseRequest | AwaitedRequest | TraceRequest) -> Recipient:
    return Recipient(asker.pseudonym, asker.purpose, request.coordinator, request.request_id, asker.project or "")
