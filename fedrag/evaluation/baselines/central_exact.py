"""One central exact index over every hospital's vectors: what federation must not lose against."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix, FloatVector
from retriever_node.documents import Passage
from retriever_node.store import PassageStore


@dataclass(frozen=True, slots=True)
class CentralExact:
    """`owners[i]` names the hospital of row i, `passages[i]` is its passage."""

    vectors: FloatMatrix
    owners: tuple[str, ...]
    passages: tuple[Passage, ...]

    @classmethod
    def over(cls, stores: Sequence[tuple[str, Path]], encoder: Encoder) -> "CentralExact":
        """Copies what the nodes stored, (hospital, passages file): possible here, never in production."""
        matrices: list[FloatMatrix] = []
        owners: list[str] = []
        passages: list[Passage] = []
        for owner, path in stores:
            store = PassageStore.open(path, encoder.identity)
            for collection in store.collections():
                ids, vectors = store.vectors(collection)
                found = {passage.passage_id: passage for passage in store.passages([int(one) for one in ids])}
                matrices.append(vectors)
                passages += [found[int(one)] for one in ids]
                owners += [owner] * len(ids)
            store.close()
        return cls(np.concatenate(matrices), tuple(owners), tuple(passages))

    def similarities(self, query: FloatVector) -> FloatVector:
        """Of every row, float32; summed in float64 row by row, so that equal rows are equal whatever stands around."""
        sums = np.einsum("rd,d->r", self.vectors.astype(np.float64), query.astype(np.float64))
        result: FloatVector = sums.astype(np.float32)
        return result
