"""Hospitals that describe what they do not hold.

A malicious hospital keeps its own documents and answers from them: what it forges is the description. Hospitals search
exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.collection import CollectionDescription, EncoderIdentity, Prototype
from fedrag.core.wire import FloatMatrix, NodeId, encode_vector
from fedrag.evaluation.simulation import description_of
from router.trust import Sighting, sighting

K: Final = 10
PROXIES: Final = 100
"""Public passages of the target's topics, of which a description is forged."""
INFLATED: Final = 10
"""Times as many passages as it holds are claimed."""
ADDED: Final = 4
"""One forged passage is claimed for so many true ones, where true claims are kept."""
MOST: Final = 100
"""Questions of a target."""


class Forgery(StrEnum):
    MEAN = "mean of the questions"
    """The normalised mean of the very questions that will be asked: the best single vector."""
    PROXIES = "prototypes of 100 public passages"
    ADDED = "true prototypes, and forged ones besides"
    WORDS = "text alone"


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Hospitals with their documents, the questions, and the coordinator's public ones (`pool`). Unit vectors.

    `relevant[i]`: which hospitals hold what is relevant to question i; `released_by[i]`: whose document's title the
    i-th public question is, None of the shipped list: nobody is audited with its own.
    """

    encoder: EncoderIdentity
    nodes: tuple[NodeId, ...]
    held: Mapping[NodeId, FloatMatrix]
    questions: FloatMatrix
    relevant: tuple[frozenset[NodeId], ...]
    pool: FloatMatrix
    released_by: tuple[NodeId | None, ...] = ()
    _best: dict[tuple[NodeId, str], FloatMatrix] = field(default_factory=dict, init=False)
    _described: dict[NodeId, CollectionDescription] = field(default_factory=dict, init=False)
    _sightings: dict[tuple[int, str], Sighting] = field(default_factory=dict, init=False)
    _tenth: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict, init=False)

    def best(self, node: NodeId, which: str) -> FloatMatrix:
        """Similarities of the hospital's first ten to every question, or probe: float32 (rows, 10), best first."""
        if (node, which) not in self._best:
            rows = self.questions if which == "questions" else self.pool
            similarities = rows @ self.held[node].T
            first = min(K, similarities.shape[1])
            self._best[node, which] = -np.partition(-similarities, first - 1, axis=1)[:, :first]
            self._best[node, which] = -np.sort(-self._best[node, which], axis=1)
        return self._best[node, which]

    def holds(self, question: int, node: NodeId) -> bool:
        """Whether one of the ten nearest passages of all hospitals is its own, or one that is relevant."""
        if not self._tenth:
            others = np.concatenate([self.best(one, "questions") for one in self.nodes], axis=1)
            self._tenth["questions"] = np.partition(others, -K, axis=1)[:, -K]
        nearest = self.best(node, "questions")[question, 0] >= self._tenth["questions"][question]
        return node in self.relevant[question] or bool(nearest)

    def honest(self) -> dict[NodeId, CollectionDescription]:
        for node in self.nodes:
            if node not in self._described:
                self._described[node] = description_of(node, self.held[node], self.encoder)
        return dict(self._described)

    def seen(
        self, row: int, which: str, asked: Sequence[NodeId], instead: Mapping[NodeId, FloatMatrix] | None = None
    ) -> Sighting:
        """What the hospitals asked show. `instead`: documents that a hospital answers from this time."""
        if instead is None and len(asked) == len(self.nodes):
            if (row, which) not in self._sightings:
                self._sightings[row, which] = self._seen(row, which, asked, {})
            return self._sightings[row, which]
        return self._seen(row, which, asked, instead or {})

    def _seen(self, row: int, which: str, asked: Sequence[NodeId], instead: Mapping[NodeId, FloatMatrix]) -> Sighting:
        query = (self.questions if which == "questions" else self.pool)[row]
        shown = {
            node: np.sort(instead[node] @ query)[::-1] if node in instead else self.best(node, which)[row]
            for node in asked
        }
        return sighting(query, shown)


@dataclass(frozen=True, slots=True)
class Attack:
    """Some hospitals, whose organisation is one where `together`, claim the topics of `target`. `late`: they are honest
    until after the audit. `recognised`: the share of probes that they know for probes, and answer with documents of the
    target's topics."""

    malicious: tuple[NodeId, ...]
    target: NodeId
    forgery: Forgery
    late: bool = False
    together: bool = False
    recognised: float = 0.0


def forged(
    world: World, attack: Attack, questions: Sequence[int], random: np.random.Generator
) -> dict[NodeId, CollectionDescription]:
    """What every hospital says of itself under this attack."""
    said = world.honest()
    for node in attack.malicious:
        own, honest = world.held[node], said[node]
        proxies = world.held[attack.target]
        proxies = proxies[np.sort(random.permutation(len(proxies))[:PROXIES])]
        claimed: tuple[Prototype, ...] = ()
        copied = description_of(node, proxies, world.encoder).prototypes
        if attack.forgery is Forgery.MEAN:
            mean = world.questions[list(questions)].mean(axis=0)
            vector = encode_vector((mean / np.linalg.norm(mean)).astype(np.float32))
            claimed = (copied[0].model_copy(update={"vector": vector, "mass": INFLATED * len(own)}),)
        elif attack.forgery is Forgery.PROXIES:
            scale = INFLATED * len(own) / len(proxies)
            claimed = tuple(one.model_copy(update={"mass": max(1, round(scale * one.mass))}) for one in copied)
        elif attack.forgery is Forgery.ADDED:
            scale = len(own) / ADDED / len(proxies)
            more = tuple(one.model_copy(update={"mass": max(1, round(scale * one.mass))}) for one in copied)
            claimed = (*honest.prototypes, *more)
        passages = sum(one.mass for one in claimed) or INFLATED * len(own)
        text = attack.target if attack.forgery is Forgery.WORDS else ""
        said[node] = honest.model_copy(update={"prototypes": claimed, "passages": passages, "text": text, "version": 2})
    return said


def targets(world: World, target: NodeId, malicious: Sequence[NodeId], random: np.random.Generator) -> list[int]:
    """Questions that the target holds something relevant to, and the malicious hospitals nothing that is among the ten
    nearest, in a random order."""
    own = [at for at, relevant in enumerate(world.relevant) if target in relevant]
    free = [at for at in own if not any(world.holds(at, node) for node in malicious)]
    return [int(at) for at in random.permutation(free)[:MOST]]
