"""Extract: the sentences of a passage that bear on the question, as one stretch of its text."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatVector
from retriever_node.passages import sentence_borders

MAXIMUM_SENTENCES: Final = 3
NEAR: Final = 0.75
"""A neighbour of the best sentence belongs to the extract from this share of the best one's similarity on."""

Span = tuple[int, int]
"""Characters [start, end) of a passage's text; never empty."""


def extracts(texts: Sequence[str], question: FloatVector, encoder: Encoder) -> tuple[Span, ...]:
    """One stretch of each text: the sentence most similar to the question, and those beside it that are nearly as
    similar, at most MAXIMUM_SENTENCES. Of equals the first."""
    sentences = [_sentences(text) for text in texts]
    written = [text[start:end] for text, spans in zip(texts, sentences, strict=True) for start, end in spans]
    if not written:
        return ()
    similarities = encoder.encode_passages(written) @ question
    found, at = [], 0
    for spans in sentences:
        first, last = _stretch(similarities[at : at + len(spans)])
        found.append((spans[first][0], spans[last][1]))
        at += len(spans)
    return tuple(found)


def _stretch(similarities: FloatVector) -> tuple[int, int]:
    """Positions of the first and the last sentence."""
    best = first = last = int(np.argmax(similarities))
    least = NEAR * max(float(similarities[best]), 0.0)
    while last - first + 1 < MAXIMUM_SENTENCES:
        beside = [at for at in (first - 1, last + 1) if 0 <= at < len(similarities)]
        near = [at for at in beside if 0 < least <= similarities[at]]
        if not near:
            break
        nearest = max(near, key=lambda at: (float(similarities[at]), -at))
        first, last = min(first, nearest), max(last, nearest)
    return first, last


def _sentences(text: str) -> list[Span]:
    """Without the spaces around them; a text of spaces alone is one sentence."""
    spans = []
    for start, end in pairwise(sentence_borders(text)):
        piece = text[start:end]
        left = start + len(piece) - len(piece.lstrip())
        if piece.strip():
            spans.append((left, left + len(piece.strip())))
    return spans or [(0, len(text))]
