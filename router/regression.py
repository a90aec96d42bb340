"""Of hospitals whose descriptions cannot be compared with a question: usefulness as a line over the cells.

    features   φ(q) = the question's cosine with every cell's centre, and 1
    sums       A_h = Σ φφᵀ and b_h = Σ φ · useful, over the questions that hospital h was asked
    estimate   φ(q) · (A_h + diag(λ, …, λ, 0))⁻¹ b_h                          ridge regression (Hoerl and Kennard 1970)

Where counts by cell know only questions like this one, a line also knows in which direction usefulness falls, and so
reaches kinds of questions that were not seen yet. Sums alone are kept; those of one question would tell its cosines, so
they go to disk many questions at a time (`fedrag.experience`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from fedrag.core.wire import FloatMatrix, FloatVector, NodeId

PENALTY: Final = 0.3
"""λ."""
SHARE: Final = 0.5
"""Of the estimate in a probability, of a hospital that was asked often."""
HALF_AT: Final = 10.0
"""Questions after which it has half of that share."""
HOSPITALS: Final = 128
"""At most; those that come later have counts alone."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Regressions:
    """`gram` float64 (nodes, features, features) and `moment` float64 (nodes, features): A and b."""

    nodes: tuple[NodeId, ...]
    gram: Doubles
    moment: Doubles

    @classmethod
    def beginning(cls, cells: int) -> Self:
        return cls((), np.zeros((0, cells + 1, cells + 1)), np.zeros((0, cells + 1)))

    def after(self, features: Doubles, useful: Mapping[NodeId, float], weight: float, keep: float) -> "Regressions":
        grown = self._with([node for node in sorted(useful) if node not in self.nodes])
        gram, moment = grown.gram.copy(), grown.moment.copy()
        square = weight * np.outer(features, features)
        for at, node in enumerate(grown.nodes):
            if node in useful:
                gram[at] = keep * gram[at] + square
                moment[at] = keep * moment[at] + weight * useful[node] * features
        return Regressions(grown.nodes, gram, moment)

    def lines(self) -> Doubles:
        """Coefficients, float64 (nodes, features)."""
        penalty = np.full(self.moment.shape[1], PENALTY)
        penalty[-1] = 1e-6
        solved = np.linalg.solve(self.gram + np.diag(penalty), self.moment[..., None])[..., 0]
        return solved.astype(np.float64)

    def shares(self) -> Doubles:
        """Of the line's estimate in the probability of each hospital, float64 (nodes,). The last feature is 1, so the
        last number of A is how many questions it was asked."""
        asked = self.gram[:, -1, -1]
        shares: Doubles = SHARE * asked / (asked + HALF_AT)
        return shares

    def without(self, node: NodeId) -> "Regressions":
        kept = [at for at, other in enumerate(self.nodes) if other != node]
        return Regressions(tuple(self.nodes[at] for at in kept), self.gram[kept], self.moment[kept])

    def _with(self, new: Sequence[NodeId]) -> "Regressions":
        new = new[: max(0, HOSPITALS - len(self.nodes))]
        if not new:
            return self
        features = self.moment.shape[1]
        return replace(
            self,
            nodes=(*self.nodes, *new),
            gram=np.concatenate([self.gram, np.zeros((len(new), features, features))]),
            moment=np.concatenate([self.moment, np.zeros((len(new), features))]),
        )


def features_of(query: FloatVector, centres: FloatMatrix) -> Doubles:
    return np.append((centres @ query).astype(np.float64), 1.0)
