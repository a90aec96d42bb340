"""Recall@k: the share of the relevant documents that stand among the first k (trec_eval's recall)."""

from collections.abc import Mapping, Sequence

from fedrag.evaluation.metrics.trec_eval import trec_eval


def recall(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """In [0, 1]; relevant is a grade above 0. 0 where nothing is relevant or found."""
    return trec_eval(ranking, grades, f"recall.{k}")
