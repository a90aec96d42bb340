"""What a generation of a collection is made of: passages in order, their vectors, their dates, their words."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedrag.core.question import PassageFilter
from fedrag.core.wire import FloatMatrix
from retriever_node.hybrid import PassageLookup, in_order
from retriever_node.lexical import TermIndex, Terms
from retriever_node.terms import passage_terms

UNDATED = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """`ids[position]` is the passage of row `position`, `dates[position]` the proleptic Gregorian ordinal of its
    effective date, or UNDATED; `terms` where words are searched for too."""

    ids: npt.NDArray[np.int64]
    vectors: FloatMatrix
    dates: npt.NDArray[np.int32]
    terms: TermIndex | None = None

    @classmethod
    def read(cls, ids: npt.NDArray[np.int64], vectors: FloatMatrix, lookup: PassageLookup, *, words: bool) -> "Rows":
        """A passage that has been forgotten meanwhile has neither date nor words."""
        dates = np.full(len(ids), UNDATED, dtype=np.int32)

        def terms() -> Iterator[tuple[Terms, Terms]]:
            for position, passage in enumerate(in_order(ids, lookup)):
                if passage is not None and passage.effective_date is not None:
                    dates[position] = passage.effective_date.toordinal()
                yield passage_terms(passage) if words and passage is not None else ((), ())

        read = TermIndex.build(terms())
        return cls(ids, vectors, dates, read if words else None)

    def passing(self, wanted: PassageFilter | None) -> npt.NDArray[np.bool_] | None:
        """Which rows pass the filter's dates, (rows,); None where it names none."""
        if wanted is None or (wanted.effective_from is None and wanted.effective_until is None):
            return None
        earliest = wanted.effective_from.toordinal() if wanted.effective_from else UNDATED + 1
        passed = self.dates >= earliest
        return passed & (self.dates <= wanted.effective_until.toordinal()) if wanted.effective_until else passed
