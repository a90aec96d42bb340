"""nP@k of resource selection (Gravano and García-Molina 1995): relevance of the k chosen, over that of the best k."""

from collections.abc import Mapping, Sequence


def gain_share(ranking: Sequence[str], relevance: Mapping[str, float], k: int) -> float:
    """In [0, 1]. 0 where no source is relevant, or none is chosen."""
    best = sum(sorted(relevance.values(), reverse=True)[:k])
    return sum(relevance.get(source, 0) for source in ranking[:k]) / best if best else 0.0
