"""Evidence that does not fit the model's context is left out, the least trusted first."""

from typing import Final

from fedrag.core.answer import Evidence

BYTES_PER_TOKEN: Final = 3.0
"""A cautious guess for any tokeniser: English text has about four, numbers and other scripts fewer."""


def without_worst(evidence: Evidence) -> Evidence | None:
    """Without the passage whose weight · probability is least (of equals the later one), and without conflicts that
    quote it. Numbers stay, so that citations still point at the same passages. None when one passage is left."""
    if len(evidence.passages) <= 1:
        return None
    worst = min(evidence.passages, key=lambda one: (one.weight * one.probability, -one.number))
    kept = tuple(one for one in evidence.passages if one is not worst)
    conflicts = tuple(
        one for one in evidence.conflicts if worst.number not in (one.first.citation, one.second.citation)
    )
    return evidence.model_copy(update={"passages": kept, "conflicts": conflicts})
