"""What a hospital says about its collections, and which of them a router chooses."""

import hashlib
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from fedrag.core.question import Intent
from fedrag.core.wire import (
    NUMBER,
    Base64,
    Count,
    Finite,
    Name,
    NodeId,
    Probability,
    ReleaseClass,
    Sha256,
    Vector,
    Wire,
)


class EncoderIdentity(Wire):
    """Everything two encoders must agree on before their similarities mean the same."""

    name: Name
    weights_sha256: Sha256
    precision: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{2,8}$")]
    dimension: Annotated[int, Field(ge=1, le=4096), NUMBER]
    query_prefix: str = ""
    passage_prefix: str = ""
    maximum_tokens: Annotated[int, Field(ge=8), NUMBER]
    languages: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def comparable_with(self) -> str:
        """Two similarities may be compared directly when this string is equal."""
        return f"{self.weights_sha256[:16]}/{self.precision}/{self.dimension}/{self.query_prefix}|{self.passage_prefix}"

    def covers(self, language: str) -> bool:
        return "*" in self.languages or language.split("-")[0].lower() in self.languages


class Prototype(Wire):
    """A cluster of a collection's passages.

    `vector` is the cluster's mean embedding (length at most 1, shorter when the cluster is loose), `mass` its number of
    passages, `spread` the standard deviation of members along the direction in which they vary together:
    sqrt(‖C‖²_F / tr C) of the cluster's covariance C, estimated with little bias for few members, so that query ·
    member is about Normal(query · vector, spread²).
    """

    vector: Vector
    mass: Annotated[int, Field(ge=1), NUMBER]
    spread: Annotated[Finite, Field(ge=0)]


class CollectionDescription(Wire):
    """What one collection offers, signed by its node.

    `term_statistics_epoch` names the statistics that words are scored with ("own": the collection's; None: words are
    not searched for); `charge` is the epsilon spent on this description (None: no noise was added, so no formal bound
    is claimed).
    """

    node: NodeId
    collection: NodeId
    version: Annotated[int, Field(ge=1), NUMBER]
    encoder: EncoderIdentity
    release_class: ReleaseClass
    passages: Count
    prototypes: Annotated[tuple[Prototype, ...], Field(max_length=256)] = ()
    text: Annotated[str, StringConstraints(max_length=2000)] = ""
    term_statistics_epoch: Name | None = None
    charge: Annotated[Finite, Field(ge=0)] | None = None
    traces: bool = False
    """Whether the hospital reasons itself about what it holds: `POST /v1/traces`."""
    described_at: datetime
    previous: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """Digest of the description before this one; empty for the first."""
    signature: Base64 = ""

    @property
    def digest(self) -> str:
        """SHA-256 of all but the signature."""
        return hashlib.sha256(self.model_copy(update={"signature": ""}).model_dump_json().encode()).hexdigest()


class NodeDescription(Wire):
    """A hospital's answer to `GET /v1/description`."""

    node: NodeId
    name: Name
    public_key: Base64
    collections: Annotated[tuple[CollectionDescription, ...], Field(max_length=64)]

    @model_validator(mode="after")
    def _own_collections(self) -> "NodeDescription":
        if any(collection.node != self.node for collection in self.collections):
            raise ValueError("a node can only describe its own collections")
        return self


class RankedNode(Wire):
    """`score` orders nodes within one decision (higher is better); `probability` is P(node useful | question)."""

    node: NodeId
    score: Finite
    probability: Probability


class RoutingDecision(Wire):
    """Which hospitals a question goes to, and why. `ranking` is best first and holds every node considered,
    or of very many the first few and all that were selected. `intent`: what the question was read as."""

    policy: Name
    ranking: tuple[RankedNode, ...]
    selected: tuple[NodeId, ...]
    why: str
    intent: Intent | None = None
