"""A federation in one process, made of the product's own parts: index, prototypes, router, merge; no network.

What is simulated is only that hospitals are processes. Vectors are handed in (cached), releases are not made, and every
offer is the wire value that a hospital would send, so that its bytes can be counted. Hospitals are calibrated where it
is asked for: with one encoder probabilities do not matter.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np

from aggregator.methods import MERGE_METHODS
from fedrag.core.collection import CollectionDescription, EncoderIdentity, RoutingDecision
from fedrag.core.exchange import Offer, Offers, Similarity, Sketch
from fedrag.core.protocols import Encoder, MergeMethod, NodeOffer, RoutingLimits, RoutingPolicy, VectorIndex
from fedrag.core.sketch import sketch_of
from fedrag.core.wire import FloatMatrix, FloatVector, NodeId, ReleaseClass
from fedrag.evaluation.splits import Document
from retriever_node import calibration, hybrid
from retriever_node.calibration import Calibration, Calibrations
from retriever_node.documents import Passage
from retriever_node.indexes import INDEXES
from retriever_node.lexical import ScoredTerms, TermIndex, Terms, TermStatistics
from retriever_node.passages import Field
from retriever_node.prototypes import prototypes
from retriever_node.terms import PublicTerms
from router.policies import ROUTING_POLICIES

_HANDLE: Final = 64
_DESCRIBED_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SimulatedNode:
    """`rows[i]` is the corpus position of the index's row i; `terms` where words are looked for too, `scored` with
    statistics of its own."""

    id: NodeId
    rows: tuple[int, ...]
    vectors: FloatMatrix
    index: VectorIndex
    description: CollectionDescription
    terms: TermIndex | None
    scored: ScoredTerms | None
    calibrations: Calibrations


@dataclass(frozen=True, slots=True)
class SimulatedFederation:
    """`sketched`: the text of each corpus position whose near-duplicates are to be folded; None folds nothing."""

    nodes: Mapping[NodeId, SimulatedNode]
    encoder: EncoderIdentity
    merging: MergeMethod
    policies: Mapping[str, RoutingPolicy]
    sketches: "Sketches | None"

    @classmethod
    def of(
        cls,
        owners: Sequence[NodeId],
        vectors: FloatMatrix,
        encoder: EncoderIdentity,
        *,
        index: str = "faiss_flat",
        worded: Sequence[tuple[Terms, Terms]] | None = None,
        sketched: Sequence[str] | None = None,
    ) -> "SimulatedFederation":
        """`owners[i]` holds document i, whose vector is row i, and whose terms in title and text are `worded[i]`."""
        nodes = {}
        for node in sorted(set(owners)):
            rows = tuple(at for at, owner in enumerate(owners) if owner == node)
            own = vectors[list(rows)]
            built = INDEXES.build(index)
            built.build(own)
            described = description_of(node, own, encoder)
            terms = TermIndex.build(worded[at] for at in rows) if worded else None
            scored = terms.scored_with(terms.statistics()) if terms else None
            nodes[node] = SimulatedNode(node, rows, own, built, described, terms, scored, Calibrations())
        merging = MERGE_METHODS.build("comparable", {"near_duplicates": sketched is not None})
        policies = {name: ROUTING_POLICIES.build(name) for name in ROUTING_POLICIES.names}
        return cls(nodes, encoder, merging, policies, Sketches(sketched, {}) if sketched is not None else None)

    def route(self, query: FloatVector, policy: str, passages: int) -> RoutingDecision:
        described = [node.description for _, node in sorted(self.nodes.items())]
        limits = RoutingLimits(maximum_nodes=len(described), passages=passages)
        return self.policies[policy].route(query, self.encoder.comparable_with, described, limits)

    def counting_together(self, counted: PublicTerms | None = None) -> "SimulatedFederation":
        """The same, every hospital with the statistics of all together; of the terms on this list, and of others each
        with its own. None: all terms are on it."""
        indexes = {name: held.terms for name, held in self.nodes.items() if held.terms is not None}
        own = {name: terms.statistics() for name, terms in indexes.items()}
        frequencies: Counter[str] = Counter()
        for one in own.values():
            frequencies.update(one.frequencies)
        listed = frequencies if counted is None else {term: frequencies[term] for term in counted.terms}
        passages, length = (sum(one.passages for one in own.values()), sum(one.length for one in own.values()))
        nodes = {
            name: replace(
                self.nodes[name], scored=terms.scored_with(TermStatistics(passages, length, listed, beyond=own[name]))
            )
            for name, terms in indexes.items()
        }
        return replace(self, nodes={**self.nodes, **nodes})

    def calibrated(
        self, documents: Sequence[Document], encoder: Encoder, embed: Sequence[Field]
    ) -> "SimulatedFederation":
        """The same, every hospital's calibrations fitted as by ingest: to questions made of its own documents, of which
        the fields `embed` were encoded."""
        nodes = {
            name: replace(held, calibrations=_calibrations(held, documents, encoder, embed))
            for name, held in self.nodes.items()
        }
        return replace(self, nodes=nodes)

    def encoded_by(self, encoder: EncoderIdentity, vectors: FloatMatrix) -> "SimulatedFederation":
        """The same documents and words under another encoder, whose vectors these are; not calibrated."""
        nodes = {}
        for name, held in self.nodes.items():
            own = vectors[list(held.rows)]
            index = INDEXES.build("faiss_flat")
            index.build(own)
            described = description_of(name, own, encoder)
            nodes[name] = replace(held, vectors=own, index=index, description=described, calibrations=Calibrations())
        return replace(self, nodes=nodes, encoder=encoder)

    def offers(self, node: NodeId, query: FloatVector, k: int, question: Terms = ()) -> tuple[NodeOffer, ...]:
        """What a hospital offers, best first: by vectors, or by words too where it is told the question's terms."""
        held = self.nodes[node]
        if question and held.scored:
            found = hybrid.best(held.index, held.vectors, held.scored.score(question), query, k)
            means, calibrated = hybrid.comparable_with(self.encoder.comparable_with), held.calibrations.both
        else:
            found, means = held.index.search(query[None, :], k), self.encoder.comparable_with
            calibrated = held.calibrations.vectors
        return tuple(
            NodeOffer(node, self._offer(rank, held.rows[int(row)], float(similarity), means, calibrated))
            for rank, (row, similarity) in enumerate(
                zip(found.positions[0], found.similarities[0], strict=True), start=1
            )
            if row >= 0
        )

    def merge(self, offers: Sequence[NodeOffer], k: int) -> list[int]:
        """Corpus positions of the winners, best first."""
        return [position_of(winner.offer) for winner in self.merging.merge(offers, k)]

    def _offer(self, rank: int, position: int, similarity: float, means: str, calibrated: Calibration) -> Offer:
        return Offer(
            handle=f"{position:0{_HANDLE}d}",
            rank=rank,
            probability=calibrated.probability(similarity),
            similarity=Similarity(value=similarity, comparable_with=means),
            sketch=self.sketches.of(position) if self.sketches else None,
        )


@dataclass(frozen=True, slots=True)
class Sketches:
    """Made when first needed, and kept."""

    texts: Sequence[str]
    made: dict[int, Sketch]

    def of(self, position: int) -> Sketch:
        if position not in self.made:
            self.made[position] = sketch_of(self.texts[position])
        return self.made[position]


def position_of(offer: Offer) -> int:
    """The corpus position that a simulated handle stands for."""
    return int(offer.handle)


def wire_bytes(offers: Sequence[NodeOffer]) -> int:
    """Of the message body that carries one hospital's offers."""
    node = offers[0].node if offers else "none"
    made = Offers(node=node, request_id="0" * 32, offers=tuple(one.offer for one in offers))
    return len(made.model_dump_json().encode())


def _calibrations(
    held: SimulatedNode, documents: Sequence[Document], encoder: Encoder, embed: Sequence[Field]
) -> Calibrations:
    """A document is one passage, numbered as a new store would."""

    def passages(ids: Sequence[int]) -> tuple[Passage, ...]:
        return tuple(_passage(one, documents[held.rows[one - 1]]) for one in ids)

    ids = np.arange(1, len(held.rows) + 1)
    return calibration.fit(ids, ids, held.vectors, passages, encoder, embed, scored=held.scored)


def _passage(passage_id: int, document: Document) -> Passage:
    return Passage(
        passage_id=passage_id,
        collection="documents",
        document_id=document.id,
        document_name="",
        title=document.title,
        section="",
        version="",
        effective_date=None,
        start=0,
        end=len(document.text),
        text=document.text,
    )


def description_of(node: NodeId, vectors: FloatMatrix, encoder: EncoderIdentity) -> CollectionDescription:
    return CollectionDescription(
        node=node,
        collection="documents",
        version=1,
        encoder=encoder,
        release_class=ReleaseClass.PUBLIC,
        passages=len(vectors),
        prototypes=prototypes(np.ascontiguousarray(vectors)),
        described_at=_DESCRIBED_AT,
    )
