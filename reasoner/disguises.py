"""What a sentence says to a model that sees through disguises: the same words without invisible characters, look-alike
letters, digits for letters or spaces between letters; decoded; read backwards."""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final

from reasoner.words import STOP_WORDS

_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufe00-\ufe0f\U000e0000-\U000e0fff]"
)
_TAGS: Final = re.compile("[\U000e0020-\U000e007e]+")
# Cyrillic and Greek letters that look like these Latin ones.
_ALIKE: Final = str.maketrans(
    dict(zip("аеорсухіјѕһԁԛԝӏьАВЕКМНОРСТХУІЈЅ", "aeopcyxijshdqwlbABEKMHOPCTXYIJS", strict=True))
    | dict(zip("αοινρυτκεχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aoivputkexABEZHIKMNOPTYX", strict=True))
)
_MIXED: Final = re.compile(r"[a-zA-Z][\u0400-\u04ff]|[\u0400-\u04ff][a-zA-Z]")
_APART: Final = re.compile(r"(?<![^\W_])[^\W\d_]([ .\-_*·|/])[^\W\d_](?![^\W_])(?:\1[^\W\d_](?![^\W_]))+")
_LEET: Final = str.maketrans("013457@$!|", "oieastasil")
_LEET_WORD: Final = re.compile(r"(?<!\S)[\"'(]?(?=[^\s]*[a-zA-Z])(?=[^\s]*[013457@$!|])[a-zA-Z013457@$!|]{2,}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_HEXADECIMAL: Final = re.compile(r"(?:[0-9a-fA-F]{2}[\s:]?){10,}|(?:\\x[0-9a-fA-F]{2}){4,}")
_WORD: Final = re.compile(r"[a-z]+(?:'[a-z]+)?")
_FEW: Final = 2


def readings(sentence: str) -> Iterator[str]:
    """The plain one first; then whatever else differs from it and could be read."""
    plain = unveiled(sentence)
    yield plain
    joined = _APART.sub(lambda run: re.sub(re.escape(run[1]), "", run[0]), plain)
    if joined != plain:
        yield re.sub(r"\s+", " ", joined)
    if _LEET_WORD.search(plain):
        yield _LEET_WORD.sub(lambda word: word[0].translate(_LEET), plain)
    yield from secrets(sentence)


def secrets(sentence: str) -> Iterator[str]:
    """What is there to be read by nobody who just looks at it: decoded, of invisible tags, turned round."""
    for tags in _TAGS.findall(sentence):
        yield "".join(chr(ord(one) - 0xE0000) for one in tags)
    plain = unveiled(sentence)
    for found in _BASE64.findall(plain):
        yield from _text(found, lambda code: base64.b64decode(code + "=" * (-len(code) % 4), validate=True))
    for match in _HEXADECIMAL.finditer(plain):
        yield from _text(re.sub(r"\\x|[\s:]", "", match[0]), bytes.fromhex)
    if _language(plain) < _FEW:
        for other in (codecs.encode(plain, "rot13"), plain[::-1]):
            if _language(other) >= _FEW and _language(other) > _language(plain) + 1:
                yield other


def unveiled(text: str) -> str:
    """Compatible forms, no invisible characters, and Latin letters for what looks like them."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return plain.translate(_ALIKE) if _MIXED.search(plain) else plain


def veiled(sentence: str) -> bool:
    """Whether letters of two scripts stand in one word: people do not write so."""
    return len(_MIXED.findall(_INVISIBLE.sub("", sentence))) >= _FEW


def _text(code: str, decode: Callable[[str], bytes]) -> Iterator[str]:
    try:
        said = decode(code).decode()
    except (ValueError, binascii.Error):
        return
    if " " in said and said.isprintable():
        yield said


def _language(text: str) -> int:
    """English function words of two letters and more."""
    return sum(len(word) > 1 and word in STOP_WORDS for word in _WORD.findall(text.lower()))
