"""Evidence: the winners' released text, best first, with weights and conflicts."""

from collections.abc import Mapping, Sequence

from aggregator.conflicts import find_conflicts
from aggregator.near_duplicates import Fingerprint, comparable, fingerprint_of, held_by, near_identical
from aggregator.reading_order import in_reading_order
from aggregator.reliability import UNKNOWN
from aggregator.weights import FEW_SOURCES, NO_OUTCOMES, claims_of, source_weights
from fedrag.core.answer import Evidence, EvidencePassage, Reliability
from fedrag.core.exchange import Release, ReleasedPassage
from fedrag.core.protocols import Encoder, Winner
from fedrag.core.wire import FloatVector, NodeId


def gather(
    winners: Sequence[Winner],
    releases: Sequence[Release],
    encoder: Encoder,
    *,
    method: str,
    reliability: Mapping[NodeId, Reliability] = NO_OUTCOMES,
    question: FloatVector | None = None,
) -> Evidence:
    """What the reasoner may use: passages that won and were released by the hospital that offered them.

    A winner without its text is left out; a released passage that nobody asked for is never looked at. Passages that
    came without a sketch (those of patient collections), or with sketches of different keys, are compared now that
    their text is known, and folded like offers; of all others the merge has decided. Neighbouring passages of one
    document stand together, in reading order, where the best of them won. `method` names the merge method that chose
    the winners, `reliability` is what outcomes say of each source so far, `question` its vector under this encoder.
    """
    kept = in_reading_order(_folded(_joined(winners, releases)))
    weights = source_weights(claims_of((winner.node, winner.offer.probability) for winner, _ in kept), reliability)
    passages = tuple(
        EvidencePassage(
            number=number,
            node=winner.node,
            passage=passage,
            probability=winner.offer.probability,
            similarity=winner.offer.similarity,
            weight=weights[winner.node],
            also_held_by=winner.also_held_by,
        )
        for number, (winner, passage) in enumerate(kept, start=1)
    )
    return Evidence(
        passages=passages,
        source_weights=weights,
        few_sources=len(weights) < FEW_SOURCES,
        reliability={node: reliability.get(node, UNKNOWN) for node in weights},
        conflicts=find_conflicts(passages, encoder, question),
        method=method,
    )


def _joined(winners: Sequence[Winner], releases: Sequence[Release]) -> list[tuple[Winner, ReleasedPassage]]:
    released: dict[tuple[NodeId, str], ReleasedPassage] = {}
    for release in releases:
        for passage in release.passages:
            released.setdefault((release.node, passage.handle), passage)
    places = [(winner, released.get((winner.node, winner.offer.handle))) for winner in winners]
    return [(winner, passage) for winner, passage in places if passage is not None]


def _folded(joined: Sequence[tuple[Winner, ReleasedPassage]]) -> list[tuple[Winner, ReleasedPassage]]:
    kept: list[tuple[Winner, ReleasedPassage]] = []
    fingerprints: list[Fingerprint] = []
    for winner, passage in joined:
        fingerprint = fingerprint_of(passage.text)
        undecided = [
            at for at, (better, _) in enumerate(kept) if not comparable(winner.offer.sketch, better.offer.sketch)
        ]
        twin = next((at for at in undecided if near_identical(fingerprint, fingerprints[at])), None)
        if twin is None:
            kept.append((winner, passage))
            fingerprints.append(fingerprint)
        else:
            better, text = kept[twin]
            kept[twin] = (held_by(better, winner.node, *winner.also_held_by), text)
    return kept
