"""What several parties learned of whom to ask, added up without any of them showing its own counts.

    cells    of the prototypes that hospitals publish: the same for all, and no question of anybody is in them
    counts   asked, expected and useful by cell and hospital, of a party's own questions, as whole numbers
    sum      over the parties, under a mask (`fedrag.privacy.masked_sums`): one round, and the sum alone is learned

The two passes of federated k-means (Federate-the-Router) with the first made already by what hospitals describe. A
party's counts are scaled down to MOST questions, so that none outweighs the others by asking more. What a masked sum
does not do, this does not either: a party that lies in its counts is bounded, not found.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from fedrag.core.errors import ProtocolError
from fedrag.core.masked_sums import Numbers
from fedrag.core.wire import FloatMatrix, NodeId
from router.learning import Learned

UNIT: Final = 1_000
"""Of a count: what is below a thousandth of a question is rounded away."""
MOST: Final = 10_000
"""Questions of one party that count."""
TABLES: Final = 3


def counts_of(learned: Learned, nodes: Sequence[NodeId]) -> Numbers:
    """A party's counts as it masks them, uint64 (3 · cells · nodes,): of these hospitals, in this order."""
    column = {node: at for at, node in enumerate(learned.nodes)}
    known = [at for at, node in enumerate(nodes) if node in column]
    counts = np.zeros((TABLES, len(learned.centres), len(nodes)))
    for table, held in zip(counts, (learned.asked, learned.expected, learned.useful), strict=True):
        table[:, known] = held[:, [column[nodes[at]] for at in known]]
    most = counts[0].sum(axis=0).max(initial=0.0)
    scaled = np.rint(UNIT * counts * min(1.0, MOST / most if most else 1.0))
    return scaled.astype(np.uint64).ravel()


def learned_from(
    total: Numbers, parties: int, comparable_with: str, centres: FloatMatrix, nodes: Sequence[NodeId]
) -> Learned:
    """The inverse, of a sum over this many parties. Raises ProtocolError (`implausible_counts`) where it cannot be one:
    of another length, more than the parties may count together, or more useful than asked."""
    shape = (TABLES, len(centres), len(nodes))
    if total.size != int(np.prod(shape)) or (total.size and int(total.max()) > parties * (MOST + 1) * UNIT):
        raise ProtocolError("the sum cannot be one of these parties' counts", code="implausible_counts")
    asked, expected, useful = total.reshape(shape).astype(np.float64) / UNIT
    if ((useful > asked + parties) | (expected > asked + parties)).any():
        raise ProtocolError("more was useful than was asked", code="implausible_counts")
    return Learned(comparable_with, centres, tuple(nodes), asked, expected, useful, len(centres))
