"""AUROC of confidence: how often a right answer is more confident than a wrong one (Hanley and McNeil 1982)."""

from collections.abc import Sequence

from fedrag.core.errors import MissingExtra
from fedrag.evaluation.metrics.outcomes import Outcome


def auroc(outcomes: Sequence[Outcome]) -> float:
    """In [0, 1], ties count half; 0.5 where all are right or all wrong, when there is nothing to tell apart.

    Raises MissingExtra without the extra `evaluation`.
    """
    try:
        from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("this measure needs scikit-learn: pip install 'fedrag[evaluation]'") from error
    right = [one.correct for one in outcomes]
    if len(set(right)) < 2:
        return 0.5
    return float(roc_auc_score(right, [one.confidence for one in outcomes]))
