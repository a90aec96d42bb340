"""BM25 at every node with the node's own statistics: the scores of two nodes mean different things."""

from collections.abc import Sequence

from fedrag.evaluation.baselines.central_bm25 import CentralBM25
from fedrag.evaluation.baselines.merging import Lists


class NodeBM25:
    """`owners[i]` holds document `ids[i]` with `texts[i]`."""

    def __init__(self, owners: Sequence[str], ids: Sequence[str], texts: Sequence[str]) -> None:
        self._rows = {node: [at for at, owner in enumerate(owners) if owner == node] for node in sorted(set(owners))}
        self._ids = ids
        self._indexes = {node: CentralBM25([texts[at] for at in rows]) for node, rows in self._rows.items()}

    def search(self, query: str, k: int) -> Lists:
        """The k best of every node with their scores; documents that share no word with the query are not returned."""
        return {
            node: [
                (self._ids[self._rows[node][position]], score)
                for position, score in index.scored(query, k)
                if score > 0
            ]
            for node, index in self._indexes.items()
        }
