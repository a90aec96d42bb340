"""One hospital's half of a question, in two steps: offers without text, then the text of what won elsewhere.

    offers    identify → grants of the policy → search → seal → audit
    release   identify → grants of the policy → open handles → charge the ledger → audit → sign the receipt

What a person has to approve first is not offered: it waits (`retriever_node/review.py`), and is released when it is
asked for again (`awaited`). Each step that can deny runs before anything is returned, so an error anywhere is a denial.

The steps are parts that can be read by themselves: who asks (`asking`), what is found (`finding`) and told of it
(`offering`), handles (`sealing`), text that leaves (`giving`), and what waits (`waiting`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fedrag.core.collection import NodeDescription
from fedrag.core.deadline import Deadline
from fedrag.core.errors import Refused
from fedrag.core.exchange import AwaitedRequest, Offer, OfferRequest, Offers, Receipt, Release, ReleaseRequest
from fedrag.core.protocols import Encoder, Reranker
from fedrag.core.traces import TraceRequest
from fedrag.core.wire import Name, NodeId, ReleaseClass
from fedrag.http.signing import Signer, signed_bytes
from retriever_node import audit, chain, review, switch
from retriever_node.asking import AnyRequest, Asking, recipient_of
from retriever_node.config import QuotaConfig, ReviewConfig
from retriever_node.finding import Finding, vector_of
from retriever_node.gate import Gate
from retriever_node.giving import Giving
from retriever_node.handles import HandleSealer, SealedPassage
from retriever_node.ledger import Disclosure
from retriever_node.lockout import LOCKED, Lockout
from retriever_node.offering import Offering
from retriever_node.patient_offers import PatientOffers
from retriever_node.policy.live import LivePolicy
from retriever_node.policy.rules import Policy
from retriever_node.populations import Populations
from retriever_node.review import Held
from retriever_node.sealing import Handles
from retriever_node.served import ServedCollection, bucket
from retriever_node.state import NodeState
from retriever_node.statistics import NodeStatistics
from retriever_node.store import PassageStore
from retriever_node.waiting import held, release_approved


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
        asking = self._asking(request)
        deadline.require()
        finding = self._finding(request, asking)
        offering = Offering(finding, self._handles, self.statistics)
        records = finding.records(self.state, self.lockout)
        candidates = offering.candidates(request.k - (len(records.passages) if records else 0))
        reviewed = finding.reviewed()
        waiting = held(finding, reviewed, self.review) if request.reason else ()
        deadline.require()
        offers = offering.offers(candidates)
        recorded = self._record(request, asking, records, reviewed, waiting)
        if records is not None and not recorded.locked:
            offers += offering.of_patients(records, len(offers))
        if recorded.locked and all(map(self._is_patient, finding.granted())):
            raise Refused("asked too often in other words; an administrator of this hospital unlocks", code=LOCKED)
        along = [one.handle for one in candidates if one.grant.direct]
        return Offers(
            node=self.id,
            request_id=request.request_id,
            offers=offers,
            notices=(LOCKED,) if recorded.locked else (),
            awaiting_release=recorded.waits,
            awaiting_until=datetime.fromtimestamp(recorded.until, UTC) if recorded.until is not None else None,
            release=self._release_along(along, request, deadline),
            receipt=self._giving.receipt(request.request_id, recorded.head),
        )

    def release(self, request: ReleaseRequest, deadline: Deadline) -> Release:
        """Raises IdentityError, Refused, QuotaExceeded or DeadlineExceeded; then nothing of the request was released or
        charged."""
        asking = self._asking(request)
        opened = self._handles.opened(request.handles, asking)
        grants = asking.grants(self.collections.values())
        for sealed in opened.values():
            grant = grants[sealed.collection]
            if not grant.offers or not grant.processors.allow(request.processor):
                raise Refused("not released to this asker or this processor", code="not_allowed")
        left = self._giving.left({handle: (one.passage_id, one.extract) for handle, one in opened.items()}, grants)
        return self._giving.give(left, grants, asking, request, deadline)

    def awaited(self, request: AwaitedRequest, deadline: Deadline) -> Offers:
        """What somebody here has approved of an earlier request, with its text.

        Raises IdentityError, Refused or DeadlineExceeded, for reasons that do not depend on what was decided. Whatever
        keeps back something approved looks as if nothing was decided; why stands in our own log.
        """
        asking = self._asking(request)
        deadline.require()
        with self.state.transaction() as connection:
            switch.require_releasing(connection)
            standing = review.standing(connection, asking.recipient, asking.asker, self.clock())
        release = release_approved(standing.approved, self._giving, asking, request, deadline)
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

    def opened(self, request: TraceRequest, handles: Iterable[str]) -> dict[str, SealedPassage]:
        """What handles name that were made for this very request. Raises as `release` does."""
        return self._handles.opened(handles, self._asking(request))

    def record_trace(
        self, request: TraceRequest, policy: Policy, left: Sequence[Disclosure], deadline: Deadline
    ) -> Receipt:
        """A chain of thought is about to leave: charges and audits it; what was read for it has been already.

        Raises Refused, QuotaExceeded or DeadlineExceeded; then it must not leave.
        """
        return self._giving.give_trace(request, self._asking(request, policy), left, deadline)

    def _asking(self, request: AnyRequest, policy: Policy | None = None) -> Asking:
        """`policy`: the one that was in force when the request came; by default that of now."""
        if request.node != self.id:
            raise Refused("a request for another node", code="wrong_node")
        asker = self.gate.identify(request.token, request.coordinator)
        return Asking(asker, recipient_of(asker, request), self.policy.now() if policy is None else policy)

    def _finding(self, request: OfferRequest, asking: Asking) -> Finding:
        return Finding(
            request=request,
            asking=asking,
            grants=asking.grants(self.collections.values()),
            vector=vector_of(request, self.encoder),
            collections=self.collections,
            store=self.store,
            encoder=self.encoder,
            reranker=self.reranker,
        )

    def _record(
        self,
        request: OfferRequest,
        asking: Asking,
        records: PatientOffers | None,
        reviewed: Sequence[ServedCollection],
        waiting: Sequence[Held],
    ) -> "_Recorded":
        """On disk before anything is told: that it was asked, that it was asked of records, and what waits. To whoever
        is locked out of records they do not exist."""
        recipient, until = asking.recipient, None
        digest = audit.question_digest(self.signer.derived_secret("audit questions"), request.text, request.vector)
        with self.state.transaction() as connection:
            switch.require_releasing(connection)
            head = audit.append(connection, replace(asking.audit_event("offers", self.clock()), question=digest))
            locked = records is not None and records.count(connection, self.lockout, recipient)
            locked = locked or self.lockout.locked(connection, recipient.asker)
            if locked:
                reviewed = [one for one in reviewed if not self._is_patient(one.id)]
                waiting = tuple(one for one in waiting if not self._is_patient(one.collection))
            if reviewed and request.reason:
                asked = review.Asked.by(asking.asker, recipient, request.text, request.reason)
                until = review.queue(connection, asked, waiting, self.review, self.clock())
        return _Recorded(head, locked, bool(reviewed), until)

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

    def _is_patient(self, collection: NodeId) -> bool:
        return self.collections[collection].release_class is ReleaseClass.PATIENT

    @property
    def _handles(self) -> Handles:
        return Handles(self.collections, self.sealer, self.clock)

    @property
    def _giving(self) -> Giving:
        return Giving(
            node=self.id,
            signer=self.signer,
            state=self.state,
            store=self.store,
            policy=self.policy,
            collections=self.collections,
            quota=self.quota,
            lockout=self.lockout,
            clock=self.clock,
            ledger_clock=self.ledger_clock or self.clock,
        )


@dataclass(frozen=True, slots=True)
class _Recorded:
    """`head` of the audit log; `until` when what waits is over, in Unix seconds, where the queue took it."""

    head: str
    locked: bool
    waits: bool
    until: int | None
