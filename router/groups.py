"""Weighted spherical k-means: groups of directions, from local centroids and their counts alone.

The second of two one-shot passes of federated k-means (Dennis et al. 2021): the first, every hospital's own clusters,
is what hospitals publish as prototypes.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.wire import FloatMatrix

_ROUNDS: Final = 8
_TRAINED_ON: Final = 8_192
_SEED: Final = 0
_NOTHING: Final = 1e-9


def weighted_k_means(vectors: FloatMatrix, weights: npt.NDArray[np.floating], number: int) -> FloatMatrix:
    """Unit centres float32 (at most `number`, dimension). The same vectors always give the same centres."""
    lengths = np.linalg.norm(vectors, axis=1)
    some = np.flatnonzero(lengths > _NOTHING)
    number = min(number, len(some))
    if not number:
        return np.zeros((0, vectors.shape[1]), dtype=np.float32)
    random = np.random.default_rng(_SEED)
    if len(some) > max(_TRAINED_ON, number):
        some = np.sort(random.choice(some, size=max(_TRAINED_ON, number), replace=False))
    rows, kept = vectors[some] / lengths[some, None], weights[some].astype(np.float64)
    centres = rows[random.choice(len(rows), size=number, replace=False, p=kept / kept.sum())]
    groups = np.argmax(rows @ centres.T, axis=1)
    for _ in range(_ROUNDS):
        centres = _means(rows, kept, groups, centres)
        moved = np.argmax(rows @ centres.T, axis=1)
        if (moved == groups).all():
            break
        groups = moved
    return np.ascontiguousarray(centres, dtype=np.float32)


def _means(
    rows: FloatMatrix, weights: npt.NDArray[np.float64], groups: npt.NDArray[np.int64], centres: FloatMatrix
) -> FloatMatrix:
    """Unit means of the groups; one that lost all its members stays where it was."""
    order = np.argsort(groups, kind="stable")
    present, starts = np.unique(groups[order], return_index=True)
    sums = np.add.reduceat(rows[order] * weights[order, None], starts, axis=0)
    lengths = np.linalg.norm(sums, axis=1)
    made = centres.copy()
    made[present[lengths > _NOTHING]] = sums[lengths > _NOTHING] / lengths[lengths > _NOTHING, None]
    return made
