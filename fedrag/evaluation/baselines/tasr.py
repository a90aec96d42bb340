"""TASR, the published defence against routing hijacks (Mu and Li 2026, section 8.2's rule): reputation from feedback.

A hospital's score is its profile's similarity to the question times its trust

    τ = s · u_rel · g(u_con; .3) · g(u_agr; .5),   g(u; δ) = δ + (1 - δ) u,

where after every answer each of those asked is compared with the median of those asked: u ← .9 u when below it, else
min(1, 1.02 u). Relevance: mean similarity of its documents to the question; consistency: theirs to its own profile;
agreement: of their mean to the means of relevant others. s rises from .7 to 1 with e^(-n / 30); the first
50 questions only count. Written from the paper; every 20th question one hospital more is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.wire import FloatMatrix, FloatVector

FALL: Final = 0.9
RISE: Final = 1.02
FLOOR: Final = 0.01
WARM_UP: Final = 50
START: Final = 0.7
PATIENCE: Final = 30.0
KEPT: Final = (0.0, 0.3, 0.5)
"""δ of relevance, consistency, agreement."""
EXPLORED: Final = 20
ASKED: Final = 3


@dataclass(slots=True)
class Tasr:
    """`profiles`: node → unit vectors (n, dimension)."""

    profiles: Mapping[str, FloatMatrix]
    trust: dict[str, npt.NDArray[np.float64]]
    seen: dict[str, int]
    questions: int = 0

    @classmethod
    def of(cls, profiles: Mapping[str, FloatMatrix]) -> "Tasr":
        units = {node: rows / np.linalg.norm(rows, axis=1, keepdims=True) for node, rows in profiles.items()}
        return cls(units, {node: np.ones(3) for node in units}, dict.fromkeys(units, 0))

    def ranking(self, query: FloatVector) -> tuple[str, ...]:
        scores = {node: (1 + float((rows @ query).max())) / 2 * self._tau(node) for node, rows in self.profiles.items()}
        return tuple(sorted(scores, key=lambda node: (-scores[node], node)))

    def asked(self, query: FloatVector) -> tuple[str, ...]:
        ranking = self.ranking(query)
        more = ranking[ASKED:]
        curious = more[self.questions // EXPLORED % len(more)] if more and self.questions % EXPLORED == 0 else None
        return (*ranking[:ASKED], *((curious,) if curious else ()))

    def learn(self, query: FloatVector, documents: Mapping[str, FloatMatrix]) -> None:
        """`documents`: of everyone asked, the vectors of what it returned."""
        self.questions += 1
        nodes = sorted(documents)
        relevance = np.array([float((documents[node] @ query).mean()) for node in nodes])
        consistency = np.array([float((documents[node] @ self.profiles[node].T).max(axis=1).mean()) for node in nodes])
        agreement = _agreement([documents[node].mean(axis=0) for node in nodes], relevance)
        for column, values in enumerate((relevance, consistency, agreement)):
            median = float(np.median(values))
            for node, value in zip(nodes, values, strict=True):
                before = self.trust[node][column]
                self.trust[node][column] = max(FLOOR, before * FALL) if value < median else min(1.0, before * RISE)
        for node in nodes:
            self.seen[node] += 1

    def _tau(self, node: str) -> float:
        if self.questions < WARM_UP:
            return 1.0
        new = 1 - (1 - START) * float(np.exp(-self.seen[node] / PATIENCE))
        kept = np.array(KEPT)
        return new * float(np.prod(kept + (1 - kept) * self.trust[node]))


def _agreement(means: Sequence[FloatVector], relevance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    units = np.array([mean / max(1e-9, float(np.linalg.norm(mean))) for mean in means])
    relevant = relevance >= np.median(relevance)
    made = []
    for at, unit in enumerate(units):
        peers = relevant & (np.arange(len(units)) != at)
        made.append(float((units[peers] @ unit).mean()) if peers.any() else 1.0)
    return np.array(made)
