"""Evidence: the winners' released text, best first, with weights and conflicts."""

from collections.abc import Sequence
from typing import Final

from aggregator.conflicts import find_conflicts
from aggregator.near_duplicates import Fingerprint, fingerprint_of, held_by, near_identical
from aggregator.weights import FEW_SOURCES, source_weights
from fedrag.core.answer import Evidence, EvidencePassage
from fedrag.core.exchange import Release, ReleasedPassage
from fedrag.core.protocols import Encoder, Winner
from fedrag.core.wire import NodeId

METHOD: Final = "comparable"


def gather(winners: Sequence[Winner], releases: Sequence[Release], encoder: Encoder, method: str = METHOD) -> Evidence:
    """What the reasoner may use: passages that won and were released by the hospital that offered them.

    A winner without its text is left out; a released passage that nobody asked for is never looked at. Passages that
    came without a sketch (those of patient collections) are compared now that their text is known, and folded like
    offers; of two that had one the merge has decided. `method` names the merge method that chose the winners.
    """
    kept = _folded(_joined(winners, releases))
    claims: dict[NodeId, float] = {}
    for winner, _ in kept:
        claims[winner.node] = claims.get(winner.node, 0.0) + winner.offer.probability
    weights = source_weights(claims)
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
        conflicts=find_conflicts(passages, encoder),
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
        undecided = [at for at, (better, _) in enumerate(kept) if not (winner.offer.sketch and better.offer.sketch)]
        twin = next((at for at in undecided if near_identical(fingerprint, fingerprints[at])), None)
        if twin is None:
            kept.append((winner, passage))
            fingerprints.append(fingerprint)
        else:
            better, text = kept[twin]
            kept[twin] = (held_by(better, winner.node, *winner.also_held_by), text)
    return kept
