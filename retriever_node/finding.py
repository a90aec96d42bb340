"""What a question finds for one asker: passages as they could be released, in the collections that exist for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fedrag.core.exchange import OfferRequest
from fedrag.core.protocols import Encoder, Reranker
from fedrag.core.wire import FloatVector, NodeId, ReleaseClass, decode_vector
from retriever_node.asking import Asking
from retriever_node.extract import Span, extracts
from retriever_node.lockout import Asked, Lockout
from retriever_node.patient_offers import Granted, PatientOffers, patient_offers, places
from retriever_node.policy import Grant, Kind
from retriever_node.redacted import releasable
from retriever_node.search import Found, Query, search
from retriever_node.served import ServedCollection
from retriever_node.state import NodeState
from retriever_node.store import PassageStore


@dataclass(frozen=True, slots=True)
class Finding:
    """One question, over a node's collections as they are granted. `vector` None: it was shown as one of another
    encoder, and finds nothing."""

    request: OfferRequest
    asking: Asking
    grants: Mapping[NodeId, Grant]
    vector: FloatVector | None
    collections: Mapping[NodeId, ServedCollection]
    store: PassageStore
    encoder: Encoder
    reranker: Reranker | None

    def granted(self) -> list[NodeId]:
        """The collections of which text may leave to this asker, at once or once it was approved."""
        return [one for one, grant in self.grants.items() if grant.offers or grant.reviews]

    def there(self, *, patient: bool) -> list[ServedCollection]:
        """The collections, of class `patient` or the others, that exist for this asker and this request."""
        some = [one for one in self.collections.values() if (one.release_class is ReleaseClass.PATIENT) is patient]
        return [one for one in some if self.grants[one.id].offers and self._passes(one)]

    def reviewed(self) -> list[ServedCollection]:
        """Those of which nothing is offered before somebody has approved it."""
        return [one for one in self.collections.values() if self.grants[one.id].reviews and self._passes(one)]

    def passages(self, wanted: Sequence[ServedCollection], k: int, vector: FloatVector) -> list[tuple[Found, Span]]:
        """Each passage as it could be released, and what of it bears on the question."""
        query = Query(vector, self.request.text, self.request.filter)
        searched = [one.collection for one in wanted]
        hits = search(searched, query, k, self.store, self.reranker) if searched else ()
        redactions = {served.id: served.redaction for served in self.collections.values()}
        shown = releasable([one.passage for one in hits], redactions, self.store)
        found = [replace(one, passage=shown[one.passage.passage_id]) for one in hits if one.passage.passage_id in shown]
        return list(zip(found, self.extracts(found, vector), strict=True))

    def records(self, state: NodeState, lockout: Lockout) -> PatientOffers | None:
        """What may be offered of `patient` collections; None where none is asked."""
        there = self.there(patient=True)
        count = places(self.request.k, beside_others=bool(self.there(patient=False)))
        if self.vector is None or not there or not count:
            return None
        granted = [Granted(one, self.grants[one.id], one.version(self.asking.policy)) for one in there]
        asked = Asked(self.vector, self.request.text, self.request.filter)
        recipient = self.asking.recipient
        return patient_offers(granted, asked, recipient, count, self.store, state, lockout, self.reranker)

    def extracts(self, found: Sequence[Found], vector: FloatVector) -> list[Span]:
        """Of each passage what bears on the question, where that alone may leave; elsewhere (0, 0)."""
        some = [one.passage for one in found if self.grants[one.collection].release is Kind.EXTRACT]
        spans = dict(
            zip(
                [one.passage_id for one in some],
                extracts([one.text for one in some], vector, self.encoder),
                strict=True,
            )
        )
        return [spans.get(one.passage.passage_id, (0, 0)) for one in found]

    def _passes(self, one: ServedCollection) -> bool:
        return one.passes(self.request.filter, self.grants[one.id])


def vector_of(request: OfferRequest, encoder: Encoder) -> FloatVector | None:
    """As it was shown, where this encoder could have made it; of the question's words, where these were shown."""
    if request.vector is not None and request.comparable_with == encoder.identity.comparable_with:
        return decode_vector(request.vector)
    if request.text is not None:
        vector: FloatVector = encoder.encode_queries([request.text])[0]
        return vector
    return None
