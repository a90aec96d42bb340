"""CORI resource selection (Callan, Lu and Croft 1995): nodes as documents, their document frequencies as term counts.

T = df / (df + 50 + 150 · cw / mean cw), I = log((N + 0.5) / cf) / log(N + 1), belief = mean over query terms of
0.4 + 0.6 · T · I, with cw the node's words and cf the number of nodes that have the term. Needs every node's document
frequencies in the clear.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from fedrag.evaluation.metrics.word_overlap import content_words


class CoriSelection:
    """`owners[i]` holds `texts[i]`."""

    def __init__(self, owners: Sequence[str], texts: Sequence[str]) -> None:
        self._frequencies: dict[str, Counter[str]] = {owner: Counter() for owner in sorted(set(owners))}
        self._words: Counter[str] = Counter()
        for owner, text in zip(owners, texts, strict=True):
            self._frequencies[owner].update(content_words(text))
            self._words[owner] += len(text.split())
        self._holders = Counter(term for counts in self._frequencies.values() for term in counts)

    def scores(self, query: str) -> Mapping[str, float]:
        terms = sorted(content_words(query))
        number, mean_words = len(self._frequencies), self._words.total() / len(self._frequencies)
        scores = {}
        for node, counts in self._frequencies.items():
            length = 50 + 150 * self._words[node] / mean_words
            beliefs = [
                0.4
                + 0.6
                * (counts[term] / (counts[term] + length))
                * (math.log((number + 0.5) / self._holders[term]) / math.log(number + 1))
                for term in terms
                if self._holders[term]
            ]
            scores[node] = sum(beliefs) / len(beliefs) if beliefs else 0.4
        return scores
