"""Whether what a hospital claimed of its passages is what their text gives.

An offer is made before its text is seen, so a hospital can claim any similarity and push everyone else out of the
evidence. Once the text is there the coordinator encodes it itself: a similarity higher than that text could have had
was a lie, and the hospital is left out of this question, as if it had failed.
"""

from collections.abc import Callable, Sequence
from typing import Final

from fedrag.core.exchange import WORDS, Release, ReleasedPassage
from fedrag.core.protocols import Encoder, Winner
from fedrag.core.wire import FloatVector, NodeId

UNPROVEN: Final = "claim_not_borne_out"
TOLERANCE: Final = 0.1
"""Lower precision, a heading that was cut, and what redaction takes out of a text: so much may be claimed unseen."""


def boasters(
    winners: Sequence[Winner], releases: Sequence[Release], question: FloatVector, encoder: Encoder
) -> frozenset[NodeId]:
    """The hospitals with a winner that cannot be as similar to the question as its offer said.

    similarity = cosine, or (cosine + WORDS · words) / (1 + WORDS) with words at most 1. Similarities of another
    encoder or of a re-ranker, and offers without one, cannot be checked. Hospitals choose whether they encode heading,
    text or both: only what no way bears out is a lie.
    """
    mine = encoder.identity.comparable_with
    released: dict[tuple[NodeId, str], ReleasedPassage] = {}
    for release in releases:
        for passage in release.passages:
            released.setdefault((release.node, passage.handle), passage)  # of two texts the one that is evidence
    doubtful = [
        (winner, text, winner.offer.similarity)
        for winner in winners
        if (text := released.get((winner.node, winner.offer.handle))) is not None
        and winner.offer.similarity is not None
        and _checkable(winner.offer.similarity.comparable_with, mine)
    ]
    for encoded in _WAYS:
        if doubtful:
            cosines = encoder.encode_passages([encoded(passage) for _, passage, _ in doubtful]) @ question
            doubtful = [
                (winner, passage, claim)
                for (winner, passage, claim), cosine in zip(doubtful, cosines, strict=True)
                if claim.value > _most(float(cosine), words=claim.comparable_with != mine) + TOLERANCE
            ]
    return frozenset(winner.node for winner, *_ in doubtful)


def _checkable(means: str, mine: str) -> bool:
    return means == mine or means.startswith(f"{mine}+")


def _most(cosine: float, *, words: bool) -> float:
    return (cosine + WORDS) / (1 + WORDS) if words else cosine


def whole(passage: ReleasedPassage) -> str:
    """What hospitals encode by default: title and section on one line, then the text."""
    return "\n".join(part for part in (_heading(passage), passage.text) if part)


def _heading(passage: ReleasedPassage) -> str:
    title, section = passage.citation.title.rstrip(" ."), passage.citation.section
    return ". ".join(part for part in (title, "" if section == passage.citation.title else section) if part)


def _text(passage: ReleasedPassage) -> str:
    return passage.text


_WAYS: Final[tuple[Callable[[ReleasedPassage], str], ...]] = (whole, _text, _heading)
"""The usual one first: honest passages are encoded once."""
