"""Offers of what was found: a handle, a place among the others, and what may be told of it before it is released."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from fedrag.core.exchange import Offer, Similarity, Sketch
from fedrag.core.sketch import sketch_of
from fedrag.core.wire import ReleaseClass
from retriever_node.finding import Finding
from retriever_node.patient_offers import NO_PASSAGE, PatientOffers
from retriever_node.policy import Kind
from retriever_node.sealing import Handles
from retriever_node.served import Candidate, ServedCollection, leaving, told
from retriever_node.statistics import NodeStatistics, key_id


@dataclass(frozen=True, slots=True)
class Offering:
    """Under handles of this node what a question found."""

    finding: Finding
    handles: Handles
    statistics: NodeStatistics

    def candidates(self, k: int) -> tuple[Candidate, ...]:
        """Over the collections that exist for this asker; each passage as it could be released. Those of which only
        buckets are told are searched by themselves: they push nothing aside whose similarity is told."""
        grants, vector = self.finding.grants, self.finding.vector
        if vector is None:
            return ()
        there = self.finding.there(patient=False)
        coarse = {one.id for one in there if one.redaction or grants[one.id].release is Kind.EXTRACT}

        def candidates(wanted: list[ServedCollection]) -> list[Candidate]:
            return [
                Candidate(
                    found=one,
                    grant=grants[one.collection],
                    handle=self.handles.seal(one.collection, one.passage.passage_id, span, self.finding.asking),
                    extract=span,
                    coarse=one.collection in coarse,
                )
                for one, span in self.finding.passages(wanted, k, vector)
            ]

        return told(
            candidates([one for one in there if one.id not in coarse]),
            candidates([one for one in there if one.id in coarse]),
            k,
        )

    def offers(self, candidates: Sequence[Candidate]) -> tuple[Offer, ...]:
        return tuple(self._offer(rank, one) for rank, one in enumerate(candidates, start=1))

    def of_patients(self, records: PatientOffers, before: int) -> tuple[Offer, ...]:
        """Behind all others, so that no rank tells how they compare."""
        real = [one for one in records.passages if one is not None]
        spans = dict(
            zip(
                [one.passage.passage_id for one in records.looked_at],
                self.finding.extracts(records.looked_at, records.asked.vector),
                strict=True,
            )
        )
        named = [(one.collection, one.passage.passage_id, spans[one.passage.passage_id]) for one in real]
        decoy = (records.granted[0].served.id, NO_PASSAGE, (0, 0))
        named += [decoy] * (len(records.passages) - len(real))
        return tuple(
            Offer(
                handle=self.handles.seal(collection, passage_id, span, self.finding.asking),
                rank=rank,
                probability=records.probability,
            )
            for rank, (collection, passage_id, span) in enumerate(named, start=before + 1)
        )

    def _offer(self, rank: int, one: Candidate) -> Offer:
        """A sketch is of what would leave; similarities are told where what was compared is what would leave."""
        bare = Offer(handle=one.handle, rank=rank, probability=one.probability)
        if self.finding.collections[one.found.collection].release_class is ReleaseClass.PATIENT:
            return bare
        text = leaving(one.found.passage, one.grant, one.extract)
        sketch = _sketch(text.text, self.statistics.sketch_key) if text is not None else None
        similarity = Similarity(value=one.found.similarity, comparable_with=one.found.comparable_with)
        return bare.model_copy(update={"sketch": sketch, "similarity": None if one.coarse else similarity})


@lru_cache(maxsize=16_384)
def _sketch(text: str, key: bytes) -> Sketch:
    return sketch_of(text, key, key_id(key))
