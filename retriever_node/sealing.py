"""Handles of one node: sealed under the index and the policy of the moment, opened only while both still hold."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fedrag.core.wire import NodeId
from retriever_node.asking import Asking
from retriever_node.extract import Span
from retriever_node.handles import LIFETIME_S, HandleSealer, SealedPassage
from retriever_node.served import ServedCollection


@dataclass(frozen=True, slots=True)
class Handles:
    collections: Mapping[NodeId, ServedCollection]
    sealer: HandleSealer
    clock: Callable[[], float]

    def seal(self, collection: NodeId, passage_id: int, extract: Span, asking: Asking) -> str:
        served = self.collections[collection]
        sealed = SealedPassage(
            collection=served.id,
            passage_id=passage_id,
            generation=served.collection.generation,
            policy=served.version(asking.policy),
            expires_at=int(self.clock()) + LIFETIME_S,
            extract=extract,
        )
        return self.sealer.seal(sealed, asking.recipient)

    def opened(self, handles: Iterable[str], asking: Asking) -> dict[str, SealedPassage]:
        """What handles name that were made for this very request. Raises as `HandleSealer.open`."""
        versions = {served.id: served.version(asking.policy) for served in self.collections.values()}
        now_s = self.clock()
        return {handle: self.sealer.open(handle, asking.recipient, versions, now_s) for handle in handles}
