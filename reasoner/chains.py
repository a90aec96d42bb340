"""One chain of thought per source: what each hospital's passages alone lead the model to."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fedrag.core.answer import Evidence
from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError
from fedrag.core.question import Question
from fedrag.core.wire import NodeId
from reasoner.answering import CheckedReply, answer_prompt, checked_steps, confidence_of, options_of
from reasoner.citations import marks
from reasoner.parsing import Reply
from reasoner.prompts import Block
from reasoner.source_answer import SourceAnswer
from reasoner.strategies import Parts
from reasoner.uncertainty import mean_token_entropy
from reasoner.usage import Usage


@dataclass(frozen=True, slots=True)
class Chain:
    """`reply` and `checked` are None where the source's reply could not be read, or it ran out of time; `spoke`:
    whether it gave an answer rather than finding its passages insufficient, `answered`: and that counts. `confidence`
    is the calibrated probability that its answer is right, 0 where it gave none."""

    node: NodeId
    reply: Reply | None
    checked: CheckedReply | None
    said: SourceAnswer
    confidence: float
    usage: Usage
    at_hospital: bool = False
    """Made by the hospital's own model; then nothing of it is in the evidence but what it cites."""
    counted: bool = True
    """False: its source no longer answers as it did when it was judged, and has no say."""

    @property
    def spoke(self) -> bool:
        return self.reply is not None and not self.reply.insufficient

    @property
    def answered(self) -> bool:
        return self.counted and self.spoke


async def chains(
    question: Question,
    evidence: Evidence,
    parts: Parts,
    at_once: int,
    deadline: Deadline,
    blocks: Callable[[NodeId], Sequence[Block]] = lambda _: (),
) -> tuple[Chain, ...]:
    """One for each source of the evidence, in the order of its weights; at most `at_once` are asked at a time. A source
    whose chain fails is a chain without a reply. Raises what the model raises when every one failed.

    `blocks`: what a source is shown besides its passages.
    """
    room = asyncio.Semaphore(at_once)

    async def of(node: NodeId) -> Chain | FedragError:
        async with room:
            try:
                return await chain(question, of_source(evidence, node), node, parts, deadline, blocks(node))
            except FedragError as error:
                return error

    nodes = sorted(evidence.source_weights, key=lambda node: (-evidence.source_weights[node], node))
    made = await asyncio.gather(*(of(node) for node in nodes))
    failures = [one for one in made if isinstance(one, FedragError)]
    if len(failures) == len(made) and failures:
        raise failures[0]
    silent = SourceAnswer(None)
    return tuple(
        Chain(node, None, None, silent, 0.0, Usage()) if isinstance(one, FedragError) else one
        for node, one in zip(nodes, made, strict=True)
    )


async def chain(
    question: Question, own: Evidence, node: NodeId, parts: Parts, deadline: Deadline, blocks: Sequence[Block] = ()
) -> Chain:
    asked = await parts.model.ask(answer_prompt(question, parts.fence(), *blocks), own, deadline)
    if asked.reply is None:
        return Chain(node, None, None, SourceAnswer(None), 0.0, Usage.of(asked))
    reply, tokens = asked.reply, asked.completion.tokens if asked.completion else ()
    checked = checked_steps(reply, {one.number for one in asked.evidence.passages})
    answer = reply.choice if options_of(question) else checked.answer
    said = SourceAnswer.of(
        None if reply.insufficient else answer,
        "\n".join([*(f"{step.text} {marks(step.citations)}".strip() for step in checked.steps), checked.answer]),
        mean_token_entropy(tokens),
    )
    confidence = 0.0 if reply.insufficient else confidence_of(parts.head, question, reply, checked, tokens)
    return Chain(node, reply, checked, said, confidence, Usage.of(asked, checked.dropped))


def of_source(evidence: Evidence, node: NodeId) -> Evidence:
    """What this hospital contributed, under the numbers that it has among all; nobody else has a say."""
    return evidence.model_copy(
        update={
            "passages": tuple(one for one in evidence.passages if one.node == node),
            "source_weights": {node: 1.0},
            "conflicts": (),
        }
    )
