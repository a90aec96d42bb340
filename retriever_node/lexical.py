"""Lexical search over raw term frequencies: BM25F with statistics that are handed in, as a share of the most possible.

    tf(t)   = TITLE_WEIGHT · tf in title and section + tf in text         (Robertson, Zaragoza and Taylor 2004)
    idf(t)  = ln(1 + (N − df(t) + ½) / (df(t) + ½))                       (Lucene's variant)
    words   = Σ idf(t) · tf(t) / (tf(t) + k₁ (1 − b + b · length / mean length))  /  Σ idf(t)

over the terms t of the question, repetitions counted. The quotient lies in [0, 1): how much of the question's
information the passage's words carry. Terms that no passage holds count in the divisor, which keeps the scores of two
hospitals comparable although each uses statistics of its own: on MedQuAD's nine sources, fused with vectors, nDCG@10 is
.394 with own and .395 with shared statistics, where merging undivided BM25 of own statistics loses up to a third.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.errors import IntegrityError
from fedrag.core.wire import FloatVector

K1: Final = 1.2
B: Final = 0.75
TITLE_WEIGHT: Final = 2

_VOCABULARY: Final = "terms.txt"
_ARRAYS: Final = ("starts", "rows", "titles", "texts", "lengths")

Terms = Sequence[str]


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """Of the passages that statistics were taken of, one collection's or a whole federation's. `length` is the sum of
    their weighted lengths, `frequencies[term]` in how many of them a term stands. Where only some terms were counted,
    those of a public list, `beyond` has in which share of its own passages another one stands."""

    passages: int
    length: int
    frequencies: Mapping[str, int]
    beyond: "TermStatistics | None" = None

    def information(self, term: str) -> float:
        """idf; above 0 for every term."""
        held: float = min(self.frequencies.get(term, 0), self.passages)
        if self.beyond is not None and term not in self.frequencies:
            held = self.beyond.share(term) * self.passages
        return math.log1p((self.passages - held + 0.5) / (held + 0.5))

    def share(self, term: str) -> float:
        """Of its passages, those that hold the term; in [0, 1]."""
        return min(1.0, self.frequencies.get(term, 0) / self.passages) if self.passages else 0.0

    def mean_length(self) -> float:
        return self.length / self.passages if self.passages and self.length else 1.0


class TermIndex:
    """Raw term frequencies of passages, title and text apart, by term.

    Of term number j, `rows[starts[j] : starts[j + 1]]` are the passages that hold it, in order; `titles` and `texts`
    say how often.
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        starts: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int32],
        titles: npt.NDArray[np.uint16],
        texts: npt.NDArray[np.uint16],
        lengths: npt.NDArray[np.int32],
    ) -> None:
        self._vocabulary = vocabulary
        self._starts, self._rows, self._titles, self._texts = starts, rows, titles, texts
        self._lengths = lengths

    @classmethod
    def build(cls, passages: Iterable[tuple[Terms, Terms]]) -> "TermIndex":
        """Of each passage the terms of its title and section, and those of its text."""
        vocabulary: dict[str, int] = {}
        numbers, sizes = (array("q"), array("q")), (array("q"), array("q"))
        for fields in passages:
            for terms, known, size in zip(fields, numbers, sizes, strict=True):
                known.extend([vocabulary.setdefault(term, len(vocabulary)) for term in terms])
                size.append(len(terms))
        title_terms, text_terms = (np.array(known, dtype=np.int64) for known in numbers)
        title_sizes, text_sizes = (np.array(size, dtype=np.int64) for size in sizes)
        title_rows, text_rows = (np.repeat(np.arange(len(size)), size) for size in (title_sizes, text_sizes))
        rows = max(1, len(text_sizes))
        found, counts = np.unique(
            np.concatenate([title_terms * rows + title_rows, text_terms * rows + text_rows]), return_inverse=True
        )
        in_titles = np.bincount(counts[: len(title_terms)], minlength=len(found))
        in_texts = np.bincount(counts[len(title_terms) :], minlength=len(found))
        starts = np.searchsorted(found // rows, np.arange(len(vocabulary) + 1))
        return cls(
            vocabulary,
            starts.astype(np.int64),
            (found % rows).astype(np.int32),
            np.minimum(in_titles, 65_535).astype(np.uint16),
            np.minimum(in_texts, 65_535).astype(np.uint16),
            (TITLE_WEIGHT * title_sizes + text_sizes).astype(np.int32),
        )

    def save(self, folder: Path) -> None:
        (folder / _VOCABULARY).write_text("\n".join(self._vocabulary), encoding="utf-8")
        arrays = (self._starts, self._rows, self._titles, self._texts, self._lengths)
        for name, values in zip(_ARRAYS, arrays, strict=True):
            np.save(folder / f"terms-{name}.npy", np.asarray(values), allow_pickle=False)

    @staticmethod
    def saved(folder: Path) -> bool:
        return (folder / _VOCABULARY).exists()

    @classmethod
    def load(cls, folder: Path) -> "TermIndex":
        """What was saved, memory-mapped. Raises OSError or IntegrityError."""
        written = (folder / _VOCABULARY).read_text(encoding="utf-8")
        terms = written.split("\n") if written else []
        try:
            arrays = [np.load(folder / f"terms-{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS]
        except ValueError:
            raise IntegrityError("a saved term index is damaged") from None
        starts, rows, titles, texts, lengths = (np.asarray(values) for values in arrays)
        if len(starts) != len(terms) + 1 or not len(rows) == len(titles) == len(texts) == starts[-1]:
            raise IntegrityError("a saved term index does not fit together")
        return cls({term: number for number, term in enumerate(terms)}, starts, rows, titles, texts, lengths)

    def __len__(self) -> int:
        return len(self._lengths)

    def statistics(self) -> TermStatistics:
        """Its own."""
        frequencies = np.diff(self._starts)
        return TermStatistics(
            passages=len(self),
            length=int(self._lengths.sum()),
            frequencies={term: int(frequencies[number]) for term, number in self._vocabulary.items()},
        )

    def scored_with(self, statistics: TermStatistics) -> "ScoredTerms":
        """What does not depend on the question, computed once for these statistics."""
        frequency = TITLE_WEIGHT * self._titles.astype(np.float64) + self._texts
        lengths = self._lengths[self._rows] / statistics.mean_length()
        shares = (frequency / (frequency + K1 * (1 - B + B * lengths))).astype(np.float32)
        return ScoredTerms(statistics, self._vocabulary, self._starts, self._rows, shares, len(self))


@dataclass(frozen=True, slots=True)
class ScoredTerms:
    """A `TermIndex` under fixed statistics: `shares` is the quotient of each term's frequency in each of its rows."""

    statistics: TermStatistics
    vocabulary: Mapping[str, int]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    shares: FloatVector
    passages: int

    def score(self, question: Terms) -> FloatVector:
        """`words` of every passage, float32 (passages,); all 0 for a question without terms."""
        scores = np.zeros(self.passages, dtype=np.float64)
        weights = {term: count * self.statistics.information(term) for term, count in Counter(question).items()}
        for term, weight in weights.items():
            number = self.vocabulary.get(term)
            if number is not None:
                held = slice(self.starts[number], self.starts[number + 1])
                scores[self.rows[held]] += weight * self.shares[held]
        result: FloatVector = (scores / (sum(weights.values()) or 1.0)).astype(np.float32)
        return result


def words(question: Terms, title: Terms, text: Terms, statistics: TermStatistics) -> float:
    """Of one passage that no index holds."""
    return float(TermIndex.build([(title, text)]).scored_with(statistics).score(question)[0])
