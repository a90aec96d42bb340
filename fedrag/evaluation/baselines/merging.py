"""Ways to merge the scored lists of several nodes that the product does not use, for comparison.

A list is ((document, score), …), best first. All of them break ties by the document's name, and a document that several
nodes return ranks once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Scored = Sequence[tuple[str, float]]
Lists = Mapping[str, Scored]
"""One list per node that was asked."""
Merge = Callable[[Lists, int], list[str]]

RRF_CONSTANT: Final = 60


def raw_score(lists: Lists, k: int) -> list[str]:
    """By the score as each node states it; a document's best score counts. RAGRoute's merge as published."""
    best: dict[str, float] = {}
    for scored in lists.values():
        for document, score in scored:
            best[document] = max(score, best.get(document, -np.inf))
    return _first(best, k)


def z_score(lists: Lists, k: int) -> list[str]:
    """By (score - mean) / standard deviation of the node's own list (0 where all are equal)."""
    return raw_score({node: _scaled(scored, _standardised) for node, scored in lists.items()}, k)


def min_max(lists: Lists, k: int) -> list[str]:
    """By (score - least) / (most - least) of the node's own list (1 where all are equal)."""
    return raw_score({node: _scaled(scored, _min_max) for node, scored in lists.items()}, k)


def comb_mnz(lists: Lists, k: int) -> list[str]:
    """Sum of min-max scores times the number of nodes that return the document (Fox and Shaw 1994). On nodes that share
    no document it is min-max merging."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for scored in lists.values():
        for document, score in _scaled(scored, _min_max):
            sums[document] = sums.get(document, 0.0) + score
            counts[document] = counts.get(document, 0) + 1
    return _first({document: total * counts[document] for document, total in sums.items()}, k)


def cori(lists: Lists, k: int, node_scores: Mapping[str, float]) -> list[str]:
    """By (D' + 0.4 D' C') / 1.4, D' the min-max document and C' the min-max node score (Callan, Lu and Croft 1995)."""
    scores = np.array([node_scores[node] for node in lists], dtype=np.float64)
    weights = dict(zip(lists, _min_max(scores), strict=True)) if len(scores) else {}
    weighed = {
        node: [(document, (score + 0.4 * score * weights[node]) / 1.4) for document, score in _scaled(scored, _min_max)]
        for node, scored in lists.items()
    }
    return raw_score(weighed, k)


def rrf(lists: Lists, k: int) -> list[str]:
    """Σ 1 / (60 + rank) (Cormack, Clarke and Büttcher 2009). Made for several rankings of one collection; on nodes that
    share no document it deals cards in turn."""
    sums: dict[str, float] = {}
    for scored in lists.values():
        for rank, (document, _) in enumerate(scored, start=1):
            sums[document] = sums.get(document, 0.0) + 1 / (RRF_CONSTANT + rank)
    return _first(sums, k)


def rrf_pooled(lists: Lists, k: int) -> list[str]:
    """RRF of one list, the pool of all sorted by raw score: what Flower's example computes. It is raw-score merging."""
    pooled = raw_score(lists, sum(len(scored) for scored in lists.values()))
    return rrf({"pool": [(document, 0.0) for document in pooled]}, k)


MERGES: Final[Mapping[str, Merge]] = {
    "raw score": raw_score,
    "z-score": z_score,
    "min-max": min_max,
    "CombMNZ": comb_mnz,
    "RRF": rrf,
    "RRF of one pooled list": rrf_pooled,
}


def _scaled(scored: Scored, scale: Callable[[Doubles], Doubles]) -> list[tuple[str, float]]:
    if not scored:
        return []
    values = scale(np.array([score for _, score in scored], dtype=np.float64))
    return [(document, float(value)) for (document, _), value in zip(scored, values, strict=True)]


def _standardised(values: Doubles) -> Doubles:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


def _min_max(values: Doubles) -> Doubles:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.ones_like(values)


def _first(scores: Mapping[str, float], k: int) -> list[str]:
    return sorted(scores, key=lambda document: (-scores[document], document))[:k]
