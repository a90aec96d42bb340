"""Of hospitals in order of their promise, how many are asked, and which."""

from math import ceil

import numpy as np
import numpy.typing as npt

from fedrag.core.wire import FloatVector

Doubles = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def fewest(promise: Doubles, coverage: float) -> int:
    """How many of the first hospitals hold the share `coverage` of all that is promised; `promise` does not rise. All
    of them when nothing is promised, for then nothing speaks against anybody."""
    covered = np.cumsum(promise)
    if not covered.size or covered[-1] <= 0:
        return int(covered.size)
    return min(int(np.searchsorted(covered, coverage * covered[-1] * (1 - 1e-12))) + 1, int(covered.size))


def under_cap(ranked: Positions, enough: int, cap: int, unknown: Flags, reserve: float) -> Positions:
    """The first `cap` of the `enough` hospitals wanted, in their order. Of the places `reserve`, rounded up, are kept
    for unknown ones; a cap of 1 keeps none."""
    wanted = ranked[:enough]
    if enough <= cap:
        return wanted
    places = ceil(reserve * cap) if cap > 1 else 0
    kept = wanted[unknown[wanted]][:places]
    others = wanted[~np.isin(wanted, kept)][: max(0, cap - len(kept))]
    return wanted[np.isin(wanted, np.concatenate((others, kept)))]


def in_turn(number: int, turn: int) -> Positions:
    """Positions 0 to `number` - 1, beginning somewhere else for every turn: an order for those that tie."""
    return np.roll(np.arange(number), -(turn % number)) if number else np.arange(0)


def turn_of(query: FloatVector) -> int:
    """A number that looks drawn at random and is the same for the same question."""
    folded = np.bitwise_xor.reduce(query.view(np.uint32) * np.arange(1, 2 * query.size, 2, dtype=np.uint32))
    return int(folded) * 2654435761 % 2**32
