"""TF-IDF nearest neighbours: nodes by what helped the most similar questions of the past, with the prior.

score(node) = (Σ similarity · relevance + weight · prior) / (Σ similarity + weight) over the nearest training questions:
the classical lexical router that a learned one has to beat.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from fedrag.core.errors import MissingExtra
from fedrag.evaluation.baselines.node_choice import Relevance

NEIGHBOURS: Final = 20
PRIOR_WEIGHT: Final = 0.5


class TfidfNeighbours:
    """Raises MissingExtra without the extra `evaluation`."""

    def __init__(self, texts: Sequence[str], relevance: Sequence[Relevance], nodes: Sequence[str]) -> None:
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
        except ImportError as error:
            raise MissingExtra("this baseline needs scikit-learn: pip install 'fedrag[evaluation]'") from error
        self._nodes = tuple(nodes)
        self._vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english", ngram_range=(1, 2))
        self._rows = self._vectorizer.fit_transform(texts)
        self._relevance = np.array([[one.get(node, 0.0) for node in nodes] for one in relevance], dtype=np.float64)
        self._prior = self._relevance.mean(axis=0)

    def scores(self, text: str) -> Mapping[str, float]:
        similarity = (self._rows @ self._vectorizer.transform([text]).T).toarray()[:, 0]
        nearest = np.argsort(-similarity, kind="stable")[:NEIGHBOURS]
        weights = similarity[nearest]
        sums = weights @ self._relevance[nearest] + PRIOR_WEIGHT * self._prior
        return dict(zip(self._nodes, (sums / (weights.sum() + PRIOR_WEIGHT)).tolist(), strict=True))

    def ranking(self, text: str) -> tuple[str, ...]:
        """Nodes, best first, ties by name."""
        scores = self.scores(text)
        return tuple(sorted(scores, key=lambda node: (-scores[node], node)))
