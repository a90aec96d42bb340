"""Faithfulness of a free-text answer: is each sentence supported by the passages it cites?

Support is judged by words, not by a model: every number of the sentence stands in the cited text, a sentence that
negates cites text that does, and at least SUPPORT of its content words stand there. A paraphrase in other words counts
as unsupported and a twisted sentence of the same words as supported, so this bounds neither side; quoting answers score
1 when their citations are right.
"""

import re
from collections.abc import Sequence
from typing import Final

from fedrag.evaluation.metrics.word_overlap import content_words

SUPPORT: Final = 0.8
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NEGATION = re.compile(r"\b(?:not?|never|without|cannot|none|n't)\b|n't\b", re.IGNORECASE)


_MARKS = re.compile(r"((?:\s*\[\d+\])+[.,;]?)")
_QUOTED = re.compile(r"“([^”]+)”")
_VERDICT = re.compile(r"(?:[A-Z]\.\s.*|Yes\.|No\.|Maybe\.)")


def statements(text: str) -> list[tuple[str, tuple[int, ...]]]:
    """The statements of an answer with the citation numbers behind them: `Give 5 mg [1]. Stop it [2][3].`

    A stretch that quotes (“…”) states its quote. A line that only names the choice (`B. Heparin`, `Yes.`) states
    nothing; what has no citation behind it has none.
    """
    found: list[tuple[str, tuple[int, ...]]] = []
    for line in text.splitlines():
        parts = _MARKS.split(line)
        for stretch, marks in zip(parts[::2], [*parts[1::2], ""], strict=True):
            if not re.search(r"\w", stretch) or (not marks and _VERDICT.fullmatch(stretch.strip())):
                continue
            numbers = tuple(int(number) for number in re.findall(r"\d+", marks))
            found += [(said, numbers) for said in _QUOTED.findall(stretch) or [stretch.strip()]]
    return found


def supported(sentence: str, cited: str) -> bool:
    """False for a sentence without a citation, and for one without words."""
    words, numbers = content_words(sentence), set(_NUMBER.findall(sentence))
    if not cited or not words:
        return False
    if not numbers <= set(_NUMBER.findall(cited)):
        return False
    if _NEGATION.search(sentence) and not _NEGATION.search(cited):
        return False
    return len(words & content_words(cited)) >= SUPPORT * len(words)


def faithfulness(sentences: Sequence[tuple[str, str]]) -> float:
    """Share of (sentence, the text it cites) that is supported; 0 for an answer without sentences."""
    return sum(supported(sentence, cited) for sentence, cited in sentences) / len(sentences) if sentences else 0.0
