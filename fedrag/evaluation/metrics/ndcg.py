"""nDCG@k (Järvelin and Kekäläinen 2002), gain = grade, discount log2(rank + 1): trec_eval's ndcg_cut."""

from collections.abc import Mapping, Sequence

from fedrag.evaluation.metrics.trec_eval import trec_eval


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """In [0, 1]. `grades` ≥ 0 by document; unjudged documents have none. 0 where nothing is relevant or found."""
    return trec_eval(ranking, grades, f"ndcg_cut.{k}")


def judged(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Share of the first k results that somebody judged: what an nDCG over a shallow pool is worth."""
    return sum(document in grades for document in ranking[:k]) / k
