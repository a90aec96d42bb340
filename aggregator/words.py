"""Words that carry meaning. English."""

import re
import threading
from typing import Final

import Stemmer

from fedrag.core.quantities import normalised

WORD: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_local = threading.local()


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FUNCTION_WORDS: Final = frozenset(
    _words(
        "a an the and or but if of in on at by for from to with without into onto within after before until while when"
        " where which who whom whose that this these those there then than as is are was were be been being it its they"
        " them their he she his her we our us you your i not no nor never only also any all each every both other some"
        " such same so up down out over under above below between during about per has have had do does did done can"
        " could may might must shall should will would give given gives take taken use used using using start started"
        " stop stopped more most less least than one two three four once twice daily day days hour hours week weeks"
        " month months minute minutes mg g kg ml l micrograms dose doses further usual usually always here unless"
        " because since however people patient patients person anyone everyone whatever"
    )
)


def content_words(text: str) -> frozenset[str]:
    """Stems of the words that carry meaning."""
    return frozenset(stem(word) for word in WORD.findall(normalised(text)) if carries_meaning(word) and len(word) > 2)


def carries_meaning(word: str) -> bool:
    return word not in _FUNCTION_WORDS


def stem(word: str) -> str:
    """Snowball English. One stemmer per thread: it keeps state while it works."""
    if not hasattr(_local, "stemmer"):
        _local.stemmer = Stemmer.Stemmer("english")
    return str(_local.stemmer.stemWord(word))
