"""The seams: what each part promises, and nothing about how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from fedrag.core.answer import Evidence, Reasoning, RedactionCount
from fedrag.core.collection import CollectionDescription, EncoderIdentity, NodeDescription, RoutingDecision
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import AwaitedRequest, Offer, OfferRequest, Offers, Release, ReleaseRequest
from fedrag.core.question import Question
from fedrag.core.statistics import A, Q, Step
from fedrag.core.traces import LocalTask, LocalTrace, Told, Trace, TraceRequest
from fedrag.core.wire import Base64, FloatMatrix, FloatVector, NodeId


class Encoder(Protocol):
    """Text to unit vectors. Queries and passages are encoded apart: many models want different prefixes. Used
    by several threads at once."""

    @property
    def identity(self) -> EncoderIdentity: ...

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """float32 (len(texts), dimension), rows of length 1."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """float32 (len(texts), dimension), rows of length 1. Text beyond `maximum_tokens` does not count."""
        ...

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        """Character range (start, end) of each token of `text`, in order, special tokens and prefixes excluded."""
        ...


@runtime_checkable
class HasVocabulary(Protocol):
    """An encoder whose tokeniser knows whole words: a public list, the same wherever it is used."""

    def vocabulary(self) -> tuple[str, ...]:
        """In order."""
        ...


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The k nearest rows of each query.

    `positions` int64 (queries, k) into the indexed rows, -1 where there are fewer; `similarities` float32, same shape,
    not increasing along a row, ties by position.
    """

    positions: npt.NDArray[np.int64]
    similarities: FloatMatrix


class VectorIndex(Protocol):
    """Nearest neighbours by cosine similarity over unit vectors."""

    def build(self, vectors: FloatMatrix) -> None:
        """Index these rows, replacing what was there."""
        ...

    def search(self, queries: FloatMatrix, k: int) -> Neighbours: ...

    def save(self, folder: Path) -> None:
        """Write what was made of the rows into files of this empty folder: none where nothing was made of them. The
        rows themselves are kept by the caller.

        Raises OSError or Unavailable when the disk does not take them.
        """
        ...

    def load(self, folder: Path, vectors: FloatMatrix) -> None:
        """What `build(vectors)` makes, from the files that an index with the same settings saved for the same rows.
        Native code reads them: they must be known to be undamaged. The rows may be memory-mapped.

        Raises OSError or IntegrityError when they are not those of these rows; the index is then to be built.
        """
        ...


@runtime_checkable
class RemovesRows(Protocol):
    """An index that can follow a deletion without being built again."""

    def without(self, positions: npt.NDArray[np.int64], vectors: FloatMatrix) -> VectorIndex:
        """Another index, over these rows: its own without those at `positions`, the others moved up. This one stays as
        it is and may be searched meanwhile."""
        ...


class Reranker(Protocol):
    """Reads a question and a passage together, and so puts what was found into a better order."""

    @property
    def candidates(self) -> int:
        """How many of the passages found it is to read, at least."""
        ...

    @property
    def comparable_with(self) -> str:
        """What two values of relevance must agree on before they mean the same."""
        ...

    def relevance(self, question: str, passages: Sequence[str]) -> FloatVector:
        """float32 (len(passages),), in [0, 1], higher is better; of each passage by itself."""
        ...

    def probability(self, relevance: float) -> float:
        """Calibrated P(relevant), not falling with relevance."""
        ...


class Redactor(Protocol):
    """Takes identifiers out of text."""

    def redact(self, text: str) -> tuple[str, tuple[RedactionCount, ...]]: ...


T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Reply(Generic[T_co]):
    """What a hospital sent, and the bytes of its message body."""

    value: T_co
    wire_bytes: int


class Node(Protocol):
    """One hospital, as the coordinator sees it. Every failure is a FedragError."""

    @property
    def id(self) -> NodeId: ...

    @property
    def public_key(self) -> Base64:
        """By which it is known; pinned."""
        ...

    async def describe(self, deadline: Deadline) -> Reply[NodeDescription]: ...

    async def offers(self, request: OfferRequest, deadline: Deadline) -> Reply[Offers]: ...

    async def release(self, request: ReleaseRequest, deadline: Deadline) -> Reply[Release]: ...

    async def awaited(self, request: AwaitedRequest, deadline: Deadline) -> Reply[Offers]:
        """What was approved since of an earlier request, with its release."""
        ...

    async def take_part(self, step: Step[Q, A], request: Q, deadline: Deadline) -> Reply[A]:
        """One step of a round of common statistics."""
        ...


@runtime_checkable
class ReasoningNode(Node, Protocol):
    """A hospital that can be asked for a chain of thought of its own."""

    async def trace(self, request: TraceRequest, deadline: Deadline) -> Reply[Trace]: ...


@dataclass(frozen=True, slots=True)
class RoutingLimits:
    """`maximum_nodes` is a hard cap; `passages` is how many the answer wants. `target`: the probability of finding the
    evidence that the hospitals asked are to reach, None: the policy's own; `minimum_nodes`: so many at least, where
    there are so many and the cap allows it; `words`: the question itself, redacted, for a policy that reads it."""

    maximum_nodes: int
    passages: int
    target: float | None = None
    minimum_nodes: int = 1
    words: str = ""


class RoutingPolicy(Protocol):
    def route(
        self,
        query: FloatVector,
        comparable_with: str,
        collections: Sequence[CollectionDescription],
        limits: RoutingLimits,
    ) -> RoutingDecision:
        """`query` is a unit vector under the encoder `comparable_with` names; collections under another encoder have no
        prototypes that can be compared with it."""
        ...


@dataclass(frozen=True, slots=True)
class NodeOffer:
    """An offer and the hospital that made it. `routed` is the router's P(node useful | question) for that hospital."""

    node: NodeId
    offer: Offer
    routed: float = 1.0


@dataclass(frozen=True, slots=True)
class Winner:
    """An offer that won the global merge; near-identical offers of other hospitals are folded into it."""

    node: NodeId
    offer: Offer
    also_held_by: tuple[NodeId, ...] = ()


class MergeMethod(Protocol):
    @property
    def name(self) -> str:
        """The plug-in's, as the evidence states it."""
        ...

    def merge(self, offers: Sequence[NodeOffer], k: int) -> tuple[Winner, ...]:
        """At most k, best first; the same set of offers gives the same result in whatever order it is handed in."""
        ...


class Reasoner(Protocol):
    """Question and evidence to an answer that cites it."""

    async def reason(self, question: Question, evidence: Evidence, deadline: Deadline) -> Reasoning: ...


class SourceChains(Protocol):
    """The hospitals that reason themselves, for one question."""

    @property
    def nodes(self) -> tuple[NodeId, ...]: ...

    async def ask(self, told: Mapping[NodeId, Told], turn: int, deadline: Deadline) -> Mapping[NodeId, Trace]:
        """Chains of thought of these hospitals, the `turn`-th time (1, 2, …). Whoever fails is not among them."""
        ...


@runtime_checkable
class HearsHospitals(Protocol):
    """A reasoner that can take chains of thought from the hospitals themselves."""

    @property
    def hears(self) -> bool:
        """Whether it is set to."""
        ...

    @property
    def beside(self) -> bool:
        """Whether it wants the passages of these hospitals as well; else they stay where they are."""
        ...

    async def reason_with(
        self, question: Question, evidence: Evidence, sources: SourceChains, deadline: Deadline
    ) -> Reasoning: ...


class LocalReasoner(Protocol):
    """A hospital's own model, plugged in where it is deployed: a node knows no reasoner. Used by several threads at
    once."""

    def trace(self, task: LocalTask, deadline: Deadline) -> LocalTrace:
        """Raises Unavailable, ProtocolError or DeadlineExceeded."""
        ...

    def close(self) -> None:
        """Give back what it holds; it is not asked afterwards."""
        ...
