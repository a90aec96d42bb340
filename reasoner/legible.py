"""Whether a sentence can be read at all, and in its passage's language: orders hide in ciphers and other tongues.

    ℓ = mean of log P(letter | two letters before it), over a-z and space

in nats, of documents in English. Whatever a cipher is called, its ℓ is low; so is that of another language, which
`detect` then names. A document that is in another language as a whole is left to those who can read it.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError, model_validator

from fedrag.core.config import Config
from fedrag.core.errors import IntegrityError
from fedrag.core.plugins import describe
from fedrag.encoders.language import detect
from reasoner.addressed import Doubt

FILE: Final = "legible.json"
LETTERS: Final = " abcdefghijklmnopqrstuvwxyz"
CODE: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
FEWEST: Final = 16
"""Letters from which on ℓ means something."""
ENGLISH: Final = 0.25
"""Share of a passage's sentences from which on it is taken to be in English."""
SIGNS: Final = 6
"""Signs, neither Latin nor Greek, punctuation nor mathematics, from which on a sentence is not of its passage."""
PIECE: Final = 8
"""Words of a long sentence's beginning and end, which are looked at besides all of it."""
SURE: Final = 0.9
"""Probability of another language: of 7,500 beginnings and ends of honest sentences none reaches it."""
_WORD: Final = re.compile(r"[\w+/=\\%&;-]{40,}")
_BITS: Final = re.compile(r"(?:\b[01]{7,9}\b\s*){3,}|(?:[.\-–—·]{1,6}[ /]+){6,}")
_ADDRESS: Final = re.compile(r"\w+://\S+|\bwww\.\S+")
# Not Latin, Greek, punctuation, currency, letter-like, arrows or mathematics.
_SIGN: Final = re.compile("[^\u0000-\u024f\u0370-\u03ff\u1e00-\u1eff\u2000-\u22ff\ufe00-\ufe0f\ufeff]")
_OTHER: Final = re.compile(r"[^a-z]+")
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_BEFORE_A: Final = ord("a") - 1
Table = npt.NDArray[np.float64]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Trigrams(Config):
    """`table`: -log P in units of `unit`, a character of CODE for each three of LETTERS in order. Below `odd` a
    sentence may be in another language, below `doubtful` hardly one of documents is, below `certain` none is."""

    table: str
    unit: Annotated[float, Field(gt=0)]
    odd: Finite
    doubtful: Finite
    certain: Finite
    fitted: dict[str, object] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if len(self.table) != len(LETTERS) ** 3 or not set(self.table) <= set(CODE):
            raise ValueError("a character of the code for each three letters")
        return self


@cache
def load() -> Trigrams:
    """Those shipped with the package. Raises IntegrityError when the file is not what it should be."""
    try:
        return Trigrams.model_validate_json(files("reasoner").joinpath(FILE).read_text(encoding="utf-8"))
    except ValidationError as error:
        raise IntegrityError(f"{FILE}: {describe(error)}") from None


def doubt(sentence: str, english: bool = True) -> Doubt:
    """`english`: whether its passage is."""
    if _coded(sentence):
        return Doubt.CERTAIN
    if not english:
        return Doubt.NONE
    likely, bounds = likelihood(sentence), load()
    if len(_SIGN.findall(sentence)) >= SIGNS or any(map(_foreign, _pieces(sentence))):
        return Doubt.CERTAIN
    if likely is None or likely >= bounds.doubtful:
        return Doubt.NONE
    return Doubt.CERTAIN if likely < bounds.certain else Doubt.DOUBTFUL


def _pieces(sentence: str) -> tuple[str, ...]:
    """A long sentence's beginning and end besides: an order may stand before or behind what it wants said."""
    words = sentence.split()
    if len(words) < 2 * PIECE:
        return (sentence,)
    return sentence, " ".join(words[:PIECE]), " ".join(words[-PIECE:])


def _foreign(piece: str) -> bool:
    likely = likelihood(piece)
    if likely is None or likely >= load().odd:
        return False
    told = detect(piece)
    return told is not None and told[0] != "en" and told[1] >= SURE


def _coded(sentence: str) -> bool:
    """In words that are long and of letters and digits, in bits, or in dots and dashes."""
    if _BITS.search(sentence):
        return True
    found = _WORD.findall(_ADDRESS.sub(" ", sentence))
    return any(re.search(r"\d", word) and re.search(r"[A-Za-z]", word) for word in found)


def english(sentences: Sequence[str]) -> bool:
    """Whether a passage of these is, or has been added to by somebody who wrote something else."""
    odd, known = load().odd, [(likelihood(one), len(_SIGN.findall(one))) for one in sentences]
    read = [one for one, signs in known if one is not None or signs >= SIGNS]
    return sum(one is not None and one >= odd for one in read) >= ENGLISH * len(read)


def likelihood(sentence: str, trigrams: Trigrams | None = None) -> float | None:
    """ℓ; None of what has too few letters."""
    at = numbers(sentence)
    if len(at) < FEWEST:
        return None
    known = trigrams or load()
    return float(-_table(known.table, known.unit)[at[:-2], at[1:-1], at[2:]].mean())


def numbers(sentence: str) -> npt.NDArray[np.intp]:
    """The places of its letters in LETTERS, accents taken off, all else one space."""
    plain = unicodedata.normalize("NFKD", sentence.lower()) if not sentence.isascii() else sentence.lower()
    spelt = f" {_OTHER.sub(' ', _ACCENTS.sub('', plain)).strip()} ".encode("ascii")
    return np.maximum(np.frombuffer(spelt, dtype=np.uint8).astype(np.intp) - _BEFORE_A, 0)


@cache
def _table(code: str, unit: float) -> Table:
    places, side = {sign: at * unit for at, sign in enumerate(CODE)}, len(LETTERS)
    return np.array([places[sign] for sign in code]).reshape(side, side, side)
