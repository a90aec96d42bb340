"""Which hospital's passages a question is like: Bayes over published prototypes, as kernels of equal width.

A prototype stands for n passages about its mean μ. Taken as n times a Normal of variance σ² in every direction, it
holds of all that is like the unit query q the share

    n exp(-‖q - μ‖² / 2σ²) / Σ n' exp(-‖q - μ'‖² / 2σ²),

and a hospital the sum of its prototypes' (Parzen 1962). Only the ratio to the nearest prototypes counts, so with many
prototypes those of far groups need not be looked at.

How much descriptions tell apart is measured on themselves. A member of a cluster, compared with its own mean as if made
without it, is a question whose hospital h is known. With s the share of h, and b its share of all passages,
log(s / b) of log(1 / b) is the part of the uncertainty about the hospital that descriptions take away (Theil 1970).
Its mean near a question is 1 where every hospital has topics of its own, and near 0 where passages were dealt out at
random.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

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
STALE: Final = 0.25
"""Share of prototypes that may be new before the groups are made anew."""
AROUND: Final = 3.0
"""How far around a question it counts what is told apart: times the variance of the kernel."""
_PROBED: Final = 16
"""Prototypes of a group, at most, whose members are asked for; their mean is the group's."""
_NOTHING: Final = 1e-9

Singles = npt.NDArray[np.float32]

Doubles = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Reading:
    """`shares` of every hospital, float64 (hospitals,), summing to 1, all 0 where there is no prototype. `telling`: how
    far descriptions tell hospitals apart near the question, at most 1; 1 where one hospital has all prototypes, or
    nobody has any."""

    shares: Doubles
    telling: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """Prototypes put in the order of their groups.

    `vectors` float32 (prototypes, dimension); `log_masses` and `squares`, ‖μ‖², float32 (prototypes,); `owners` int64
    (prototypes,), positions of hospitals; `told` and `untold`, log(s / b) and log(1 / b), float32 (prototypes,). Group
    g is the rows `starts[g]` to `starts[g + 1]` about `centres[g]`, which were made of `grouped` prototypes.
    """

    vectors: FloatMatrix
    log_masses: Singles
    squares: Singles
    owners: Positions
    told: Singles
    untold: Singles
    centres: FloatMatrix
    starts: Positions
    hospitals: int
    grouped: int

    @classmethod
    def of(cls, prototypes: Prototypes, width: float, before: "Likeness | None" = None, changed: int = 0) -> Self:
        """`width`: σ², with which it is measured what is told apart. `before`: what was made of the last descriptions,
        from which so many prototypes have `changed`: where they are few, its groups are kept."""
        vectors, number = prototypes.vectors, len(prototypes.vectors)
        grouped = number
        if number < GROUPED_FROM:
            centres, starts = vectors[:1], np.array([0, number])
            order = np.arange(number)
        else:
            if before is not None and len(before.centres) > 1 and changed <= STALE * before.grouped:
                centres, grouped = before.centres, before.grouped
            else:
                centres = weighted_k_means(vectors, prototypes.masses, number // PER_GROUP)
            groups = np.argmax(vectors @ centres.T, axis=1)
            order = np.argsort(groups, kind="stable")
            starts = np.searchsorted(groups[order], np.arange(len(centres) + 1))
        ordered = np.ascontiguousarray(vectors[order])
        held = np.bincount(prototypes.owners, weights=prototypes.masses, minlength=len(prototypes.nodes))
        untold = np.log(held.sum() / held[prototypes.owners[order]])
        made = cls(
            vectors=ordered,
            log_masses=np.log(prototypes.masses[order]).astype(np.float32),
            squares=np.square(ordered).sum(axis=1),
            owners=prototypes.owners[order],
            told=np.zeros(number, dtype=np.float32),
            untold=untold.astype(np.float32),
            centres=centres,
            starts=starts.astype(np.int64),
            hospitals=len(prototypes.nodes),
            grouped=grouped,
        )
        return replace(made, told=made._told_apart(width))

    def read(self, query: FloatVector, width: float) -> "Reading":
        """`width` is σ²."""
        if not len(self.vectors):
            return Reading(np.zeros(self.hospitals), 1.0)
        ranges = self._nearest(query)

        def near(values: Singles | Positions) -> npt.NDArray[Any]:
            return np.concatenate([values[a:b] for a, b in ranges])

        similarities = np.concatenate([self.vectors[a:b] @ query for a, b in ranges]) - near(self.squares) / 2
        log_masses = near(self.log_masses)
        scores = similarities / np.float32(width) + log_masses
        likelihood = np.exp(scores - scores.max())
        held = np.bincount(near(self.owners), weights=likelihood, minlength=self.hospitals)
        around = similarities / np.float32(AROUND * width) + log_masses
        weights = np.exp(around - around.max())
        untold = float(weights @ near(self.untold))
        telling = float(weights @ near(self.told)) / untold if untold > _NOTHING else 1.0
        return Reading(held / held.sum(), telling)

    def _told_apart(self, width: float) -> Singles:
        """Of every prototype, or of its group: log(s / b), no further below 0 than it can be above."""
        told = np.zeros(len(self.vectors), dtype=np.float32)
        for group in range(len(self.starts) - 1):
            rows = np.arange(self.starts[group], self.starts[group + 1])
            if not len(rows):
                continue
            if len(self.centres) <= 1:
                told[rows] = self._told_of(rows, rows, width)
            else:
                probed = rows[:: max(1, len(rows) // _PROBED)]
                compared = np.concatenate([np.arange(a, b) for a, b in self._nearest(self.centres[group])])
                told[rows] = self._told_of(probed, compared, width).mean()
        return told

    def _told_of(self, probed: Positions, compared: Positions, width: float) -> Doubles:
        """`probed` and `compared` are rows, the former among the latter or far from all of them."""
        masses, squares = np.exp(self.log_masses[probed].astype(np.float64)), self.squares[probed]
        scores = (self.vectors[probed] @ self.vectors[compared].T - self.squares[compared] / 2) / width
        scores += self.log_masses[compared]
        without = np.maximum(masses - 1, _NOTHING)
        own = ((masses * squares - 1) / without - squares / 2) / width + np.log(without)
        scores = np.where(compared[None, :] == probed[:, None], own[:, None], scores)
        likelihood = np.exp(scores - scores.max(axis=1, keepdims=True))
        at_home = self.owners[compared][None, :] == self.owners[probed][:, None]
        share = np.where(at_home, likelihood, 0).sum(axis=1) / likelihood.sum(axis=1)
        gained: Doubles = np.log(np.maximum(share, _NOTHING)) + self.untold[probed]
        return np.maximum(gained, -self.untold[probed])

    def _nearest(self, query: FloatVector) -> list[tuple[int, int]]:
        """Rows of the nearest groups, enough of them."""
        if len(self.centres) <= 1:
            return [(0, len(self.vectors))]
        order = np.argsort(-(self.centres @ query), kind="stable")
        sizes = self.starts[order + 1] - self.starts[order]
        visited = order[: int(np.searchsorted(np.cumsum(sizes), VISITED)) + 1]
        return [(int(self.starts[group]), int(self.starts[group + 1])) for group in visited]
