"""Passages as masses about means, and how many of them lie near a point."""

from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from fedrag.core.wire import FloatMatrix, FloatVector
from router.policies.mixture import Settings

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

WIDTH: Final = Settings().width
"""w²: what `mixture` reads descriptions with."""
MOVE_WIDTH: Final = 0.05
"""Wider, for a description and the one before: clusters of nearly the same passages come out this far apart."""
GROWTH: Final = 4.0
"""A new description may claim this many times the density that was supported, anywhere."""
TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Density:
    """`vectors` float32 (n, dimension); `masses` float64 (n,); `squares`: the vectors' squared lengths."""

    vectors: FloatMatrix
    masses: Doubles
    squares: Doubles = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "squares", np.square(self.vectors.astype(np.float64)).sum(axis=1))

    @classmethod
    def nothing(cls, dimension: int) -> Self:
        return cls(np.zeros((0, dimension), dtype=np.float32), np.zeros(0))

    def at(self, points: FloatMatrix, width: float) -> Doubles:
        """float64 (points,): Σ n exp(-‖x - μ‖² / 2w²)."""
        nearness = (points @ self.vectors.T).astype(np.float64)
        nearness -= np.square(points).sum(axis=1)[:, None] / 2 + self.squares / 2
        dense: Doubles = np.exp(nearness / width) @ self.masses
        return dense

    def means(self, query: FloatVector) -> Doubles:
        """float64 (n,): q · μ."""
        return (self.vectors @ query).astype(np.float64)

    def terms(self, query: FloatVector, means: Doubles | None = None) -> Doubles:
        """float64 (n,): what each mean adds to the density at a question. `means`: where they were worked out."""
        nearness = (self.means(query) if means is None else means) - self.squares / 2
        terms: Doubles = self.masses * np.exp((nearness - float(query @ query) / 2) / WIDTH)
        return terms

    def of(self, which: Flags) -> "Density":
        return Density(self.vectors[which], self.masses[which])

    def beside(self, other: "Density") -> "Density":
        return Density(np.concatenate((self.vectors, other.vectors)), np.concatenate((self.masses, other.masses)))

    def same(self, other: "Density") -> bool:
        if self is other:
            return True
        return np.array_equal(self.vectors, other.vectors) and np.array_equal(self.masses, other.masses)

    def rows_in(self, other: "Density") -> Positions:
        """Where each of the vectors stands among the other's, -1 where it does not."""
        place = {vector.tobytes(): row for row, vector in enumerate(other.vectors)}
        return np.array([place.get(vector.tobytes(), -1) for vector in self.vectors], dtype=np.int64)


def moved(claims: Density, proved: Density) -> float:
    """Share of the claimed passages that lie where they are more than GROWTH times as dense as what was proved."""
    beyond = claims.at(claims.vectors, MOVE_WIDTH) > GROWTH * proved.at(claims.vectors, MOVE_WIDTH)
    return float(claims.masses[beyond].sum()) / max(TINY, float(claims.masses.sum()))
