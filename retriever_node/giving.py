"""The only place where text leaves: charged and audited first, while policy and switch still say so."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fedrag.core.deadline import Deadline
from fedrag.core.errors import Refused
from fedrag.core.exchange import AwaitedRequest, Receipt, Release, ReleasedPassage, ReleaseRequest
from fedrag.core.traces import TraceRequest
from fedrag.core.wire import NodeId, ReleaseClass
from fedrag.http.signing import Signer, signed_bytes
from retriever_node import audit, ledger, review, switch
from retriever_node.asking import Asking
from retriever_node.config import QuotaConfig
from retriever_node.documents import Passage
from retriever_node.extract import Span
from retriever_node.ledger import Allowance, Disclosure
from retriever_node.lockout import LOCKED, Lockout
from retriever_node.patient_share import require_patient_share
from retriever_node.policy import Grant
from retriever_node.policy.live import LivePolicy
from retriever_node.policy.rules import Policy
from retriever_node.redacted import releasable
from retriever_node.served import ServedCollection, cited, leaving
from retriever_node.state import NodeState
from retriever_node.store import PassageStore


@dataclass(frozen=True, slots=True)
class Giving:
    """`clock` of audit and receipts, `ledger_clock` of quotas."""

    node: NodeId
    signer: Signer
    state: NodeState
    store: PassageStore
    policy: LivePolicy
    collections: Mapping[NodeId, ServedCollection]
    quota: QuotaConfig
    lockout: Lockout
    clock: Callable[[], float]
    ledger_clock: Callable[[], float]

    def left(self, named: Mapping[str, tuple[int, Span]], grants: Mapping[NodeId, Grant]) -> dict[str, Passage]:
        """Of each (passage id, extract) what may leave now; nothing of one that names a patient."""
        passages = self.store.passages([passage_id for passage_id, _ in named.values()])
        redactions = {served.id: served.redaction for served in self.collections.values()}
        shown = releasable(passages, redactions, self.store, recheck=True)
        left: dict[str, Passage] = {}
        for handle, (passage_id, extract) in named.items():
            if passage_id in shown:
                passage = leaving(shown[passage_id], grants[shown[passage_id].collection], extract)
                if passage is not None:
                    left[handle] = passage
        return left

    def give(
        self,
        left: Mapping[str, Passage],
        grants: Mapping[NodeId, Grant],
        asking: Asking,
        request: ReleaseRequest | AwaitedRequest,
        deadline: Deadline,
    ) -> Release:
        """Raises Refused, QuotaExceeded or DeadlineExceeded; then nothing of it leaves and nothing is charged."""
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
        reviewed = isinstance(request, AwaitedRequest)
        event = replace(
            asking.audit_event("release", self.clock()),
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
        patients = patients_behind(left.values(), self.collections, self.store)
        with self.state.transaction() as connection:
            now_s = self._last_look(connection, asking.policy, deadline, "the release policy changed since the offer")
            self._charge(connection, disclosures, allowances, asking, now_s)
            head = audit.append(connection, event)
            if reviewed:
                review.fetched(connection, asking.recipient, self.clock())
        return Release(
            node=self.node,
            request_id=request.request_id,
            passages=released,
            patients=patients,
            receipt=self.receipt(request.request_id, head),
        )

    def give_trace(
        self, request: TraceRequest, asking: Asking, left: Sequence[Disclosure], deadline: Deadline
    ) -> Receipt:
        """A chain of thought: its text leaves with this receipt. Raises as `give`."""
        event = replace(
            asking.audit_event("trace", self.clock()),
            processor=str(request.processor),
            text_bytes=sum(one.text_bytes for one in left if one.collection not in self.collections),
            figures={"round": request.round, "demonstrations": len(left) - 1},
        )
        with self.state.transaction() as connection:
            now_s = self._last_look(connection, asking.policy, deadline, "the release policy changed meanwhile")
            ledger.charge(connection, asking.recipient, left, self.quota, now_s)
            head = audit.append(connection, event)
        return self.receipt(request.request_id, head)

    def receipt(self, request_id: str, head: str) -> Receipt:
        """Signed: that the audit log has this head, of which the request's line is a part."""
        unsigned = Receipt(
            node=self.node,
            request_id=request_id,
            head=head,
            released_at=datetime.fromtimestamp(self.clock(), UTC),
            signature="",
        )
        return unsigned.model_copy(update={"signature": self.signer.sign("receipt", signed_bytes(unsigned))})

    def _last_look(self, connection: sqlite3.Connection, policy: Policy, deadline: Deadline, changed: str) -> float:
        """Behind the lock of the state, the last moment at which nothing was charged yet; the time to charge by."""
        deadline.require()
        switch.require_releasing(connection)
        if not self.policy.unchanged(policy):
            raise Refused(changed, code="policy_changed")
        return self.ledger_clock()

    def _charge(
        self,
        connection: sqlite3.Connection,
        disclosures: Sequence[Disclosure],
        allowances: Mapping[NodeId, Allowance],
        asking: Asking,
        now_s: float,
    ) -> None:
        """What was given before of patients' records is free; of how many patients, has a limit of its own."""
        recipient = asking.recipient
        patient = [one for one in disclosures if self.collections[one.collection].release_class is ReleaseClass.PATIENT]
        if patient and self.lockout.locked(connection, recipient.asker):
            raise Refused("an administrator of this hospital unlocks", code=LOCKED)
        free = ledger.given(connection, recipient, patient, now_s)
        charged = [one for one in disclosures if one not in free]
        ledger.charge(connection, recipient, charged, self.quota, now_s, allowances)
        for one in {disclosure.collection for disclosure in patient}:
            share = allowances[one].quota.share_per_30_days
            if share is not None:
                require_patient_share(connection, recipient, patient, one, share, self.store, now_s)


def patients_behind(
    released: Iterable[Passage], collections: Mapping[NodeId, ServedCollection], store: PassageStore
) -> int:
    """Distinct patients behind passages of class `patient`; a document that is about nobody known counts as one."""
    about = [one for one in released if collections[one.collection].release_class is ReleaseClass.PATIENT]
    whose = store.provenance([one.passage_id for one in about])
    behind: set[tuple[str, ...]] = set()
    for one in about:
        known = whose[one.passage_id].patients if one.passage_id in whose else ()
        behind |= {(patient,) for patient in known} or {(one.collection, one.document_id)}
    return len(behind)
