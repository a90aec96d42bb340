"""What bounds a router: whom a regression would ask that has all outcomes, and data that may not leave hospitals, in
one place.

Logistic regression of usefulness on what can be computed of a question and a hospital, fitted to the other folds'
questions put to everybody. Each level knows what the one before knows, too:

    descriptions    the kernel's shares at several widths, expected counts, the nearest prototype
    outcomes        which hospital, and how useful it was to the nearest questions of other folds
    terms           how its documents' term frequencies, all of them in the clear, differ from everybody's
    search          its best passage, and its share of the first ten and fifty: what asking it would tell

The first two are what a router can have. What the third adds is what rare terms tell, which is why they are not
published; the fourth is no router at all, but shows how much of the distance to an oracle is luck of the judgements.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedrag.core.collection import CollectionDescription
from fedrag.core.errors import MissingExtra
from fedrag.core.wire import FloatMatrix
from fedrag.evaluation.corpus import Corpus
from retriever_node.terms import terms_of
from router.expectation import expected_counts, stack
from router.likeness import Likeness

LEVELS: Final = ("descriptions", "outcomes", "terms", "search")
WIDTHS: Final = (0.01, 0.015, 0.02, 0.03, 0.05, 0.1)
EXPECTED: Final = (10, 50)
NEIGHBOURS: Final = 20
SHRUNK: Final = 2.0
"""Questions' worth of the mean that neighbours' usefulness starts from, and documents' worth of a hospital's size that
its share of a term does."""
_NOTHING: Final = 1e-6

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Known:
    """Features float64 (questions, hospitals, features) of each level but outcomes; `useful` float64 (questions,
    hospitals)."""

    descriptions: Doubles
    terms: Doubles
    search: Doubles
    useful: Doubles
    asked: FloatMatrix
    folds: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        described: Sequence[CollectionDescription],
        useful: Doubles,
        folds: npt.NDArray[np.int64],
    ) -> "Known":
        """`described`: one collection of every hospital, by name."""
        owner = np.searchsorted([one.node for one in described], corpus.owners)
        return cls(
            _described(corpus.asked, described),
            _terms(corpus, owner),
            _search(corpus, owner),
            useful,
            corpus.asked,
            folds,
        )

    def features(self, level: str, fold: int) -> Doubles:
        """Of every question, with what questions of neither its own fold nor this one tell."""
        known = LEVELS.index(level)
        parts = [self.descriptions]
        if known >= LEVELS.index("outcomes"):
            hospitals = np.eye(self.useful.shape[1])
            parts += [
                self._neighbours(fold)[..., None],
                np.broadcast_to(hospitals, (len(self.useful), *hospitals.shape)),
            ]
        parts += [self.terms] * (known >= LEVELS.index("terms")) + [self.search] * (known >= LEVELS.index("search"))
        features = np.concatenate(parts, axis=-1)
        return np.concatenate([features, features - features.max(axis=1, keepdims=True)], axis=-1)

    def _neighbours(self, fold: int) -> Doubles:
        """Logarithm of how often each hospital was of use to the nearest questions."""
        near = np.zeros_like(self.useful)
        for own in np.unique(self.folds):
            now, past = np.flatnonzero(self.folds == own), np.flatnonzero((self.folds != own) & (self.folds != fold))
            nearest = np.argsort(-(self.asked[now] @ self.asked[past].T), axis=1, kind="stable")[:, :NEIGHBOURS]
            prior = self.useful[past].mean(axis=0)
            near[now] = (self.useful[past][nearest].sum(axis=1) + SHRUNK * prior) / (nearest.shape[1] + SHRUNK)
        return np.log(near + _NOTHING)


def fitted(known: Known, fold: int) -> dict[str, Doubles]:
    """Per level, P(useful) of every question and hospital, from the questions that are not in this fold. Raises
    MissingExtra without the extra `evaluation`."""
    try:
        from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
        from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
        from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("this bound needs scikit-learn: pip install 'fedrag[evaluation]'") from error
    past, made = known.folds != fold, {}
    for level in LEVELS:
        features = known.features(level, fold)
        rows, labels = features[past].reshape(-1, features.shape[-1]), known.useful[past].ravel() > 0
        if labels.all() or not labels.any():
            return {}
        model: Any = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=3000)).fit(rows, labels)
        probabilities = model.predict_proba(features.reshape(-1, features.shape[-1]))[:, 1]
        made[level] = np.asarray(probabilities, dtype=np.float64).reshape(known.useful.shape)
    return made


def _described(asked: FloatMatrix, described: Sequence[CollectionDescription]) -> Doubles:
    means = described[0].encoder.comparable_with
    published = stack(described, means, asked.shape[1])
    columns = []
    for width in WIDTHS:
        likeness = Likeness.of(published, width)
        columns.append(_log(np.stack([likeness.read(query, width).shares for query in asked])))
    columns += [_log(np.stack([expected_counts(query, published, n) / n for query in asked])) for n in EXPECTED]
    nearest = np.full((len(asked), len(described)), -1.0)
    similarities = asked @ published.vectors.T
    for at in range(len(described)):
        own = similarities[:, published.owners == at]
        nearest[:, at] = own.max(axis=1) if own.size else -1.0
    return np.stack([*columns, nearest], axis=-1)


def _terms(corpus: Corpus, owner: npt.NDArray[np.int64]) -> Doubles:
    """Σ over the question's terms: rarity · log(the hospital's share of the documents with it / of all)."""
    hospitals = int(owner.max()) + 1
    held: dict[str, Counter[int]] = {}
    for document, at in zip(corpus.documents, owner.tolist(), strict=True):
        for term in {*terms_of(document.title), *terms_of(document.text)}:
            held.setdefault(term, Counter())[at] += 1
    sizes = np.bincount(owner, minlength=hospitals) / len(owner)
    made = np.zeros((len(corpus.queries), hospitals, 1))
    for row, query in enumerate(corpus.queries):
        for counts in (held[term] for term in set(terms_of(query.text)) if term in held):
            number = np.array([counts[at] for at in range(hospitals)], dtype=np.float64)
            rarity = np.log((len(owner) + 1) / (number.sum() + 0.5))
            made[row, :, 0] += rarity * np.log((number + SHRUNK * sizes) / (number.sum() + SHRUNK) / sizes)
    return made


def _search(corpus: Corpus, owner: npt.NDArray[np.int64]) -> Doubles:
    hospitals = int(owner.max()) + 1
    made = np.zeros((len(corpus.queries), hospitals, 3))
    for row, query in enumerate(corpus.asked):
        similarity = corpus.vectors @ query
        best = np.full(hospitals, -1.0)
        np.maximum.at(best, owner, similarity)
        order = np.argsort(-similarity, kind="stable")
        shares = [np.bincount(owner[order[:n]], minlength=hospitals) / n for n in EXPECTED]
        made[row] = np.stack([best, *shares], axis=-1)
    return made


def _log(shares: Doubles) -> Doubles:
    logarithms: Doubles = np.log(np.maximum(shares, _NOTHING))
    return logarithms
