"""BM25 over everything in one place (Lucene's variant; k1 1.2, b 0.75, English stop words, Snowball stemmer)."""

from collections.abc import Sequence

from fedrag.core.errors import MissingExtra


class CentralBM25:
    """Raises MissingExtra without the extra `evaluation`."""

    def __init__(self, texts: Sequence[str]) -> None:
        try:
            import bm25s
            import Stemmer
        except ImportError as error:
            raise MissingExtra("this baseline needs bm25s: pip install 'fedrag[evaluation]'") from error
        self._bm25s = bm25s
        self._stemmer = Stemmer.Stemmer("english")
        self._index = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
        self._index.index(self._tokens(texts), show_progress=False)
        self._size = len(texts)

    def search(self, query: str, k: int) -> tuple[int, ...]:
        """Positions of the k best texts, best first."""
        return tuple(position for position, _ in self.scored(query, k))

    def scored(self, query: str, k: int) -> tuple[tuple[int, float], ...]:
        """(position, score) of the k best texts, best first."""
        found, scores = self._index.retrieve(self._tokens([query]), k=min(k, self._size), show_progress=False)
        return tuple((int(position), float(score)) for position, score in zip(found[0], scores[0], strict=True))

    def _tokens(self, texts: Sequence[str]) -> object:
        return self._bm25s.tokenize(list(texts), stopwords="en", stemmer=self._stemmer, show_progress=False)
