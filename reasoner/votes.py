"""What each hospital's passages would choose, read alone: by the same steps as all of them together."""

from fedrag.core.answer import Evidence
from fedrag.core.protocols import Encoder
from fedrag.core.question import Question
from fedrag.core.wire import NodeId
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
