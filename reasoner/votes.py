"""What each hospital's passages would choose, read alone: by the same steps as all of them together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fedrag.core.answer import Evidence
from fedrag.core.collection import EncoderIdentity
from fedrag.core.protocols import Encoder
from fedrag.core.question import Question
from fedrag.core.wire import FloatMatrix, FloatVector, NodeId
from reasoner.conclusion import Conclusion, conclude
from reasoner.heads import Heads
from reasoner.statements import Reading, read
from reasoner.verdict import asked_for


def votes(
    question: Question, evidence: Evidence, reading: Reading, encoder: Encoder, heads: Heads, threshold: float
) -> dict[NodeId, str | None]:
    """Of every hospital of the evidence; empty for a question that wants no choice.

    Its own passages are read as if they were all there is: numbered from 1, of weight 1, as many of their sentences as
    took part in `reading`. So nobody else has a say in a vote. None where they probably hold no answer (below
    `threshold`).
    """
    if not question.options and asked_for(question) is None:
        return {}

    def vote(node: NodeId) -> str | None:
        own, sentences = alone(evidence, node), sum(one.node == node for one in reading.statements)
        if not sentences:
            return None
        made = conclude(question, own, read(question, own, encoder, heads.support, sentences), heads, quotes=1, share=1)
        return chosen(made) if made.answerable >= threshold else None

    return {node: vote(node) for node in evidence.source_weights}


def chosen(made: Conclusion) -> str | None:
    """What to answer with, where a choice is wanted."""
    if made.verdict:
        return made.verdict.choice
    return made.options[0].letter if made.options else None


def alone(evidence: Evidence, node: NodeId) -> Evidence:
    """What the evidence would be had only this hospital contributed."""
    own = [passage for passage in evidence.passages if passage.node == node]
    return Evidence(
        passages=tuple(
            passage.model_copy(update={"number": number, "weight": 1.0}) for number, passage in enumerate(own, start=1)
        ),
        source_weights={node: 1.0},
        few_sources=True,
        method=evidence.method,
    )


@dataclass(frozen=True, slots=True)
class Remembering:
    """An encoder that encodes no text twice."""

    encoder: Encoder
    _queries: dict[str, FloatVector] = field(default_factory=dict)
    _passages: dict[str, FloatVector] = field(default_factory=dict)

    @property
    def identity(self) -> EncoderIdentity:
        return self.encoder.identity

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return _remembered(texts, self._queries, self.encoder.encode_queries)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        return _remembered(texts, self._passages, self.encoder.encode_passages)

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        return self.encoder.token_spans(text)


def _remembered(
    texts: Sequence[str], known: dict[str, FloatVector], encode: Callable[[Sequence[str]], FloatMatrix]
) -> FloatMatrix:
    new = [text for text in dict.fromkeys(texts) if text not in known]
    if new:
        known.update(zip(new, encode(new), strict=True))
    return np.stack([known[text] for text in texts])
