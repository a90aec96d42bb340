"""Prototypes: the clusters of a collection's passages, which let a router judge it without seeing a passage."""

from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.collection import Prototype
from fedrag.core.wire import FloatMatrix, encode_vector

MINIMUM_MEMBERS: Final = 5
MAXIMUM_PROTOTYPES: Final = 64
LEAST_GAIN: Final = 0.02
"""Twice as many clusters must explain at least this much more of the variance."""

_TRAINED_ON: Final = 20_000
_ROUNDS: Final = 25
_SEED: Final = 0

Labels = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32] | Doubles


def prototypes(
    vectors: FloatMatrix, minimum_members: int = MINIMUM_MEMBERS, maximum: int = MAXIMUM_PROTOTYPES
) -> tuple[Prototype, ...]:
    """Clusters of a collection, largest first; their masses sum to its size. () below `minimum_members` rows.

    k-means for k = 1, 2, 4, … up to `maximum`; the largest k is taken that explains at least LEAST_GAIN more variance
    than k/2 does, so the number grows with the collection's diversity. Variance explained is corrected for the k means
    fitted, 1 - (W/(n-k)) / (T/(n-1)), else noise alone would ask for more. Clusters with too few members are joined
    with their nearest neighbour. The same rows always give the same prototypes.
    """
    count = len(vectors)
    if count < max(1, minimum_members):
        return ()
    sample = vectors[:: -(-count // _TRAINED_ON)].astype(np.float64)
    centres, best = sample.mean(axis=0, keepdims=True), 0.0
    chosen = centres
    clusters = 2
    while clusters <= min(maximum, len(sample) // max(1, minimum_members)):
        centres = _k_means(sample, clusters)
        explained = _explained(sample, centres)
        if explained - best >= LEAST_GAIN:
            chosen = centres
        best = explained
        clusters *= 2
    labels = _joined(vectors, _nearest(vectors, chosen.astype(np.float32)), minimum_members)
    groups = [vectors[labels == label].astype(np.float64) for label in np.unique(labels)]
    made = [_prototype(group) for group in groups]
    order = sorted(range(len(made)), key=lambda number: (-made[number].mass, number))
    return tuple(made[number] for number in order)


def _prototype(members: Doubles) -> Prototype:
    centre = members.mean(axis=0)
    residuals = members - centre
    # ‖C‖²_F from C (d × d) or the Gram matrix (n × n), whichever is smaller: they share their non-zero eigenvalues.
    products = residuals.T @ residuals if len(members) > members.shape[1] else residuals @ residuals.T
    trace = float(np.trace(products))
    spread = float(np.sqrt(np.sum(products**2) / trace / len(members))) if trace > 1e-12 else 0.0
    return Prototype(vector=encode_vector(centre.astype(np.float32)), mass=len(members), spread=spread)


def _k_means(sample: Doubles, clusters: int) -> Doubles:
    """Lloyd's algorithm from k-means++ seeds (Arthur and Vassilvitskii 2007) drawn with a fixed seed."""
    random = np.random.default_rng(_SEED)
    centres = [sample[random.integers(len(sample))]]
    distance = _square(sample, centres[0])
    while len(centres) < clusters and distance.sum() > 1e-12:
        centres.append(sample[random.choice(len(sample), p=distance / distance.sum())])
        distance = np.minimum(distance, _square(sample, centres[-1]))
    found = np.stack(centres)
    labels = _nearest(sample, found)
    for _ in range(_ROUNDS):
        sizes = np.bincount(labels, minlength=len(found))
        sums = np.zeros_like(found)
        np.add.at(sums, labels, sample)
        found = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], found)
        moved = _nearest(sample, found)
        if (moved == labels).all():
            break
        labels = moved
    return found


def _explained(sample: Doubles, centres: Doubles) -> float:
    labels = _nearest(sample, centres)
    total = float(_square(sample, sample.mean(axis=0)).sum())
    within = float(_square(sample, centres[labels]).sum())
    free = len(sample) - len(centres)
    return 1 - (within / free) / (total / (len(sample) - 1)) if total > 1e-12 and free > 0 else 0.0


def _joined(vectors: FloatMatrix, labels: Labels, minimum_members: int) -> Labels:
    """The smallest cluster below the minimum joins the one with the nearest mean, until none is left."""
    while True:
        names, sizes = np.unique(labels, return_counts=True)
        smallest = int(np.argmin(sizes))
        if len(names) == 1 or sizes[smallest] >= minimum_members:
            return labels
        means = np.stack([vectors[labels == name].mean(axis=0) for name in names])
        distances = _square(means, means[smallest])
        distances[smallest] = np.inf
        labels = np.where(labels == names[smallest], names[int(np.argmin(distances))], labels)


def _nearest(rows: Rows, centres: Rows) -> Labels:
    labels: Labels = np.argmin(np.square(centres).sum(axis=1) - 2 * (rows @ centres.T), axis=1)
    return labels


def _square(rows: Rows, centre: Rows) -> Doubles:
    squares: Doubles = np.square(rows - centre).sum(axis=-1, dtype=np.float64)
    return squares
