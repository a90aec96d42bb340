"""What a node serves: its collections, and what is told of each before anything is released."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace

from fedrag.core.collection import CollectionDescription
from fedrag.core.exchange import Citation
from fedrag.core.question import PassageFilter
from fedrag.core.wire import NodeId, ReleaseClass
from retriever_node.collection import Collection
from retriever_node.documents import Passage
from retriever_node.policy import Grant, Kind
from retriever_node.policy.rules import Policy
from retriever_node.redaction import Redaction
from retriever_node.search import Found

_BUCKETS = 4


@dataclass(frozen=True, slots=True)
class ServedCollection:
    """A collection, and the form in which its text leaves."""

    collection: Collection
    release_class: ReleaseClass
    redaction: Redaction | None
    description: Callable[[], CollectionDescription]

    @property
    def id(self) -> NodeId:
        return self.collection.id

    def version(self, policy: Policy) -> str:
        """Changes whenever the owner decides anew: in the policy, about the class, or about redaction."""
        return f"{policy.version}/{self.release_class}/{self.redaction.version if self.redaction else ''}"

    def passes(self, wanted: PassageFilter | None, grant: Grant) -> bool:
        """Whether the filter lets its passages be found at all. Records of patients are found by who asks for that
        class by name, or states a reason that somebody reviews: a question about medicine is not one about a patient.
        A collection that redacts, or is cited under another name, tells no dates: whoever limits them is offered
        nothing of it, whatever its dates are."""
        named = wanted.release_classes if wanted else None
        if named is None and self.release_class is ReleaseClass.PATIENT and not grant.review:
            return False
        if named is not None and self.release_class not in named:
            return False
        dated = wanted is not None and (wanted.effective_from is not None or wanted.effective_until is not None)
        return not (dated and (self.redaction is not None or grant.cite_as is not None))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage as it could be released, under a handle; `extract` as in `SealedPassage`. `coarse`: more was compared
    with the question than would leave, so of how similar it is only a bucket is told."""

    found: Found
    grant: Grant
    handle: str
    extract: tuple[int, int]
    coarse: bool

    @property
    def probability(self) -> float:
        """What is told of it: one of four where it is coarse, the middle of its quarter."""
        return bucket(self.found.probability) if self.coarse else self.found.probability


def bucket(probability: float) -> float:
    """The middle of its quarter."""
    return (min(int(probability * _BUCKETS), _BUCKETS - 1) + 0.5) / _BUCKETS


def told(exact: list[Candidate], coarse: list[Candidate], k: int) -> tuple[Candidate, ...]:
    """At most k in the order they are offered. Exact ones alone: as they were found. Else by what is told of each, and
    coarse ones in one bucket by their handles, which are random: no place tells more than the buckets do."""
    if not coarse:
        return tuple(exact[:k])
    shuffled = sorted(coarse, key=lambda one: one.handle)
    return tuple(sorted([*exact, *shuffled], key=lambda one: -one.probability)[:k])


def leaving(passage: Passage, grant: Grant, extract: tuple[int, int]) -> Passage | None:
    """What of a passage, as it could be released, leaves under a grant; None where nothing does."""
    if not grant.release.text:
        return None
    if grant.release is not Kind.EXTRACT:
        return passage
    start, end = extract
    if not 0 <= start < end <= len(passage.text):
        return None
    return replace(passage, text=passage.text[start:end])


def cited(passage: Passage, grant: Grant, key: bytes) -> Citation:
    """Under the name that the grant gives; the document's id is then one that only this node can make of it."""
    citation = passage.citation()
    if grant.cite_as is None:
        return citation
    digest = hmac.new(key, f"citation\0{passage.document_id}".encode(), hashlib.sha256).hexdigest()[:32]
    named = {"document_id": digest, "document_name": grant.cite_as, "title": "", "section": "", "version": ""}
    return citation.model_copy(update={**named, "effective_date": None})
