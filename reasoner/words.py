"""Words of a statement, as far as they can be compared without a model."""

import re
import threading
from collections.abc import Iterable
from typing import Final

import Stemmer

_WORD: Final = re.compile(r"[a-zà-ÿ]+(?:['’][a-z]+)?|\d+(?:[.,]\d+)*", re.IGNORECASE)
_STOP_WORDS: Final = (
    "a about above after again all also am an and any are as at be been before being below between both but by can "
    "could did do does doing down during each few for from further get gets give given gives go goes had has have "
    "having he her here hers him his how i if in into is it its itself just may me might more most must my no nor not "
    "now of off on once one only or other our out over own per same shall she should so some such than that the their "
    "them then there these they this those through to too under until up us very was we were what when where which "
    "while who whom whose why will with would you your"
)
STOP_WORDS: Final = frozenset(_STOP_WORDS.split())
_local = threading.local()


def words(text: str) -> tuple[str, ...]:
    """Words and numbers of `text` in order, in lower case."""
    return tuple(match.group().lower().replace("’", "'") for match in _WORD.finditer(text))


def stems(text: str) -> tuple[str, ...]:
    """Stemmed words and numbers of `text` in order, stop words left out (Snowball English)."""
    return tuple(_stemmer().stemWords([word for word in words(text) if word not in STOP_WORDS]))


def overlap(wanted: Iterable[str], found: Iterable[str]) -> float:
    """Share of the distinct `wanted` stems that are among `found`, in [0, 1]; 0 when nothing is wanted."""
    distinct = set(wanted)
    return len(distinct & set(found)) / len(distinct) if distinct else 0.0


def _stemmer() -> Stemmer.Stemmer:
    """One per thread: a stemmer keeps state while it works."""
    if not hasattr(_local, "stemmer"):
        _local.stemmer = Stemmer.Stemmer("english")
    stemmer: Stemmer.Stemmer = _local.stemmer
    return stemmer
