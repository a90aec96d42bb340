"""Cutting a sequence into the fewest parts that are not too long, and those as equal as can be."""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


def equal_parts(filled: Positions, earliest: Positions) -> list[int]:
    """Of all ways to cut at borders 0, …, n into the fewest parts, the one with the least sum of squared weights; among
    equals the one whose last cut is latest, then the one before it.

    A part from border i to border j > i weighs filled[j] - filled[i] and may be made where i ≥ earliest[j]. Neither
    array falls, and earliest[j] < j. Returns the borders from 0 to n.

    Of P parts, border number c lies between the first from which the end is reached in P - c parts and the last that
    is reached in c parts. These stretches do not overlap: P small problems, one after the other, each in time that
    grows with the borders in it (`_best_begins`).
    """
    backwards = [len(filled) - 1]
    while backwards[-1] > 0:
        backwards.append(int(earliest[backwards[-1]]))
    lows, high = backwards[::-1], 0
    costs = [0]
    begins: list[npt.NDArray[np.int32]] = []
    for low, low_after in pairwise(lows):
        high_after = int(np.searchsorted(earliest, high, side="right")) - 1
        ends = slice(low_after, high_after + 1)
        first = (earliest[ends] - low).tolist()
        best, costs = _best_begins(filled[low : high + 1].tolist(), costs, filled[ends].tolist(), first)
        begins.append(np.array(best, dtype=np.int32))
        high = high_after
    cuts, at = [lows[-1]], 0
    for low, best_of in zip(reversed(lows[:-1]), reversed(begins), strict=True):
        at = int(best_of[at])
        cuts.append(low + at)
    return cuts[::-1]


def _best_begins(
    begins: Sequence[int], costs: Sequence[int], ends: Sequence[int], first: Sequence[int]
) -> tuple[list[int], list[int]]:
    """For each end e the number j ≥ first of the begin b with least costs[j] + (e - b)², the last of equals; and that
    cost.

    It is a line in e for each begin, (costs[j] + b²) - 2be, and the least of lines is their lower envelope. From the
    last end to the first, begins join it on the left and leave it on the right: one that is worse than its left
    neighbour stays so, as ends only become smaller.
    """
    best, cost = [0] * len(ends), [0] * len(ends)
    envelope: deque[tuple[int, int, int]] = deque()
    joined = len(begins)
    for number in range(len(ends) - 1, -1, -1):
        end = ends[number]
        while joined > first[number]:
            joined -= 1
            begin = begins[joined]
            height = costs[joined] + begin * begin
            if envelope and envelope[0][0] == begin:
                if envelope[0][1] <= height:
                    continue
                envelope.popleft()
            while len(envelope) > 1:
                (near, low, _), (far, lower, _) = envelope[0], envelope[1]
                if (low - height) * (far - near) < (lower - low) * (near - begin):
                    break
                envelope.popleft()
            envelope.appendleft((begin, height, joined))
        begin, height, best[number] = envelope[-1]
        value = height - 2 * begin * end
        while len(envelope) > 1:
            begin, height, other = envelope[-2]
            if height - 2 * begin * end >= value:
                break
            envelope.pop()
            value, best[number] = height - 2 * begin * end, other
        cost[number] = value + end * end
    return best, cost
