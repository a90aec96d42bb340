"""Ways to choose nodes that learn nothing of the question: popularity prior and constant sets, and the oracle.

`relevance[q][node]` is how much of question q's answer a node holds (the number of its relevant documents, or a graded
relevance); what is learned is learned from the questions handed in, never from the one that is asked.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

Relevance = Mapping[str, float]


def popularity_prior(training: Sequence[Relevance], nodes: Sequence[str]) -> tuple[str, ...]:
    """Nodes by mean relevance over the training questions, best first, ties by name; the same for every question."""
    total = {node: sum(one.get(node, 0.0) for one in training) for node in nodes}
    return tuple(sorted(nodes, key=lambda node: (-total[node], node)))


def constant_set(training: Sequence[Relevance], nodes: Sequence[str], size: int) -> tuple[str, ...]:
    """The set of `size` nodes that holds the largest mean share of a training question's relevance."""

    def held(chosen: Sequence[str]) -> float:
        totals = [(sum(one.values()), one) for one in training]
        return sum(sum(one.get(node, 0.0) for node in chosen) / total for total, one in totals if total > 0)

    return max(combinations(sorted(nodes), min(size, len(nodes))), key=held)


def largest(sizes: Mapping[str, int]) -> tuple[str, ...]:
    """Nodes by their number of documents, largest first, ties by name."""
    return tuple(sorted(sizes, key=lambda node: (-sizes[node], node)))


def holders(relevance: Relevance) -> tuple[str, ...]:
    """The oracle of the data set: every node that holds something relevant, most first."""
    return tuple(
        sorted((node for node, held in relevance.items() if held > 0), key=lambda node: (-relevance[node], node))
    )


def fewest(relevance: Relevance, recall: Callable[[tuple[str, ...]], float], wanted: float) -> tuple[str, ...]:
    """The oracle of a retriever: the smallest set of nodes with at least the `wanted` recall, the first such by name.
    `recall` is that of the set's own merged result. () where nothing is wanted."""
    candidates = sorted(holders(relevance))
    if wanted <= 0:
        return ()
    for size in range(1, len(candidates) + 1):
        for chosen in combinations(candidates, size):
            if recall(chosen) >= wanted:
                return chosen
    return tuple(candidates)
