"""Citation precision and recall (as in ALCE, Gao et al. 2023, but against gold passages instead of a judge)."""

from collections.abc import Set as AbstractSet
from typing import TypeVar

T = TypeVar("T")


def citation_precision(cited: AbstractSet[T], gold: AbstractSet[T]) -> float:
    """Share of the cited passages that are gold; 0 where nothing is cited."""
    return len(cited & gold) / len(cited) if cited else 0.0


def citation_recall(cited: AbstractSet[T], gold: AbstractSet[T]) -> float:
    """Share of the gold passages that are cited; 0 where nothing is cited or there is no gold."""
    return len(cited & gold) / len(gold) if gold else 0.0
