"""Who asks a node, and by which policy that is decided: all that a grant depends on, and nothing that was found."""

from collections.abc import Iterable
from dataclasses import dataclass

from fedrag.core.exchange import AwaitedRequest, OfferRequest, ReleaseRequest
from fedrag.core.traces import TraceRequest
from fedrag.core.wire import NodeId
from retriever_node import audit
from retriever_node.handles import Recipient
from retriever_node.policy import Grant, NodeAsker
from retriever_node.policy.rules import Policy
from retriever_node.served import ServedCollection

AnyRequest = OfferRequest | ReleaseRequest | AwaitedRequest | TraceRequest


@dataclass(frozen=True, slots=True)
class Asking:
    """One request: its asker, whom its handles are for, and the policy of the moment at which it came."""

    asker: NodeAsker
    recipient: Recipient
    policy: Policy

    def grants(self, collections: Iterable[ServedCollection]) -> dict[NodeId, Grant]:
        """What this asker may be given of each."""
        return {one.id: self.policy.grant(one.id, one.release_class, self.asker) for one in collections}

    def audit_event(self, kind: str, now_s: float) -> audit.AuditEvent:
        """A line of the audit log that says who asked; what for, is added."""
        return audit.AuditEvent(
            at=audit.timestamp(now_s),
            kind=kind,
            request_id=self.recipient.request_id,
            asker=self.recipient.asker,
            purpose=self.recipient.purpose,
            coordinator=self.recipient.coordinator,
            role=self.asker.role or "",
            issuer=self.asker.issuer or "",
            project=self.recipient.project,
        )


def recipient_of(asker: NodeAsker, request: AnyRequest) -> Recipient:
    return Recipient(asker.pseudonym, asker.purpose, request.coordinator, request.request_id, asker.project or "")
