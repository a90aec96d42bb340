"""Prototypes: the clusters of a collection's passages, which let a router judge it without seeing a passage."""

from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.collection import Prototype
from fedrag.core.wire import FloatMatrix, encode_vector
from retriever_node.blas import one_blas_thread

MINIMUM_MEMBERS: Final = 5
MAXIMUM_PROTOTYPES: Final = 64
GROUP: Final = 8
"""Rows of a cluster, where there are few enough for all of them to have so few."""
RECIPE: Final = "prototypes-2"
"""Change it when `prototypes` makes other ones of the same rows: saved ones are then computed anew."""

_TRAINED_ON: Final = 5_000
_ROUNDS: Final = 12
_STARTS: Final = 2
_SEED: Final = 0
_NOTHING: Final = 1e-5
"""A sum of squared distances that is rounding."""

Labels = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


@one_blas_thread()
def prototypes(
    vectors: FloatMatrix, minimum_members: int = MINIMUM_MEMBERS, maximum: int = MAXIMUM_PROTOTYPES
) -> tuple[Prototype, ...]:
    """Clusters of a collection, largest first; their masses sum to its size. () below `minimum_members` rows.

    The finer a description, the fewer hospitals have to be asked: of few rows they are groups of GROUP that are alike,
    of more `maximum` clusters by k-means, of which one with too few members is joined with its nearest neighbour. The
    same rows always give the same prototypes, however many processors there are.
    """
    if len(vectors) < max(1, minimum_members):
        return ()
    size = max(GROUP, minimum_members)
    if len(vectors) <= size * maximum:
        labels = _groups(vectors, size)
    else:
        random = np.random.default_rng(_SEED)
        sample = vectors[random.permutation(len(vectors))[:_TRAINED_ON]]
        labels = _joined(vectors, _nearest(vectors, _k_means(sample, maximum, random)), minimum_members)
    made = [_prototype(vectors[labels == label].astype(np.float64)) for label in np.unique(labels)]
    return tuple(sorted(made, key=lambda prototype: -prototype.mass))


def _groups(rows: FloatMatrix, size: int) -> Labels:
    """Rows that are alike, `size` together, in the last group up to twice as many: the row furthest from the mean of
    those that are left, with its nearest, again and again (after MDAV, Domingo-Ferrer and Mateo-Sanz 2002)."""
    labels = np.zeros(len(rows), dtype=np.int64)
    left, group = np.arange(len(rows)), 0
    while len(left) >= 2 * size:
        held = rows[left]
        furthest = int(np.argmax(_squares(held, held.mean(axis=0, keepdims=True))[:, 0]))
        nearest = np.argsort(_squares(held, held[[furthest]])[:, 0], kind="stable")[:size]
        labels[left[nearest]] = group
        left, group = np.delete(left, nearest), group + 1
    labels[left] = group
    return labels


def _prototype(members: Doubles) -> Prototype:
    centre = members.mean(axis=0)
    return Prototype(
        vector=encode_vector(centre.astype(np.float32)), mass=len(members), spread=_spread(members - centre)
    )


def _spread(residuals: Doubles) -> float:
    """sqrt(‖C‖²_F / tr C) of the covariance behind n residuals z from their own mean.

    The plain estimate of ‖C‖²_F is far too large for few members: it holds ‖z‖⁴ of each member with itself. Left out,
    with T = Σ‖z‖² and t = T / (n - 1) for tr C: f = (‖ZZᵀ‖²_F - Σ‖z‖⁴) / (n (n - 1)) - (T / (n (n - 1)))². At least
    t / d, the value of a cluster that varies alike in all d directions.
    """
    n, dimension = residuals.shape
    squares = np.square(residuals).sum(axis=1)
    total = float(squares.sum())
    if n < 2 or total <= _NOTHING:
        return 0.0
    # ZZᵀ (n × n) or ZᵀZ (d × d), whichever is smaller: they share their non-zero eigenvalues.
    products = residuals.T @ residuals if n > dimension else residuals @ residuals.T
    pairs = float(np.sum(products**2) - np.sum(squares**2))
    trace = total / (n - 1)
    norm = pairs / (n * (n - 1)) - (total / (n * (n - 1))) ** 2
    return float(np.sqrt(max(trace / dimension, norm / trace)))


def _k_means(rows: FloatMatrix, clusters: int, random: np.random.Generator) -> FloatMatrix:
    """Lloyd's algorithm, the best of a few starts."""
    found = [_lloyd(rows, _seeds(rows, clusters, random)) for _ in range(_STARTS if clusters > 1 else 1)]
    return min(found, key=lambda centres: float(_squares(rows, centres).min(axis=1).sum()))


def _seeds(rows: FloatMatrix, clusters: int, random: np.random.Generator) -> FloatMatrix:
    """Greedy k-means++ (Arthur and Vassilvitskii 2007): of a few rows drawn in proportion to their squared distance,
    the one that lowers the sum most."""
    seeds = rows[[random.integers(len(rows))]]
    distance = _squares(rows, seeds)[:, 0]
    while len(seeds) < clusters and distance.sum() > _NOTHING:
        drawn = rows[random.choice(len(rows), size=2 + clusters.bit_length(), p=distance / distance.sum())]
        lower = np.minimum(distance[:, None], _squares(rows, drawn))
        best = int(np.argmin(lower.sum(axis=0)))
        seeds, distance = np.concatenate([seeds, drawn[[best]]]), lower[:, best]
    return seeds


def _lloyd(rows: FloatMatrix, centres: FloatMatrix) -> FloatMatrix:
    labels = _nearest(rows, centres)
    for _ in range(_ROUNDS):
        members = (labels[:, None] == np.arange(len(centres))).astype(np.float32)
        sizes = members.sum(axis=0)[:, None]
        centres = np.where(sizes > 0, (members.T @ rows) / np.maximum(sizes, 1), centres)
        moved = _nearest(rows, centres)
        if (moved == labels).all():
            break
        labels = moved
    return centres


def _joined(vectors: FloatMatrix, labels: Labels, minimum_members: int) -> Labels:
    """The smallest cluster below the minimum joins the one with the nearest mean, until none is left."""
    while True:
        names, sizes = np.unique(labels, return_counts=True)
        smallest = int(np.argmin(sizes))
        if len(names) == 1 or sizes[smallest] >= minimum_members:
            return labels
        means = np.stack([vectors[labels == name].mean(axis=0) for name in names])
        distances = _squares(means, means[[smallest]])[:, 0]
        distances[smallest] = np.inf
        labels = np.where(labels == names[smallest], names[int(np.argmin(distances))], labels)


def _nearest(rows: FloatMatrix, centres: FloatMatrix) -> Labels:
    labels: Labels = np.argmin(np.square(centres).sum(axis=1) - 2 * (rows @ centres.T), axis=1)
    return labels


def _squares(rows: FloatMatrix, centres: FloatMatrix) -> Doubles:
    """Squared distances (rows, centres)."""
    lengths = np.square(rows).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)
    squares: Doubles = np.maximum(lengths - 2 * (rows @ centres.T), 0).astype(np.float64)
    return squares
