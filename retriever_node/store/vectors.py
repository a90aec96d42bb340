"""The vectors of a collection, as indexes are built from them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedrag.core.errors import IntegrityError
from fedrag.core.wire import FloatMatrix
from retriever_node.store.database import Database


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """All vectors of one collection at one generation, ordered by document id and offset whatever the order of
    ingestion. `documents` is an integer per row, equal for passages of one document."""

    generation: int
    ids: npt.NDArray[np.int64]
    documents: npt.NDArray[np.int64]
    vectors: FloatMatrix


def stored_vectors(database: Database, collection: str, dimension: int) -> StoredVectors:
    with database.snapshot() as connection:
        row = connection.execute("SELECT generation FROM collections WHERE collection = ?", (collection,)).fetchone()
        rows = connection.execute(
            "SELECT passage_id, document, vector FROM documents JOIN passages USING (document)"
            " JOIN vectors USING (passage_id) WHERE collection = ? ORDER BY document_id, start, passage_id",
            (collection,),
        ).fetchall()
    raw = b"".join(row[2] for row in rows)
    if len(raw) != len(rows) * dimension * 4:
        raise IntegrityError("stored vectors do not have the encoder's dimension", code="corrupt_store")
    return StoredVectors(
        generation=int(row[0]) if row else 0,
        ids=np.array([row[0] for row in rows], dtype=np.int64),
        documents=np.array([row[1] for row in rows], dtype=np.int64),
        vectors=np.frombuffer(raw, dtype="<f4").reshape(len(rows), dimension),
    )
