"""How documents are laid out over hospitals: as the sources have them, by topic and skew, or with planted copies.

* None: the data set's own owners (by source).
* `random`: each document at a random hospital: a federation of like hospitals.
* `dirichlet-A`, A = 0.1, 1, 10, …: 32 topics (k-means of the vectors); of each topic hospital j gets a share drawn from
  Dirichlet(A). A small A gives every topic to few hospitals (Yurochkin et al. 2019; Hsu et al. 2019).
* `duplicates`: the data set's own owners, and a tenth of the documents again at another hospital, with a line added.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fedrag.core.errors import InputError, MissingExtra
from fedrag.core.wire import FloatMatrix

TOPICS: Final = 32
COPIED_SHARE: Final = 0.1
_LINE: Final = " Reviewed by the editorial board."


@dataclass(frozen=True, slots=True)
class Document:
    """Words are looked for in title and text, `embedded` is encoded; `stands_for` is the id that judgements know it
    by."""

    id: str
    node: str
    title: str
    text: str
    embedded: str
    stands_for: str

    @property
    def lexical(self) -> str:
        return f"{self.title} {self.text}".strip()


def lay_out(
    documents: Sequence[Document], vectors: FloatMatrix, split: str | None, nodes: int | None, seed: int
) -> tuple[tuple[Document, ...], FloatMatrix]:
    """The documents with their hospitals, and their vectors. `nodes`: how many; the data set's own number when None.

    A copy has the vector of its original: its added line says nothing.
    Raises InputError(unknown_split).
    """
    random = np.random.default_rng(seed)
    if split is None and nodes is None:
        return tuple(documents), vectors
    number = nodes or len({document.node for document in documents})
    names = [f"hospital-{at:04d}" for at in range(number)]
    if split in (None, "random"):
        owners = random.integers(0, number, len(documents))
        return tuple(replace(one, node=names[at]) for one, at in zip(documents, owners, strict=True)), vectors
    skew = re.fullmatch(r"dirichlet-(\d+(?:\.\d+)?)", split)
    if skew and float(skew[1]) > 0:
        topical = _by_topic(vectors, number, float(skew[1]), random, seed)
        return tuple(replace(one, node=names[at]) for one, at in zip(documents, topical, strict=True)), vectors
    if split == "duplicates" and nodes is None:
        return _with_copies(documents, vectors, random)
    raise InputError(
        f"no split {split!r} with {nodes or 'its own'} hospitals; there are random, dirichlet-A, duplicates",
        code="unknown_split",
    )


def _by_topic(vectors: FloatMatrix, number: int, skew: float, random: np.random.Generator, seed: int) -> list[int]:
    try:
        from sklearn.cluster import MiniBatchKMeans  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("this split needs scikit-learn: pip install 'fedrag[evaluation]'") from error
    topics = MiniBatchKMeans(min(TOPICS, len(vectors)), random_state=seed, n_init=1).fit_predict(vectors)
    owners = np.zeros(len(vectors), dtype=np.int64)
    for topic in np.unique(topics):
        members = np.flatnonzero(topics == topic)
        owners[members] = random.choice(number, size=len(members), p=random.dirichlet(np.full(number, skew)))
    return [int(owner) for owner in owners]


def _with_copies(
    documents: Sequence[Document], vectors: FloatMatrix, random: np.random.Generator
) -> tuple[tuple[Document, ...], FloatMatrix]:
    names = sorted({document.node for document in documents})
    chosen = random.choice(len(documents), size=int(COPIED_SHARE * len(documents)), replace=False)
    copies = []
    for at in chosen:
        original = documents[at]
        others = [name for name in names if name != original.node] or names
        copies.append(
            replace(
                original,
                id=f"{original.id}~copy",
                node=others[int(random.integers(len(others)))],
                text=original.text + _LINE,
            )
        )
    return (*documents, *copies), np.concatenate([vectors, vectors[chosen]])
