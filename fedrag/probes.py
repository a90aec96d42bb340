"""Questions that a coordinator asks to see whether hospitals hold what they describe.

They are ordinary medical questions: topics of a list of our own, put in one of several ways, and the titles of public
documents that other hospitals released. Those are asked that are nearest to what a hospital claims.
"""

from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np

from fedrag.core.wire import FloatMatrix
from router.trust import Record

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
_LOOKED_AT: Final = 64


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
    number = len(record.claims.masses)
    taken, chosen = set(used), list[int]()
    if not number:
        return [row for row in range(len(pool)) if row not in taken][: PER_HOSPITAL if wanted is None else wanted]
    each = max(PER_PROTOTYPE, -(-PER_HOSPITAL // number))
    lengths = np.maximum(np.linalg.norm(record.claims.vectors, axis=1, keepdims=True), 1e-9)
    similarities = (record.claims.vectors / lengths) @ pool.T
    for at in np.lexsort((-record.claims.masses, record.probes.claimed[:-1])):
        near = np.argsort(-similarities[at], kind="stable")[: _LOOKED_AT + len(taken)]
        mine = [int(row) for row in near if int(row) not in taken][:each]
        taken.update(mine)
        chosen += mine
    return chosen if wanted is None else chosen[:wanted]


def question_about(title: str) -> str:
    """A released document's title, asked."""
    said = title.strip()
    return said if said.endswith("?") else f"What is known about {said.rstrip('.')}?"
