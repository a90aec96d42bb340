"""Collection description: what a router may know of a collection."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from fedrag.core.collection import CollectionDescription, EncoderIdentity
from fedrag.core.wire import NodeId, ReleaseClass
from retriever_node.collection import Collection
from retriever_node.config import CollectionConfig
from retriever_node.prototypes import MINIMUM_MEMBERS


def _now() -> datetime:
    return datetime.now(UTC)


def describe_collection(
    node: NodeId,
    collection: Collection,
    config: CollectionConfig,
    encoder: EncoderIdentity,
    clock: Callable[[], datetime] = _now,
    *,
    traces: bool = False,
) -> CollectionDescription:
    """The description of what the collection can be searched for at present, without a signature.

    Version and time stay as they are until something else of it changes. Prototypes are statistics of private text and
    no noise is added to them here, so a patient collection has none: its owner's text describes it, and its size is
    rounded down to a multiple of the smallest cluster.
    """
    private = config.release_class is ReleaseClass.PATIENT
    size = len(collection)
    unnumbered = CollectionDescription(
        node=node,
        collection=config.id,
        version=1,
        encoder=encoder,
        release_class=config.release_class,
        passages=size - size % MINIMUM_MEMBERS if private else size,
        prototypes=() if private else collection.prototypes(),
        text=config.text,
        term_statistics_epoch=collection.term_statistics_epoch,
        traces=traces,
        described_at=datetime.fromtimestamp(0, UTC),
    )
    content = hashlib.sha256(unnumbered.model_dump_json().encode()).hexdigest()
    version, described_at = collection.described(content, clock())
    return unnumbered.model_copy(update={"version": version, "described_at": described_at})
