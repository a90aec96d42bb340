"""Which hospital's passages a question is like: Bayes over published prototypes, as kernels of equal width.

A prototype stands for n passages about its mean μ. Taken as n times a Normal of variance σ² in every direction, it
holds of all that is like the unit query q the share

    n exp(-‖q - μ‖² / 2σ²) / Σ n' exp(-‖q - μ'‖² / 2σ²),

and a hospital the sum of its prototypes' (Parzen 1962). Only the ratio to the nearest prototypes counts, so with many
prototypes those of far groups need not be looked at.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from fedrag.core.wire import FloatMatrix, FloatVector
from router.expectation import Prototypes
from router.groups import weighted_k_means

GROUPED_FROM: Final = 4_096
"""Prototypes. Fewer are all compared with the question: that takes less than half a millisecond."""
PER_GROUP: Final = 128
VISITED: Final = 1_536
"""Prototypes, at least, of the nearest groups."""

Doubles = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Likeness:
    """Prototypes put in the order of their groups.

    `vectors` float32 (prototypes, dimension); `weights` log n - ‖μ‖² / 2σ², float32 (prototypes,); `owners` int64
    (prototypes,), positions of hospitals; group g is the rows `starts[g]` to `starts[g + 1]` about `centres[g]`.
    """

    vectors: FloatMatrix
    weights: npt.NDArray[np.float32]
    owners: Positions
    centres: FloatMatrix
    starts: Positions
    hospitals: int
    width: float

    @classmethod
    def of(cls, prototypes: Prototypes, width: float) -> Self:
        """`width` is σ²."""
        vectors, number = prototypes.vectors, len(prototypes.vectors)
        weights = np.log(prototypes.masses) - np.square(vectors).sum(axis=1) / (2 * width)
        if number < GROUPED_FROM:
            centres, starts = vectors[:1], np.array([0, number])
            order = np.arange(number)
        else:
            centres = weighted_k_means(vectors, prototypes.masses, number // PER_GROUP)
            groups = np.argmax(vectors @ centres.T, axis=1)
            order = np.argsort(groups, kind="stable")
            starts = np.searchsorted(groups[order], np.arange(len(centres) + 1))
        return cls(
            vectors=np.ascontiguousarray(vectors[order]),
            weights=weights[order].astype(np.float32),
            owners=prototypes.owners[order],
            centres=centres,
            starts=starts.astype(np.int64),
            hospitals=len(prototypes.nodes),
            width=width,
        )

    def shares(self, query: FloatVector) -> Doubles:
        """Of every hospital, float64 (hospitals,), summing to 1; all 0 where there is no prototype."""
        if not len(self.vectors):
            return np.zeros(self.hospitals)
        ranges = self._nearest(query)
        scores = np.concatenate([self.vectors[a:b] @ query for a, b in ranges]) / np.float32(self.width)
        scores += np.concatenate([self.weights[a:b] for a, b in ranges])
        owners = np.concatenate([self.owners[a:b] for a, b in ranges])
        likelihood = np.exp(scores - scores.max())
        held = np.bincount(owners, weights=likelihood, minlength=self.hospitals)
        shares: Doubles = held / held.sum()
        return shares

    def _nearest(self, query: FloatVector) -> list[tuple[int, int]]:
        """Rows of the nearest groups, enough of them."""
        if len(self.centres) <= 1:
            return [(0, len(self.vectors))]
        order = np.argsort(-(self.centres @ query), kind="stable")
        sizes = self.starts[order + 1] - self.starts[order]
        visited = order[: int(np.searchsorted(np.cumsum(sizes), VISITED)) + 1]
        return [(int(self.starts[group]), int(self.starts[group + 1])) for group in visited]
