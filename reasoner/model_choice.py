"""Which language model to ask: what each was worth on questions like this one, against what it costs.

Questions fall into cells (directions of the embedding space). Of each cell c and model m three sums are kept: questions
asked (n), answered right (r), and what they cost (k).

    a_m      = (Σ_c (r_cm − n_cm t_c) + s a) / (Σ_c n_cm + s)        a model's accuracy; a: of all together
    t_c      = Σ_m (r_cm − n_cm a_m) / (Σ_m n_cm + s)                by how much a cell is easier than others
    A_cm     = (r_cm + s (a_m + t_c)) / (n_cm + s)                   accuracy in a cell
    C_cm     = (k_cm + s c_m) / (n_cm + s)                           cost in a cell; c_m: the model's mean
    choice   = argmax_m Σ_c w_c (A_cm − λ C_cm)                      w: of the cells near the question, Σ w = 1

A model that was put to easy questions is no better for it: a_m and t_c are fitted in turn, ROUNDS times.

λ is given when a model is chosen, not when the sums are made: what a unit of cost is worth in probability of being
right. In a cell that never saw a model it is what it is elsewhere, and the cells beside have their say; a model that
nobody asked is taken for an average one. Sums and counts alone, so those of several parties may be added up.

The K-means router of Federate-the-Router, which reads the one nearest cell, each by itself, and takes an empty one for
a model that is never right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from fedrag.core.errors import ConfigError
from fedrag.core.plugins import describe
from fedrag.core.wire import Finite, FloatMatrix, Name, Vector, Wire, decode_vector, encode_vector

NEAR: Final = 4
"""Cells that a question is read at."""
WIDTH: Final = 0.1
"""A cell this much less similar to the question than the nearest weighs 1 / e of it."""
STRENGTH: Final = 15.0
"""s: questions after which what was seen counts as much as what is assumed."""
ROUNDS: Final = 8
EVEN: Final = 0.5
"""a while nobody has asked any model."""
_HARDLY: Final = 1e-9
"""In place of s, where a mean is to lean on another only if it is of nothing."""

Doubles = npt.NDArray[np.float64]
Sum = Annotated[Finite, Field(ge=0)]


class CellSums(Wire):
    """Of one cell and model."""

    cell: Annotated[int, Field(ge=0)]
    model: Annotated[int, Field(ge=0)]
    asked: Sum
    right: Sum
    cost: Sum


class StoredTable(Wire):
    """A table as a file: no question, and nothing from which one could be made."""

    comparable_with: str
    cells: tuple[Vector, ...]
    models: tuple[Name, ...]
    sums: tuple[CellSums, ...]


class Expected(NamedTuple):
    """float64 (questions, models) each: probability of being right, and cost in the unit it was counted in."""

    accuracy: Doubles
    cost: Doubles

    def order(self, cost_weight: float) -> npt.NDArray[np.int64]:
        """Models from the best to the worst, int64 (questions, models). `cost_weight`: λ ≥ 0. Ties: the cheaper one."""
        by_cost = np.argsort(self.cost, axis=1, kind="stable")
        gain = self.accuracy - cost_weight * self.cost
        among = np.argsort(-np.take_along_axis(gain, by_cost, axis=1), axis=1, kind="stable")
        return np.take_along_axis(by_cost, among, axis=1)


@dataclass(frozen=True, slots=True)
class ModelTable:
    """`centres` float32 (cells, dimension), under the encoder `comparable_with`; `asked`, `right` and `cost` float64
    (cells, models)."""

    comparable_with: str
    centres: FloatMatrix
    models: tuple[Name, ...]
    asked: Doubles
    right: Doubles
    cost: Doubles

    def expected(self, queries: FloatMatrix) -> Expected:
        """Of these questions, float32 (questions, dimension), and every model in `models`."""
        weights = self.weights(queries)
        (accuracy, easier), weights = self._abilities(), self.weights(queries)
        spent = _leaning(self.cost.sum(axis=0), self.asked.sum(axis=0), self._mean(self.cost, 0.0), _HARDLY)
        right = _leaning(self.right, self.asked, accuracy + easier[:, None], STRENGTH)
        cost = _leaning(self.cost, self.asked, spent, STRENGTH)
        return Expected(_mixed(weights, right, accuracy), _mixed(weights, cost, spent))

    def weights(self, queries: FloatMatrix) -> Doubles:
        """w float64 (questions, cells), 0 beyond the nearest NEAR in which any question lies; rows sum to 1."""
        if not len(self.centres):
            return np.zeros((len(queries), 0))
        similarities = (queries @ self.centres.T).astype(np.float64)
        if (seen := self.asked.any(axis=1)).any():
            similarities[:, ~seen] = -np.inf
        far = np.argsort(-similarities, axis=1, kind="stable")[:, NEAR:]
        weights: Doubles = np.exp((similarities - similarities.max(axis=1, keepdims=True)) / WIDTH)
        np.put_along_axis(weights, far, 0.0, axis=1)
        weights /= weights.sum(axis=1, keepdims=True)
        return weights

    def plus(self, other: "ModelTable") -> "ModelTable":
        """What was counted in the same cells besides: by a party that came later, or of a model that is new."""
        models = tuple(dict.fromkeys((*self.models, *other.models)))
        one, two = self.of(models), other.of(models)
        return replace(one, asked=one.asked + two.asked, right=one.right + two.right, cost=one.cost + two.cost)

    def of(self, models: Sequence[Name]) -> "ModelTable":
        """These models alone, in this order; of one that is not there, nothing was counted."""
        column = {model: at for at, model in enumerate(self.models)}
        places = [column.get(model, len(column)) for model in models]
        room = np.zeros((len(self.centres), 1))
        asked, right, cost = (np.hstack([sums, room])[:, places] for sums in (self.asked, self.right, self.cost))
        return replace(self, models=tuple(models), asked=asked, right=right, cost=cost)

    def _abilities(self) -> tuple[Doubles, Doubles]:
        """a_m (models,) and t_c (cells,)."""
        everybody, easier = self._mean(self.right, EVEN), np.zeros(len(self.centres))
        models, cells = self.asked.sum(axis=0), self.asked.sum(axis=1)
        for _ in range(ROUNDS):
            accuracy = _leaning((self.right - self.asked * easier[:, None]).sum(axis=0), models, everybody, STRENGTH)
            easier = _leaning((self.right - self.asked * accuracy).sum(axis=1), cells, 0.0, STRENGTH)
        return accuracy, easier

    def _mean(self, sums: Doubles, nothing: float) -> float:
        """Of all models together."""
        asked = self.asked.sum()
        return float(sums.sum() / asked) if asked else nothing

    def stored(self) -> StoredTable:
        cells, models = np.nonzero(self.asked)
        return StoredTable(
            comparable_with=self.comparable_with,
            cells=tuple(encode_vector(centre) for centre in self.centres),
            models=self.models,
            sums=tuple(
                CellSums(
                    cell=cell,
                    model=model,
                    asked=float(self.asked[cell, model]),
                    right=float(self.right[cell, model]),
                    cost=float(self.cost[cell, model]),
                )
                for cell, model in zip(cells.tolist(), models.tolist(), strict=True)
            ),
        )

    @classmethod
    def from_stored(cls, stored: StoredTable) -> Self:
        """The inverse of `stored`. Raises ValueError where sums name a cell or model that is not there."""
        tables = np.zeros((3, len(stored.cells), len(stored.models)))
        for one in stored.sums:
            if one.cell >= len(stored.cells) or one.model >= len(stored.models):
                raise ValueError("sums of a cell or model that is not there")
            tables[:, one.cell, one.model] = one.asked, one.right, one.cost
        vectors = [decode_vector(cell) for cell in stored.cells]
        centres = np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)
        asked, right, cost = tables
        return cls(stored.comparable_with, centres, stored.models, asked, right, cost)


def load(path: Path) -> ModelTable:
    """Raises ConfigError where it is missing or no table."""
    try:
        return ModelTable.from_stored(StoredTable.model_validate_json(path.read_bytes()))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", code="missing_config") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _leaning(sums: Doubles, counts: Doubles, on: Doubles | float, strength: float) -> Doubles:
    """Means that lean on others where little was counted."""
    made: Doubles = (sums + strength * on) / (counts + strength)
    return made


def _mixed(weights: Doubles, cells: Doubles, otherwise: Doubles) -> Doubles:
    """(questions, models); without cells the same for every question."""
    return weights @ cells if len(cells) else np.tile(otherwise, (len(weights), 1))
