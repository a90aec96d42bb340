"""What a document cannot know, as it was written before the question was asked: the letters that the asker's options
have, and the asker's own words."""

import re
from typing import Final

from fedrag.core.question import Question
from reasoner.words import words

IN_A_ROW: Final = 7
"""Words of a question that no document has by chance."""
_LETTER: Final = re.compile(r"\b(?:options?|choices?|letters?|answers?)\W{1,3}([A-H])\b(?![+/-])", re.IGNORECASE)


def knows(sentence: str, question: Question) -> bool:
    if any(letter.upper() in question.options for letter in _LETTER.findall(sentence)):
        return True
    said, asked = words(sentence), words(question.text)
    rows = {asked[at : at + IN_A_ROW] for at in range(len(asked) - IN_A_ROW + 1)}
    return any(said[at : at + IN_A_ROW] in rows for at in range(len(said) - IN_A_ROW + 1))
