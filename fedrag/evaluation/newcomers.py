"""An honest hospital joins: after how many questions about what it holds is it chosen for them?"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.wire import NodeId
from fedrag.evaluation.hijacked_courses import audited, honestly, policy_of
from fedrag.evaluation.hijacking import MOST, World
from router.record import Standing

DOCUMENTS: Final = 100


class Known(StrEnum):
    """How."""

    AUDITED = "audited when it joins"
    ASKED = "by ordinary questions alone"
    BELIEVED = "its description is believed"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """`before`: questions on its own topics, of so many `questions`, until the one it is chosen for by what is believed
    of it; None: never. `probes`: put to the hospitals for that."""

    before: int | None
    probes: int
    questions: int


def newcomer(world: World, node: NodeId, known: Known, seed: int, documents: int = DOCUMENTS) -> Newcomer:
    """A hospital joins others that were audited, with at most so many documents, and is asked about these."""
    random = np.random.default_rng(seed)
    held = world.held[node]
    own = held[np.sort(random.permutation(len(held))[:documents])]
    small = replace(world, held={**world.held, node: own})
    small._best.update({key: best for key, best in world._best.items() if key[0] != node})
    small._described.update({one: said for one, said in world.honest().items() if one != node})
    nearest = np.flatnonzero(_nearest(small) == small.nodes.index(node))
    questions = [int(at) for at in random.permutation(nearest)[:MOST]]
    if known is Known.BELIEVED:
        chosen = [node in asked for asked in honestly(small, questions).asked]
        return Newcomer(chosen.index(True) if True in chosen else None, 0, len(questions))
    made = audited(world, node).joined(small, small.honest(), policy_of(small), random)
    probes = made.audit((node,)) if known is Known.AUDITED else 0
    for number, question in enumerate(questions):
        believed = made.trust.standing(node) is Standing.BELIEVED
        _, asked = made.ask(question)
        if believed and node in asked:
            return Newcomer(number, probes, len(questions))
    return Newcomer(None, probes, len(questions))


def _nearest(world: World) -> npt.NDArray[np.int64]:
    """Of every question, which hospital holds the nearest passage."""
    best = np.stack([world.best(node, "questions")[:, 0] for node in world.nodes])
    nearest: npt.NDArray[np.int64] = best.argmax(axis=0)
    return nearest
