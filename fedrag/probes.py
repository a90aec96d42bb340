"""Questions that a coordinator asks to see whether hospitals hold what they describe.

They are ordinary medical questions: topics of a list of our own, put in one of several ways, and the titles of public
documents that other hospitals released. Those are asked that are nearest to what a hospital claims.
"""

from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np

from fedrag.core.wire import FloatMatrix, FloatVector
from router.evidence import Trial
from router.record import Record

WAYS: Final = (
    "What is {}?",
    "What are the symptoms of {}?",
    "How is {} treated?",
    "What are the risk factors for {}?",
    "How is {} diagnosed?",
    "Does early intervention improve outcomes in {}?",
    "What causes {}?",
    "What is the prognosis of {}?",
    "Which complications are common with {}?",
)
PER_PROTOTYPE: Final = 3
PER_HOSPITAL: Final = 12
"""At least, however few prototypes it has."""


@cache
def topics() -> tuple[str, ...]:
    return tuple(filter(None, (files("fedrag") / "probe_topics.txt").read_text(encoding="utf-8").split("\n")))


def listed() -> tuple[str, ...]:
    """Every question that the shipped list makes; in the order of topics."""
    return tuple(way.format(topic) for topic in topics() for way in WAYS)


def about(record: Record, pool: FloatMatrix, used: Collection[int], wanted: int | None = None) -> list[int]:
    """Rows of `pool`, unit vectors of questions, that test what this hospital claims: of every prototype the nearest
    that were not used, those first of which least was seen; at most `wanted` of them.

    A hospital that claims nothing comparable is asked anything.
    """
    number, free = len(record.claims.masses), np.ones(len(pool), dtype=np.bool_)
    free[list(used)] = False
    if not number:
        return [int(row) for row in np.flatnonzero(free)[: PER_HOSPITAL if wanted is None else wanted]]
    each, chosen = max(PER_PROTOTYPE, -(-PER_HOSPITAL // number)), list[int]()
    lengths = np.maximum(np.linalg.norm(record.claims.vectors, axis=1, keepdims=True), 1e-9)
    similarities = (record.claims.vectors / lengths) @ pool.T
    for at in np.lexsort((-record.claims.masses, record.sums[Trial.PROBE].claimed[:-1])):
        mine = _first(np.where(free, similarities[at], -np.inf), min(each, int(free.sum())))
        free[mine] = False
        chosen += mine
    return chosen if wanted is None else chosen[:wanted]


def _first(values: FloatVector, number: int) -> list[int]:
    """Positions of the highest, in their order; of those that tie the first."""
    if number <= 0:
        return []
    high = np.flatnonzero(values >= np.partition(values, -number)[-number])
    return [int(at) for at in high[np.argsort(-values[high], kind="stable")][:number]]


def question_about(title: str) -> str:
    """A released document's title, asked."""
    said = title.strip()
    return said if said.endswith("?") else f"What is known about {said.rstrip('.')}?"
