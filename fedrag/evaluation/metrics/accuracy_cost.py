"""Area under the curve of accuracy over cost, for a router with a knob: RouterBench's AIQ (Hu et al. 2024).

points     mean cost and mean accuracy at each setting of the knob, and those of the cheapest model
hull       the non-decreasing upper hull of the points: between two settings one may toss a coin
area       ∫ hull over the cost, from the cheapest single model's mean cost to the dearest's, / that range
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fedrag.evaluation.metrics.bootstrap import Difference

DRAWS: Final = 500
Doubles = npt.NDArray[np.float64]
Points = list[tuple[float, float]]


class Curve(NamedTuple):
    """float64 (questions, settings) each: whether the answer was right, and what it cost."""

    right: Doubles
    cost: Doubles

    def of(self, rows: npt.NDArray[np.int64]) -> "Curve":
        return Curve(self.right[rows], self.cost[rows])

    def points(self, right: Doubles, cost: Doubles) -> Points:
        """Corners of its hull, (cost, accuracy), where `right` and `cost` are the single models'."""
        one = np.full((1, len(right)), 1 / len(right))
        cheapest, low, high = (float(value[0]) for value in _range(one @ right, one @ cost))
        settings = zip((one @ self.cost)[0].tolist(), (one @ self.right)[0].tolist(), strict=True)
        return [(x, y) for x, y in _hull([(low, cheapest), *settings]) if x <= high]


class Area(NamedTuple):
    """`drawn`: of questions drawn anew, the same for every curve measured together."""

    value: float
    drawn: Doubles

    def minus(self, other: "Area") -> Difference:
        differences = self.drawn - other.drawn
        low, high = np.percentile(differences, [2.5, 97.5])
        tail = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
        p = min(1.0, 2 * (tail + 1) / (len(differences) + 1))
        return Difference(self.value - other.value, float(low), float(high), p)


def area(curve: Curve, right: Doubles, cost: Doubles) -> float:
    """`right` and `cost` float64 (questions, models) of the single models, which give the range."""
    return float(_areas(curve, right, cost, np.full((1, len(right)), 1 / len(right)), stairs=False)[0])


def areas(
    made: Mapping[str, Curve], right: Doubles, cost: Doubles, seed: int, stairs: Sequence[str] = ()
) -> dict[str, Area]:
    """All on the same questions. `stairs`: curves whose settings cannot be mixed by a coin."""
    random = np.random.default_rng(seed)
    number = len(right)
    drawn = random.multinomial(number, np.full(number, 1 / number), size=DRAWS) / number
    weights = np.concatenate([np.full((1, number), 1 / number), drawn])
    found = {name: _areas(curve, right, cost, weights, stairs=name in stairs) for name, curve in made.items()}
    return {name: Area(float(one[0]), one[1:]) for name, one in found.items()}


def _areas(curve: Curve, right: Doubles, cost: Doubles, weights: Doubles, *, stairs: bool) -> Doubles:
    """`weights` (draws, questions), rows sum to 1."""
    accuracies, costs = weights @ curve.right, weights @ curve.cost
    cheapest, low, high = _range(weights @ right, weights @ cost)
    under = _under_stairs if stairs else _under_hull
    made = [
        under([(start, first), *zip(xs, ys, strict=True)], start, end)
        for xs, ys, first, start, end in zip(costs.tolist(), accuracies.tolist(), cheapest, low, high, strict=True)
    ]
    return np.array(made)


def _range(right: Doubles, cost: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Of each draw: accuracy and cost of the cheapest model, cost of the dearest."""
    cheapest = np.argmin(cost, axis=1)[:, None]
    return np.take_along_axis(right, cheapest, axis=1)[:, 0], cost.min(axis=1), cost.max(axis=1)


def _under_hull(points: Points, low: float, high: float) -> float:
    corners = _hull(points)
    at = _grid(corners, low, high)
    heights = np.interp(at, [x for x, _ in corners], [y for _, y in corners])
    return float(np.trapezoid(heights, at)) / (high - low) if high > low else float(heights[0])


def _under_stairs(points: Points, low: float, high: float) -> float:
    """At each cost the best of what costs no more."""
    at = _grid(points, low, high)
    heights = [max(y for x, y in points if x <= start) for start in at]
    return float(np.diff(at) @ heights[:-1]) / (high - low) if high > low else float(heights[0])


def _grid(points: Points, low: float, high: float) -> list[float]:
    return sorted({low, high, *(x for x, _ in points if low < x < high)})


def _hull(points: Points) -> Points:
    """Corners by increasing x, up to the highest point."""
    corners: Points = []
    for x, y in sorted(set(points), key=lambda one: (one[0], -one[1])):
        if corners and y <= corners[-1][1]:
            continue
        while len(corners) > 1 and _below(corners[-2], corners[-1], (x, y)):
            corners.pop()
        corners.append((x, y))
    return corners


def _below(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    """Whether `middle` is not above the line from `first` to `last`."""
    return (middle[1] - first[1]) * (last[0] - first[0]) <= (last[1] - first[1]) * (middle[0] - first[0])
