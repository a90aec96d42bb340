"""Which words of a text are people's names, where neither a title nor a list says so: two small logistic models.

The first looks at a word's letters: how likely is it a name at all? The second looks at how it is written and at what
stands beside it. Both hash their features into tables of one byte per weight (`names.npz`, written by
`python -m fedrag.evaluation.fitting.names`); a word's own score is remembered, so that running text costs little.
"""

import re
import unicodedata
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

import numpy as np
import numpy.typing as npt

FILE: Final = "names.npz"
WORD_BUCKETS: Final = 1 << 17
PLACE_BUCKETS: Final = 1 << 15
_TOKEN: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|\n|[^\w\s]")
_LEVELS: Final = (-6.0, -3.0, -1.5, -0.5, 0.5, 1.5, 3.0, 6.0)
_NOCANDIDATE_BELOW: Final = -0.5
"""Logit of a word in lower case that is worth looking at."""
_OPENS: Final = frozenset('.?!:;\n•|>-*"“')


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number or sign. `level`: how likely the word is a name by its letters, 0 to 8; `shape`: lower case,
    Capital, CAPITALS, Initial, number or sign."""

    start: int
    end: int
    key: str
    shape: str
    level: int


def tokens(text: str) -> list[Token]:
    return [Token(found.start(), found.end(), *remembered(found.group())) for found in _TOKEN.finditer(text)]


def word_features(word: str) -> list[str]:
    """Of a word in lower case: itself, its beginning and end, and every three and four letters in a row."""
    framed = f"^{word}$"
    runs = (framed[at : at + size] for size in (3, 4) for at in range(len(framed) - size + 1))
    edges = (f"{size}{framed[:size]}|{framed[-size:]}" for size in (3, 4))
    return [f"w{word}", f"l{min(len(word), 9)}", *runs, *edges]


def place_features(words: Sequence[Token], at: int) -> list[str]:
    """Of the token at this place: how it and its neighbours are written, which words these are, and how likely each is
    a name."""
    one = words[at]
    before, first = (_beside(words, at - 1), _beside(words, at - 2))
    after, last = (_beside(words, at + 1), _beside(words, at + 2))
    own = f"{one.shape}{one.level}"
    opens = before.key in _OPENS or before.shape == ""
    return [
        f"o{own}",
        f"s{own}{opens}",
        f"b{before.key}",
        f"B{before.key}|{one.shape}",
        f"f{first.key}|{before.key}",
        f"a{after.key}",
        f"A{after.key}|{one.shape}",
        f"l{after.key}|{last.key}",
        f"x{own}|{before.shape}{before.level}",
        f"y{own}|{after.shape}{after.level}",
        f"z{one.shape}|{before.shape}{before.level}|{after.shape}{after.level}",
    ]


def bucket(feature: str, size: int) -> int:
    return zlib.crc32(feature.encode()) & (size - 1)


@dataclass(frozen=True, slots=True)
class NameModel:
    """`words` and `places` hold weights in units of `word_unit` and `place_unit`."""

    words: "array[int]"
    word_unit: float
    places: "array[int]"
    place_unit: float

    def word(self, word: str) -> float:
        """Logit that this word, in lower case, is a name."""
        hashed = (self.words[bucket(one, WORD_BUCKETS)] for one in word_features(word))
        return self.word_unit * sum(hashed)

    def place(self, words: Sequence[Token], at: int) -> float:
        """Logit that the token at this place is one."""
        hashed = (self.places[bucket(one, PLACE_BUCKETS)] for one in place_features(words, at))
        return self.place_unit * sum(hashed)


@cache
def load() -> NameModel:
    with files(__package__).joinpath(FILE).open("rb") as file, np.load(file, allow_pickle=False) as kept:
        return NameModel(
            table(kept["words"]), float(kept["word_unit"]), table(kept["places"]), float(kept["place_unit"])
        )


def table(weights: npt.NDArray[np.int8]) -> "array[int]":
    return array("b", weights.astype(np.int8).tobytes())


def scored(text: str) -> Iterator[tuple[int, int, float]]:
    """Start, end and logit of every word that may be a name."""
    model, words = load(), tokens(text)
    for at, one in enumerate(words):
        if one.shape in ("C", "U") or (one.shape == "w" and one.level >= CANDIDATE):
            yield one.start, one.end, model.place(words, at)


def level(logit: float) -> int:
    return sum(logit > border for border in _LEVELS)


def shape(token: str) -> str:
    if not token[0].isalpha():
        return "n" if token[0].isdigit() else "."
    if len(token) == 1:
        return "i" if token.isupper() else "w"
    return "U" if token.isupper() else "C" if token[0].isupper() else "w"


def plain(token: str) -> str:
    """In lower case, without accents put together in another way, and without a genitive's ending."""
    lower = unicodedata.normalize("NFC", token).lower().replace("’", "'")
    return lower.removesuffix("'s").removesuffix("'")


@lru_cache(maxsize=1 << 16)
def remembered(token: str) -> tuple[str, str, int]:
    kind, key = shape(token), plain(token)
    return key, kind, level(load().word(key)) if kind in "CUw" else 0


CANDIDATE: Final = level(_NOCANDIDATE_BELOW + 0.1)
_NOTHING: Final = Token(0, 0, "", "", 0)


def _beside(words: Sequence[Token], at: int) -> Token:
    return words[at] if 0 <= at < len(words) else _NOTHING
