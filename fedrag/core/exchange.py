"""The two steps on the wire: offers without text, then the text of the winners."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, StringConstraints

from fedrag.core.identity import CompactToken
from fedrag.core.question import PassageFilter, Reason, Text
from fedrag.core.wire import (
    NUMBER,
    Base64,
    Code,
    Count,
    Day,
    Finite,
    Milliseconds,
    Name,
    NodeId,
    Probability,
    ReleaseClass,
    RequestId,
    Sha256,
    Vector,
    Wire,
)

MAXIMUM_OFFERS: Final = 200
MAXIMUM_HANDLES: Final = 50
MAXIMUM_AWAITED: Final = 10
"""Passages that a review of one question can be about."""
WORDS: Final = 0.4
"""How much the share of common words, in [0, 1], counts beside the cosine in a similarity of both:
(cosine + WORDS · words) / (1 + WORDS). On the development halves .3 to .5 are alike. nDCG@10 of MedQuAD across sources:
.395; vectors alone .376, words alone .242, reciprocal ranks .338. Of SciFact: .724; .660, .696, .711."""

Handle = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{64,256}$")]
"""Opaque; sealed by the node with its own key."""


class ProcessorPlace(StrEnum):
    COORDINATOR = "coordinator"
    """In the coordinator's own process."""
    TRUST_DOMAIN = "trust_domain"
    """A server the federation runs."""
    OUTSIDE = "outside"
    """Anywhere else."""


class Reader(Wire):
    """A model, and where it runs."""

    model: Name
    place: ProcessorPlace

    def __str__(self) -> str:
        return f"{self.model}@{self.place}"


class Processor(Reader):
    """The model that is going to read the released text; a node's policy lists those it allows. `others`: models any of
    which may read it too, or instead. A policy that does not allow all of them releases nothing."""

    others: Annotated[tuple[Reader, ...], Field(max_length=32)] = ()

    @property
    def readers(self) -> tuple[Reader, ...]:
        return (Reader(model=self.model, place=self.place), *self.others)

    def __str__(self) -> str:
        return ", ".join(map(str, self.readers))


class ReleaseMode(StrEnum):
    """How text comes from a hospital to the answer."""

    OFFERS = "offers"
    """After the merge, and only of what won it."""
    DIRECT = "direct"
    """With the offers, won or not, from collections whose policy lets it: one round trip for public ones. From all
    others as `offers`."""


class DirectRelease(Wire):
    """Wanted along with the offers: the text of the best `passages` of them."""

    processor: Processor
    passages: Annotated[int, Field(ge=1, le=MAXIMUM_HANDLES), NUMBER]


class OfferRequest(Wire):
    """`POST /v1/offers`. `vector` is the query under the encoder named by `comparable_with`.

    A node with another encoder needs `text` (query disclosure `text`), and offers nothing without it.
    """

    request_id: RequestId
    coordinator: NodeId
    node: NodeId
    vector: Vector | None
    comparable_with: str
    text: Text | None
    k: Annotated[int, Field(ge=1, le=MAXIMUM_OFFERS), NUMBER]
    deadline_ms: Milliseconds
    filter: PassageFilter | None = None
    direct: DirectRelease | None = None
    reason: Reason | None = None
    """Why it is asked; what a reviewer reads."""
    token: CompactToken | None = None


class Similarity(Wire):
    """Cosine similarity, in [-1, 1] up to rounding; higher is better."""

    value: Annotated[Finite, Field(ge=-1.001, le=1.001)]
    comparable_with: str


class Sketch(Wire):
    """What lets two hospitals' near-identical passages be recognised before either text is released.

    `shingles` counts the passage's pairs of neighbouring words, hashed; equal `facts` means equal numbers with units
    and equal negations, without which two passages are never one. `key_id` names the key that all its hashes were made
    with, "" where anybody can make them: sketches with different ones are never compared. Public and protocol classes
    only.
    """

    shingles: Base64
    facts: Sha256
    key_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{0,64}$")] = ""


class Offer(Wire):
    """One passage a node could release. `probability` is the node's calibrated P(relevant | score)."""

    handle: Handle
    rank: Annotated[int, Field(ge=1, le=MAXIMUM_OFFERS), NUMBER]
    probability: Probability
    similarity: Similarity | None = None
    sketch: Sketch | None = None


class Offers(Wire):
    """A node's answer to an `OfferRequest`, best first. `awaiting_release` is announced, match or not.

    `release`: what came along, where `direct` was asked for and let.
    """

    node: NodeId
    request_id: RequestId
    offers: Annotated[tuple[Offer, ...], Field(max_length=MAXIMUM_OFFERS)]
    awaiting_release: bool = False
    awaiting_until: AwareDatetime | None = None
    """When nothing more can come of it, match or not; None where it cannot be waited for."""
    notices: Annotated[tuple[Code, ...], Field(max_length=10)] = ()
    """Why less is offered than could be, for reasons that do not depend on content: `locked`."""
    release: "Release | None" = None
    receipt: "Receipt | None" = None
    """Of these offers, made or not."""


class ReleaseRequest(Wire):
    """`POST /v1/releases`: open these handles, for this processor."""

    request_id: RequestId
    coordinator: NodeId
    node: NodeId
    handles: Annotated[tuple[Handle, ...], Field(min_length=1, max_length=MAXIMUM_HANDLES)]
    processor: Processor
    deadline_ms: Milliseconds
    token: CompactToken | None = None


class AwaitedRequest(Wire):
    """`POST /v1/awaited`: what a person at the hospital has approved of an earlier request, for this processor.

    Answered with `Offers`: of what was approved, with its release; or of nothing, `awaiting_release` while something
    may still come. What was denied, what expired and what matched nothing all wait until `awaiting_until`.
    """

    request_id: RequestId
    coordinator: NodeId
    node: NodeId
    processor: Processor
    deadline_ms: Milliseconds
    token: CompactToken | None = None


class Citation(Wire):
    """Where a passage stands. Names are the node's choice; `locator` is an RFC 5147 character range."""

    document_id: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    document_name: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    title: Annotated[str, StringConstraints(max_length=500)] = ""
    section: Annotated[str, StringConstraints(max_length=500)] = ""
    version: Annotated[str, StringConstraints(max_length=100)] = ""
    effective_date: Day | None = None
    locator: Annotated[str, StringConstraints(pattern=r"^char=\d+,\d+$")]


class ReleasedPassage(Wire):
    """Text that left a hospital, after its policy and redaction."""

    handle: Handle
    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    citation: Citation
    release_class: ReleaseClass


class Receipt(Wire):
    """The signed head of the node's audit chain after this request: it vouches for every line up to there. Never a
    position, never a balance."""

    node: NodeId
    request_id: RequestId
    head: Sha256
    released_at: datetime
    signature: Base64


class Release(Wire):
    """A node's answer to a `ReleaseRequest`. A handle the policy did not honour is simply not among the passages."""

    node: NodeId
    request_id: RequestId
    passages: Annotated[tuple[ReleasedPassage, ...], Field(max_length=MAXIMUM_HANDLES)]
    patients: Count = 0
    """Distinct patients behind the released passages, as far as the node knows; 0 for public and protocol classes."""
    receipt: Receipt


class NodeStatus(StrEnum):
    ANSWERED = "answered"
    REFUSED = "refused"
    AWAITING_RELEASE = "awaiting_release"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    SUSPENDED = "suspended"
    NOT_SELECTED = "not_selected"


class NodeOutcome(Wire):
    """What became of one hospital in one question. `code` is an error code, never text."""

    node: NodeId
    status: NodeStatus
    elapsed_ms: Milliseconds = 0
    code: Code | None = None
