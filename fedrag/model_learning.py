"""Learning which language model to ask, together: parties add up what came of their questions, and none shows its own.

    groups   a party's own k-means of its questions: LOCAL directions and how many questions lie at each    → shown
    cells    weighted k-means of everybody's groups: GLOBAL directions                                      → sent back
    sums     n, r and k of the party's questions, by cell and model, as whole numbers                       → masked
    table    of the sum over all parties (`reasoner.model_choice`)

Both passes of the K-means router of Federate-the-Router, each made once. There the sums lie open; here they travel
under a mask (`fedrag.privacy.masked_sums`), and of a party nothing is seen but its groups, those of FEWEST questions or
more. What is learned later, by a party that joins or of a model that is new, is counted in the same cells and added.

Not protected: the mean direction of FEWEST questions; what the sum itself tells, of cells in which few questions lie;
and against a party that lies in its counts, which is bounded (MOST questions), not found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from fedrag.core.errors import ProtocolError
from fedrag.core.masked_sums import Numbers
from fedrag.core.wire import FloatMatrix, Name
from reasoner.model_choice import Doubles, ModelTable
from router.groups import weighted_k_means

LOCAL: Final = 15
GLOBAL: Final = 20
FEWEST: Final = 3
"""Questions in a group that is shown."""
OWN: Final = 20.0
"""Questions in a cell after which a party's own counts are worth as much as everybody's."""
UNIT: Final = 10_000
"""Of a sum: less than a ten-thousandth of a question, or of a unit of cost, is rounded away."""
DEAREST: Final = 1_000_000.0
"""Units of cost that one question can count."""
MOST: Final = 100_000
"""Questions of one party that count."""
TABLES: Final = 3


@dataclass(frozen=True, slots=True)
class Log:
    """A party's questions, float32 (questions, dimension), under the encoder `comparable_with`. Of each: the model that
    was asked, how right it was (0 to 1), and what it cost (≥ 0)."""

    comparable_with: str
    vectors: FloatMatrix
    models: tuple[Name, ...]
    right: Doubles
    cost: Doubles

    def some(self, rows: npt.NDArray[np.int64]) -> "Log":
        models = tuple(self.models[row] for row in rows.tolist())
        return Log(self.comparable_with, self.vectors[rows], models, self.right[rows], self.cost[rows])


@dataclass(frozen=True, slots=True)
class Groups:
    """What a party shows of its questions: unit directions, float32 (groups, dimension), and the questions at each."""

    centres: FloatMatrix
    sizes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, vectors: FloatMatrix, number: int = LOCAL, fewest: int = FEWEST) -> Self:
        centres = weighted_k_means(vectors, np.ones(len(vectors)), number)
        nearest = np.argmax(vectors @ centres.T, axis=1) if len(centres) else np.zeros(0, dtype=np.int64)
        sizes = np.bincount(nearest, minlength=len(centres))
        return cls(centres[sizes >= fewest], sizes[sizes >= fewest])


def cells_of(groups: Sequence[Groups], number: int = GLOBAL) -> FloatMatrix:
    """The cells, float32 (at most `number`, dimension), of at least one party."""
    centres = np.concatenate([one.centres for one in groups])
    return weighted_k_means(centres, np.concatenate([one.sizes for one in groups]).astype(np.float64), number)


def counted(log: Log, centres: FloatMatrix, models: Sequence[Name]) -> ModelTable:
    """A party's own sums: each question counts in its nearest cell, of the first MOST that asked one of `models`."""
    column = {model: at for at, model in enumerate(models)}
    rows = np.array([row for row, model in enumerate(log.models) if model in column][:MOST], dtype=np.int64)
    tables = np.zeros((TABLES, len(centres), len(models)))
    if len(rows) and len(centres):
        cells = np.argmax(log.vectors[rows] @ centres.T, axis=1)
        columns = np.array([column[log.models[row]] for row in rows.tolist()])
        each = (np.ones(len(rows)), np.clip(log.right[rows], 0, 1), np.clip(log.cost[rows], 0, DEAREST))
        for table, values in zip(tables, each, strict=True):
            np.add.at(table, (cells, columns), values)
    asked, right, cost = tables
    return ModelTable(log.comparable_with, centres, tuple(models), asked, right, cost)


def numbers_of(table: ModelTable) -> Numbers:
    """Sums as they are masked, uint64 (3 · cells · models,)."""
    return np.rint(UNIT * np.stack([table.asked, table.right, table.cost])).astype(np.uint64).ravel()


def table_of(
    total: Numbers, parties: int, comparable_with: str, centres: FloatMatrix, models: Sequence[Name]
) -> ModelTable:
    """The inverse, of a sum over this many parties. Raises ProtocolError (`implausible_counts`) where it cannot be one:
    of another length, of more questions than the parties may count, more of them right than asked, or too dear."""
    shape = (TABLES, len(centres), len(models))
    if total.size != int(np.prod(shape)):
        raise ProtocolError("the sum is of other cells or models", code="implausible_counts")
    asked, right, cost = total.reshape(shape).astype(np.float64) / UNIT
    rounding = parties / UNIT
    if asked.sum() > parties * MOST + rounding or (right > asked + rounding).any():
        raise ProtocolError("more questions than can be, or more right than asked", code="implausible_counts")
    if (cost > asked * DEAREST + rounding).any():
        raise ProtocolError("questions that cost more than one can", code="implausible_counts")
    return ModelTable(comparable_with, centres, tuple(models), asked, right, cost)


def personal(own: ModelTable, everybody: ModelTable, strength: float = OWN) -> ModelTable:
    """A party's own sums on top of what everybody's let expect, which counts as `strength` questions in each cell: its
    own where it has asked much, everybody's elsewhere."""
    believed, counts = everybody.expected(everybody.centres), own.of(everybody.models)
    return ModelTable(
        everybody.comparable_with,
        everybody.centres,
        everybody.models,
        counts.asked + strength,
        counts.right + strength * believed.accuracy,
        counts.cost + strength * believed.cost,
    )
