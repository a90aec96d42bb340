"""Text to terms: what BM25 counts. Lower-cased words of two characters or more, without stop words, stemmed.

Porter's second English stemmer and Lucene's list of English stop words. Words of other languages pass as they are,
apart from endings that look English.
"""

import hashlib
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import Stemmer

from retriever_node.documents import Passage
from retriever_node.passages import title_line

RECIPE: Final = "english-1"
"""Change it when the terms of a text change: statistics of two recipes are never added or compared."""

_WORD: Final = re.compile(r"\w\w+")
_STOP_WORDS: Final = """a an and are as at be but by for if in into is it no not of on or such that the their then there
these they this to was will with"""
_STOP: Final = frozenset(_STOP_WORDS.split())
_OF_THREAD: Final = threading.local()


def terms_of(text: str) -> list[str]:
    """In order, with repetitions."""
    words = [word for word in _WORD.findall(text.lower()) if word not in _STOP]
    stemmed: list[str] = _stemmer().stemWords(words)
    return stemmed


@dataclass(frozen=True, slots=True)
class PublicTerms:
    """The terms that hospitals count together, in order. Everyone knows the list: a count of a term that is on it tells
    how common the term is, never that somebody has a word which no list holds. `sha256` names list and recipe."""

    terms: tuple[str, ...]
    sha256: str

    @classmethod
    def of(cls, words: Iterable[str]) -> "PublicTerms":
        """Those of a list of words."""
        terms = tuple(sorted({term for word in words for term in terms_of(word)}))
        return cls(terms, hashlib.sha256("\n".join((RECIPE, *terms)).encode()).hexdigest())


def passage_terms(passage: Passage) -> tuple[list[str], list[str]]:
    """Those of its title and section, and those of its text."""
    return terms_of(title_line(passage)), terms_of(passage.text)


def _stemmer() -> Stemmer.Stemmer:
    """It keeps a cache of its own and is not safe to share."""
    if not hasattr(_OF_THREAD, "stemmer"):
        _OF_THREAD.stemmer = Stemmer.Stemmer("english")
    stemmer: Stemmer.Stemmer = _OF_THREAD.stemmer
    return stemmer
