"""One hospital's half of a question, in two steps: offers without text, then the text of what won elsewhere.

    offers    identify → search → calibrate → admit by policy → seal → audit
    release   identify → open handles → allow by policy → charge the ledger → audit → sign the receipt

Each step that can deny runs before anything is returned, so an error anywhere is a denial.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from fedrag.core.collection import CollectionDescription, NodeDescription
from fedrag.core.deadline import Deadline
from fedrag.core.errors import Refused
from fedrag.core.exchange import (
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
from fedrag.core.wire import FloatVector, Name, NodeId, ReleaseClass, decode_vector
from fedrag.http.signing import Signer, signed_bytes
from retriever_node import audit, ledger
from retriever_node.collection import Collection
from retriever_node.config import QuotaConfig
from retriever_node.gate import Gate
from retriever_node.handles import HandleSealer, Recipient, SealedPassage
from retriever_node.redacted import releasable
from retriever_node.redaction import Redaction
from retriever_node.release import NodeAsker, ReleasePolicy
from retriever_node.search import Found, Query, search
from retriever_node.state import NodeState
from retriever_node.statistics import NodeStatistics, key_id
from retriever_node.store import PassageStore

HANDLE_LIFETIME_S: Final = 600


@dataclass(frozen=True, slots=True)
class ServedCollection:
    """A collection, and what its owner lets out of it. `policy_version` changes whenever the owner decides anew."""

    collection: Collection
    release_class: ReleaseClass
    policy: ReleasePolicy
    policy_version: str
    redaction: Redaction | None
    description: Callable[[], CollectionDescription]

    @property
    def id(self) -> NodeId:
        return self.collection.id


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
    collections: Mapping[NodeId, ServedCollection]
    encoder: Encoder
    reranker: Reranker | None
    statistics: NodeStatistics
    clock: Callable[[], float]

    def describe(self) -> NodeDescription:
        """Denied collections are not mentioned to anyone."""
        described = (served.description() for served in self.collections.values() if served.policy.describes)
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
        deadline.require()
        found = self._search(asker, request)
        deadline.require()
        offers = tuple(self._offer(rank, one, recipient) for rank, one in enumerate(found, start=1))
        with self.state.transaction() as connection:
            audit.append(connection, self._event("offers", request.request_id, recipient))
        along = [offer.handle for offer, one in zip(offers, found, strict=True) if self._goes_along(one)]
        return Offers(
            node=self.id,
            request_id=request.request_id,
            offers=offers,
            release=self._release_along(along, request, deadline),
        )

    def release(self, request: ReleaseRequest, deadline: Deadline) -> Release:
        """Raises IdentityError, Refused, QuotaExceeded or DeadlineExceeded; then nothing of the request was released or
        charged."""
        asker = self._identify(request)
        recipient = _recipient(asker, request)
        opened = self._open(request, recipient)
        for sealed in opened.values():
            policy = self.collections[sealed.collection].policy
            if not policy.admits(asker) or not policy.allows(request.processor):
                raise Refused("not released to this asker or this processor", code="not_allowed")
        named = self.store.passages([sealed.passage_id for sealed in opened.values()])
        found = releasable(named, self._redactions, self.store, recheck=True)
        released = tuple(
            ReleasedPassage(
                handle=handle,
                text=found[sealed.passage_id].text,
                citation=found[sealed.passage_id].citation(),
                release_class=self.collections[sealed.collection].release_class,
            )
            for handle, sealed in opened.items()
            if sealed.passage_id in found
        )
        sizes = {passage.handle: len(passage.text.encode()) for passage in released}
        event = self._event(
            "release",
            request.request_id,
            recipient,
            processor=f"{request.processor.model}@{request.processor.place}",
            passages=tuple(opened[handle].passage_id for handle in sizes),
            text_bytes=sum(sizes.values()),
        )
        with self.state.transaction() as connection:
            deadline.require()  # behind the lock of the store, the last moment at which nothing was charged yet
            ledger.charge(connection, recipient, sizes, self.quota, self.clock())
            head = audit.append(connection, event)
        return Release(
            node=self.id,
            request_id=request.request_id,
            passages=released,
            receipt=self._receipt(request.request_id, head),
        )

    def _goes_along(self, found: Found) -> bool:
        return self.collections[found.collection].policy.direct

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

    def _identify(self, request: OfferRequest | ReleaseRequest) -> NodeAsker:
        if request.node != self.id:
            raise Refused("a request for another node", code="wrong_node")
        return self.gate.identify(request.token, request.coordinator)

    def _search(self, asker: NodeAsker, request: OfferRequest) -> tuple[Found, ...]:
        """Over the collections that exist for this asker; each passage as it could be released."""
        vector = self._query(request)
        if vector is None:
            return ()
        there = [served for served in self.collections.values() if served.policy.admits(asker)]
        wanted = [served.collection for served in there if _wanted(served, request)]
        query = Query(vector, request.text, request.filter)
        found = search(wanted, query, request.k, self.store, self.reranker)
        shown = releasable([one.passage for one in found], self._redactions, self.store)
        return tuple(
            replace(one, passage=shown[one.passage.passage_id]) for one in found if one.passage.passage_id in shown
        )

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

    def _offer(self, rank: int, found: Found, recipient: Recipient) -> Offer:
        served = self.collections[found.collection]
        handle = self.sealer.seal(
            SealedPassage(
                collection=served.id,
                passage_id=found.passage.passage_id,
                generation=served.collection.generation,
                policy=served.policy_version,
                expires_at=int(self.clock()) + HANDLE_LIFETIME_S,
            ),
            recipient,
        )
        if served.release_class is ReleaseClass.PATIENT:
            return Offer(handle=handle, rank=rank, probability=_bucket(found.probability))
        return Offer(
            handle=handle,
            rank=rank,
            probability=found.probability,
            similarity=Similarity(value=found.similarity, comparable_with=found.comparable_with),
            sketch=_sketch(found.passage.text, self.statistics.sketch_key),
        )

    def _open(self, request: ReleaseRequest, recipient: Recipient) -> dict[str, SealedPassage]:
        versions = {served.id: served.policy_version for served in self.collections.values()}
        now_s = self.clock()
        return {handle: self.sealer.open(handle, recipient, versions, now_s) for handle in request.handles}

    def _event(
        self,
        kind: str,
        request_id: str,
        recipient: Recipient,
        *,
        processor: str = "",
        passages: tuple[int, ...] = (),
        text_bytes: int = 0,
    ) -> audit.AuditEvent:
        return audit.AuditEvent(
            at=audit.timestamp(self.clock()),
            kind=kind,
            request_id=request_id,
            asker=recipient.asker,
            purpose=recipient.purpose,
            coordinator=recipient.coordinator,
            processor=processor,
            passages=passages,
            text_bytes=text_bytes,
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


def _wanted(served: ServedCollection, request: OfferRequest) -> bool:
    classes = request.filter.release_classes if request.filter else None
    return classes is None or served.release_class in classes


def _recipient(asker: NodeAsker, request: OfferRequest | ReleaseRequest) -> Recipient:
    return Recipient(asker.pseudonym, asker.purpose, request.coordinator, request.request_id)


def _bucket(probability: float) -> float:
    """One of four: what an offer of a `patient` collection may tell, the middle of its quarter."""
    return min(int(probability * 4), 3) / 4 + 0.125
