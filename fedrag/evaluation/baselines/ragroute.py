"""RAGRoute's router as its paper describes it (Guerraoui et al. 2025), not its code.

A multi-layer perceptron (256, 128, one logit) on [query vector ‖ centroid of the source ‖ one-hot of the source],
standardised; a source is positive when it holds one of the k best documents of a *central* search, so its training
sees what federation is meant to keep apart. A source is asked where the probability exceeds one half; where none
does, nobody is asked. Merging is by raw score.

Different here: ReLU and Adam as published, but no layer normalisation or drop-out, and early stopping on a tenth of the
training questions instead of a schedule of 150 epochs.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from fedrag.core.errors import MissingExtra
from fedrag.core.wire import FloatMatrix, FloatVector

THRESHOLD: Final = 0.5


class RagRoute:
    """`centroids` (nodes, dimension) in the order of `nodes`; `holds[i]` are the nodes of training query i that hold
    one of its best documents. Raises MissingExtra without the extra `evaluation`."""

    def __init__(
        self,
        queries: FloatMatrix,
        holds: Sequence[frozenset[str]],
        nodes: Sequence[str],
        centroids: FloatMatrix,
        seed: int,
    ) -> None:
        try:
            from sklearn.neural_network import MLPClassifier  # type: ignore[import-untyped]
            from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]
            from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
        except ImportError as error:
            raise MissingExtra("this baseline needs scikit-learn: pip install 'fedrag[evaluation]'") from error
        self._nodes = tuple(nodes)
        self._sources = np.concatenate([centroids, np.eye(len(nodes), dtype=np.float32)], axis=1)
        features = np.concatenate([self._features(query) for query in queries])
        labels = np.array([node in held for held in holds for node in nodes])
        self._scaler = StandardScaler().fit(features)
        self._model = MLPClassifier(
            (256, 128),
            batch_size=min(128, len(labels) * 9 // 10),
            alpha=1e-5,
            max_iter=40,
            early_stopping=True,
            n_iter_no_change=5,
            random_state=seed,
        )
        with threadpool_limits(1):  # matrices are small: threads cost more than they save
            self._model.fit(self._scaler.transform(features), labels)

    def probabilities(self, query: FloatVector) -> Mapping[str, float]:
        made = self._model.predict_proba(self._scaler.transform(self._features(query)))
        return dict(zip(self._nodes, made[:, list(self._model.classes_).index(True)].tolist(), strict=True))

    def ranking(self, query: FloatVector) -> tuple[str, ...]:
        """Nodes, most probable first, ties by name."""
        scores = self.probabilities(query)
        return tuple(sorted(scores, key=lambda node: (-scores[node], node)))

    def selected(self, query: FloatVector) -> tuple[str, ...]:
        return tuple(node for node, probability in self.probabilities(query).items() if probability > THRESHOLD)

    def _features(self, query: FloatVector) -> FloatMatrix:
        repeated = np.repeat(query[None, :], len(self._nodes), axis=0)
        return np.concatenate([repeated, self._sources], axis=1).astype(np.float32)
