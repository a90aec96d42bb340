"""What a coordinator learns from outcomes: of the questions like this one, how often was each hospital of use?

Questions fall into cells (directions of the embedding space). Of each cell and hospital three numbers are kept: how
often it was asked, how often its description let expect it to be useful, and how often it was. Their ratio, useful over
expected, corrects what a description promises. A question counts in its two nearest cells, half in each, and is read
at its nearest few, weighted by nearness; a cell counts for little until it has seen something, then the hospital's
ratio over all cells holds, then everybody's:

    ρ        = (Σ_h useful + s) / (Σ_h expected + s)                     everybody's
    ρ_h      = (useful_h + s ρ) / (expected_h + s)                       a hospital's
    ρ_h(q)   = (Σ_c w_c useful_ch + s ρ_h) / (Σ_c w_c expected_ch + s)   near question q, Σ w = 1

A hospital that just came has none, and starts from its description and everybody's ratio: nothing is trained anew.
However bad or good its luck, a correction stays within LEAST and MOST: what outcomes say near a question never silences
a hospital for good, and never makes one out of nothing.
Counts and sums only, so the counts of several coordinators, or of several parties under a mask, may be added up. The
template is the K-means router of Federate-the-Router, with hospitals in place of models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedrag.core.wire import Finite, FloatMatrix, FloatVector, NodeId, Vector, Wire, decode_vector, encode_vector
from router.groups import weighted_k_means
from router.regression import Regressions, features_of

CELLS: Final = 64
COUNTED: Final = 2
"""Cells that a question counts in."""
NEAR: Final = 16
"""Cells that a question is read at."""
WIDTH: Final = 0.07
"""A cell this much less similar to the question than the nearest weighs 1 / e of it."""
STRENGTH: Final = 0.2
"""s: useful hospitals that must have been expected before what was seen counts as much as what is assumed."""
LEAST: Final = 0.02
MOST: Final = 50.0
REGROUPED_AT: Final = 2
"""Times as many prototypes as the cells were made of: then cells are made anew."""

Doubles = npt.NDArray[np.float64]
Count = Annotated[Finite, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one answered question. Of every hospital that was asked and answered, `expected`: P(useful) by its
    description alone; `useful`: 1 where its passages won the merge and were cited, 0 where not, or the share of them
    that helped. `weight`: as how many questions it counts. `unknown`: hospitals whose descriptions cannot be compared
    with questions, of which more is learned (`router.regression`)."""

    query: FloatVector
    expected: Mapping[NodeId, float]
    useful: Mapping[NodeId, float]
    weight: float = 1.0
    unknown: frozenset[NodeId] = frozenset()


class CellCounts(Wire):
    """Of one cell and hospital."""

    cell: Annotated[int, Field(ge=0)]
    node: NodeId
    asked: Count
    expected: Count
    useful: Count


class RegressionSums(Wire):
    """Of one hospital: the upper half of A by rows, and b."""

    node: NodeId
    gram: Vector
    moment: Vector


class Experience(Wire):
    """What was learned, as it is stored: no question, and nothing from which one could be made."""

    comparable_with: str
    made_of: Annotated[int, Field(ge=0)] = 0
    cells: tuple[Vector, ...]
    counts: tuple[CellCounts, ...]
    regressions: tuple[RegressionSums, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """`centres` float32 (cells, dimension), under the encoder `comparable_with`, made of so many vectors (`made_of`);
    `asked`, `expected` and `useful` float64 (cells, nodes). `regressions`: of hospitals that cannot be compared."""

    comparable_with: str
    centres: FloatMatrix
    nodes: tuple[NodeId, ...]
    asked: Doubles
    expected: Doubles
    useful: Doubles
    made_of: int = 0
    regressions: Regressions | None = None

    @classmethod
    def beginning(
        cls, comparable_with: str, vectors: FloatMatrix, weights: npt.NDArray[np.floating], cells: int = CELLS
    ) -> Self:
        """Nothing learned yet. The cells are those of the prototypes that hospitals publish, `weights` their masses, so
        no question is needed to make them; or, where none are published, of some questions."""
        centres = weighted_k_means(vectors, weights, cells)
        nothing = np.zeros((len(centres), 0))
        return cls(comparable_with, centres, (), nothing, nothing, nothing, len(vectors))

    def regrouped(self, vectors: FloatMatrix, weights: npt.NDArray[np.floating]) -> "Learned":
        """With cells of these prototypes, which are REGROUPED_AT times as many as before; the same value where they are
        not. The counts of an old cell go to the new one that is nearest to it: sums stay sums."""
        if len(vectors) < REGROUPED_AT * max(1, self.made_of):
            return self
        made = Learned.beginning(self.comparable_with, vectors, weights, CELLS)
        if not len(self.centres) or not len(made.centres):
            return made
        nearest = np.argmax(self.centres @ made.centres.T, axis=1)
        moved = [np.zeros((len(made.centres), len(self.nodes))) for _ in range(3)]
        for new, old in zip(moved, (self.asked, self.expected, self.useful), strict=True):
            np.add.at(new, nearest, old)
        return replace(made, nodes=self.nodes, asked=moved[0], expected=moved[1], useful=moved[2])

    def cells_of(self, query: FloatVector) -> tuple[int, ...]:
        """The cells that a question counts in."""
        return tuple(np.argsort(-(self.centres @ query), kind="stable")[:COUNTED].tolist())

    def after(self, outcome: Outcome, keep: float = 1.0) -> "Learned":
        """With one outcome more. `keep` below 1 lets what the cell saw before fade."""
        if not outcome.expected or not len(self.centres):
            return self
        grown = self._with(outcome.expected)
        cells = list(grown.cells_of(outcome.query))
        column, share = {node: at for at, node in enumerate(grown.nodes)}, outcome.weight / len(cells)
        asked, expected, useful = (counts.copy() for counts in (grown.asked, grown.expected, grown.useful))
        for counts in (asked, expected, useful):
            counts[cells] *= keep
        for node, promised in outcome.expected.items():
            asked[cells, column[node]] += share
            expected[cells, column[node]] += share * promised
            useful[cells, column[node]] += share * outcome.useful.get(node, 0.0)
        lines = grown.regressions
        unknown = {node: useful for node, useful in outcome.useful.items() if node in outcome.unknown}
        if unknown:
            lines = lines if lines is not None else Regressions.beginning(len(grown.centres))
            lines = lines.after(features_of(outcome.query, grown.centres), unknown, outcome.weight, keep)
        return replace(grown, asked=asked, expected=expected, useful=useful, regressions=lines)

    def judged(self, cells: Sequence[int], changes: Mapping[NodeId, float], weight: float = 1.0) -> "Learned":
        """With a verdict on a question that counted in these cells, as `weight` questions: by how much more, or less,
        each hospital was of use than was thought. Nothing falls below zero."""
        useful, share = self.useful.copy(), weight / max(1, len(cells))
        for at, node in enumerate(self.nodes):
            for cell in cells if node in changes else ():
                useful[cell, at] = max(0.0, useful[cell, at] + share * changes[node])
        return replace(self, useful=useful)

    def weights(self, query: FloatVector) -> tuple[npt.NDArray[np.int64], Doubles]:
        """The nearest cells and their weights, which sum to 1."""
        similarities = self.centres @ query
        near = np.argsort(-similarities, kind="stable")[:NEAR]
        weights = np.exp((similarities[near] - similarities[near[0]]).astype(np.float64) / WIDTH)
        return near, weights / weights.sum()

    def correction(self, query: FloatVector) -> tuple[Doubles, float]:
        """ρ_h(q) of every hospital in `nodes`, and ρ, which is everybody else's."""
        expected, useful = self.expected.sum(axis=0), self.useful.sum(axis=0)
        everybody = float((useful.sum() + STRENGTH) / (expected.sum() + STRENGTH))
        own = (useful + STRENGTH * everybody) / (expected + STRENGTH)
        near, weights = self.weights(query)
        seen = weights @ self.useful[near] + STRENGTH * own
        return np.clip(seen / (weights @ self.expected[near] + STRENGTH), LEAST, MOST), everybody

    def familiarity(self, query: FloatVector) -> Doubles:
        """How often each hospital in `nodes` was asked near this question."""
        near, weights = self.weights(query)
        familiar: Doubles = weights @ self.asked[near]
        return familiar

    def without(self, node: NodeId) -> "Learned":
        """As if it had never been asked."""
        kept = [at for at, other in enumerate(self.nodes) if other != node]
        counts = (self.asked[:, kept], self.expected[:, kept], self.useful[:, kept])
        lines = self.regressions.without(node) if self.regressions is not None else None
        nodes = tuple(self.nodes[at] for at in kept)
        return Learned(self.comparable_with, self.centres, nodes, *counts, self.made_of, lines)

    def as_experience(self) -> Experience:
        cells, columns = np.nonzero(self.asked)
        return Experience(
            comparable_with=self.comparable_with,
            made_of=self.made_of,
            cells=tuple(encode_vector(centre) for centre in self.centres),
            counts=tuple(
                CellCounts(
                    cell=int(cell),
                    node=self.nodes[column],
                    asked=float(self.asked[cell, column]),
                    expected=float(self.expected[cell, column]),
                    useful=float(self.useful[cell, column]),
                )
                for cell, column in zip(cells, columns, strict=True)
            ),
            regressions=self._sums(),
        )

    def _sums(self) -> tuple[RegressionSums, ...]:
        lines = self.regressions
        if lines is None:
            return ()
        upper = np.triu_indices(lines.moment.shape[1])
        return tuple(
            RegressionSums(node=node, gram=_encoded(gram[upper]), moment=_encoded(moment))
            for node, gram, moment in zip(lines.nodes, lines.gram, lines.moment, strict=True)
        )

    @classmethod
    def from_experience(cls, experience: Experience) -> Self:
        """The inverse of `as_experience`. Counts of a cell that is not there are left out."""
        counts = [one for one in experience.counts if one.cell < len(experience.cells)]
        nodes = tuple(sorted({one.node for one in counts}))
        column = {node: at for at, node in enumerate(nodes)}
        tables = np.zeros((3, len(experience.cells), len(nodes)))
        for one in counts:
            tables[:, one.cell, column[one.node]] = one.asked, one.expected, one.useful
        centres = np.array([decode_vector(cell) for cell in experience.cells], dtype=np.float32)
        cells = centres.reshape(len(experience.cells), -1)
        asked, expected, useful = tables
        lines = _regressions(experience.regressions, len(cells) + 1)
        return cls(experience.comparable_with, cells, nodes, asked, expected, useful, experience.made_of, lines)

    def _with(self, nodes: Sequence[NodeId] | Mapping[NodeId, float]) -> "Learned":
        """With columns for these hospitals too, at the end."""
        known = set(self.nodes)
        new = tuple(node for node in sorted(nodes) if node not in known)
        if not new:
            return self
        room = np.zeros((len(self.centres), len(new)))
        asked, expected, useful = (np.hstack([one, room]) for one in (self.asked, self.expected, self.useful))
        nodes = (*self.nodes, *new)
        return replace(self, nodes=nodes, asked=asked, expected=expected, useful=useful)


def _encoded(numbers: Doubles) -> Vector:
    return encode_vector(numbers.astype(np.float32))


def _regressions(stored: Sequence[RegressionSums], features: int) -> Regressions | None:
    """Those of this many features; others are of other cells."""
    upper = np.triu_indices(features)
    made = []
    for one in stored:
        gram, moment = decode_vector(one.gram), decode_vector(one.moment)
        if gram.size == upper[0].size and moment.size == features:
            whole = np.zeros((features, features))
            whole[upper] = gram
            made.append((one.node, np.triu(whole) + np.triu(whole, 1).T, moment.astype(np.float64)))
    if not made:
        return None
    nodes, grams, moments = zip(*made, strict=True)
    return Regressions(nodes, np.stack(grams), np.stack(moments))
