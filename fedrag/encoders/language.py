"""Which language a question is in, so that an encoder that does not cover it can say so.

Naive Bayes over byte n-grams (py3langid, after Lui and Baldwin 2012), its classes restricted to languages that
hospitals work in: Latin, above all, would claim half of medicine's vocabulary.
"""

from functools import cache
from typing import Final

from py3langid.langid import MODEL_FILE, LanguageIdentifier

_CODES: Final = (
    "af am ar az be bg bn bs ca cs da de el en es et fa fi fr gu ha he hi hr hu hy id is it ja ka kk km kn ko ky lo lt "
    "lv mk ml mn mr ms my ne nl no pa pl ps pt ro ru si sk sl so sq sr sv sw ta te th tr uk ur uz vi zh"
)
LANGUAGES: Final = frozenset(_CODES.split())
LEAST_PROBABILITY: Final = 0.6
"""Short English questions made of drug names reach 0.49 for another language; real ones in it, 0.67 and more."""

LEAST_LETTERS: Final = 12


def detect(text: str) -> tuple[str, float] | None:
    """The ISO 639-1 code and its probability in [0.6, 1], or None when the text is too short or too mixed to tell.

    The first call loads the model, about half a second: `load()` at start-up moves that out of the first question.
    """
    if sum(character.isalpha() for character in text) < LEAST_LETTERS:
        return None
    language, probability = load().classify(text)
    return (language, float(probability)) if probability >= LEAST_PROBABILITY else None


@cache
def load() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier
