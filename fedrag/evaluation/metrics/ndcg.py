"""nDCG@k (Järvelin and Kekäläinen 2002), gain = grade, discount log2(rank + 1), as trec_eval's ndcg_cut."""

import math
from collections.abc import Mapping, Sequence


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """In [0, 1]. `grades` ≥ 0 by document; unjudged documents have none. 0 where nothing is relevant or found."""
    ideal = _dcg(sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:k])
    return _dcg([max(grades.get(document, 0), 0) for document in ranking[:k]]) / ideal if ideal else 0.0


def judged(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Share of the first k results that somebody judged: what an nDCG over a shallow pool is worth."""
    return sum(document in grades for document in ranking[:k]) / k


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
