"""A laid-out corpus with its questions: who holds what, and how much of each question's answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedrag.core.wire import FloatMatrix
from fedrag.evaluation.splits import Document


@dataclass(frozen=True, slots=True)
class Query:
    """Queries of one `group` share an answer: they are never on both sides of a fold. Empty: a group of its own."""

    id: str
    text: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Corpus:
    """`vectors` (documents, dimension) and `asked` (queries, dimension) hold unit vectors; `grades[query][document]`
    gains, above 0 is relevant. Judgements know a document by what it stands for."""

    documents: tuple[Document, ...]
    vectors: FloatMatrix
    queries: tuple[Query, ...]
    asked: FloatMatrix
    grades: Mapping[str, Mapping[str, int]]

    @property
    def owners(self) -> list[str]:
        """Of every document, as node ids are written."""
        return [node_id(document.node) for document in self.documents]

    def relevance(self) -> list[dict[str, float]]:
        """Of every query: node → relevant documents it holds; one that n nodes hold counts 1/n for each."""
        held: dict[str, list[str]] = {}
        for document, owner in zip(self.documents, self.owners, strict=True):
            held.setdefault(document.stands_for, []).append(owner)
        return [self._held(query, held) for query in self.queries]

    def _held(self, query: Query, held: Mapping[str, Sequence[str]]) -> dict[str, float]:
        sums: dict[str, float] = {}
        for document, grade in self.grades.get(query.id, {}).items():
            for owner in held.get(document, ()) if grade > 0 else ():
                sums[owner] = sums.get(owner, 0.0) + 1 / len(held[document])
        return sums


def node_id(name: str) -> str:
    """A source's name as a node id."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower())


def originals(ranking: Sequence[str], stands_for: Mapping[str, str]) -> list[str]:
    """A ranking as judgements see it: each original once, where its first copy stands."""
    return list(dict.fromkeys(stands_for[document] for document in ranking))
