"""Chains of thought that hospitals made themselves, as chains among the others.

Every word of them is a claim, its uncertainty too: that counts only where it was calibrated on judged questions of this
hospital. Without that all of them are worth the same.
"""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from fedrag.core.answer import Evidence, ReasoningStep, SourceChain
from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError
from fedrag.core.protocols import SourceChains
from fedrag.core.question import Question
from fedrag.core.traces import Said, Told, Trace
from fedrag.core.wire import NodeId
from reasoner.answering import CheckedReply, options_of
from reasoner.chains import Chain, chains
from reasoner.citations import check_text
from reasoner.instructions import commands
from reasoner.parsing import Reply
from reasoner.prompts import Block
from reasoner.source_answer import SourceAnswer, admissions
from reasoner.stated_uncertainty import StatedUncertainty
from reasoner.strategies import SIGNALS, Parts
from reasoner.usage import Usage
from reasoner.vote_model import VoteModel
from reasoner.weighted_vote import capped

UNJUDGED: Final = 0.5
"""What a hospital's word is worth of which nothing was judged."""
HOSPITALS_SHARE: Final = 0.7
"""Of what is left of the deadline: one that hangs must not take the answer of the others along."""


def chain_of(
    trace: Trace, question: Question, evidence: Evidence, calibrated: Mapping[str, StatedUncertainty]
) -> Chain:
    """A choice that is no option is none. Citations are those of passages that are in the evidence as well; a step that
    rests on others names them by document instead."""
    options = options_of(question)
    choice = trace.choice if trace.choice in options else None
    numbers = _numbers(trace, evidence)
    steps = tuple(
        ReasoningStep(
            text=_bare(step.text),
            citations=tuple(dict.fromkeys(numbers[at] for at in step.citations if at in numbers)),
            uncertainty=step.uncertainty,
        )
        for step in trace.steps
    )
    answer = _bare(trace.answer)
    silent = choice is None if options else not answer
    reply = Reply(thoughts=(), answer=answer, choice=choice, confidence=None, insufficient=silent)
    checked = CheckedReply(steps, answer, cited_share=0.0, dropped=0)
    raw = "\n".join(part for part in (*(step.text for step in trace.steps), trace.answer) if part)
    said = SourceAnswer(
        None if silent else choice if options else answer,
        "\n".join(part for part in (*(step.text for step in steps), answer) if part),
        trace.uncertainty,
        admissions(raw),
    )
    known = calibrated.get(trace.node)
    confidence = UNJUDGED if known is None or said.uncertainty is None else known.probability(said.uncertainty)
    return Chain(trace.node, reply, checked, said, 0.0 if silent else confidence, Usage(), at_hospital=True)


def silent(node: NodeId) -> Chain:
    """A hospital that failed."""
    return Chain(node, None, None, SourceAnswer(None), 0.0, Usage(), at_hospital=True)


def weighed(evidence: Evidence, hospitals: tuple[NodeId, ...]) -> Evidence:
    """The evidence with a weight for each hospital that reasons itself: as much as the mean of the others, where it has
    none by its passages. Nobody has more than max(1/3, 1/n)."""
    without = [node for node in hospitals if node not in evidence.source_weights]
    if not without:
        return evidence
    there = evidence.source_weights
    mean = sum(there.values()) / len(there) if there else 1.0
    claims = {**there, **dict.fromkeys(without, mean)}
    whole = sum(claims.values())
    weights = capped({node: claim / whole for node, claim in sorted(claims.items())}, 1 / 3)
    return evidence.model_copy(update={"source_weights": {node: min(1.0, weight) for node, weight in weights.items()}})


def told_of(choice: str | None, answer: str, trace: str, *, words: bool) -> Said:
    """What a hospital is told of an answer: its words only where hospitals may see each other's."""
    chosen = choice if choice and choice.isalpha() and len(choice) <= 10 else None
    return Said(choice=chosen, answer=answer[:8000], trace=trace[:8000]) if words else Said(choice=chosen)


def own_of(chain: Chain) -> Said:
    answer = chain.checked.answer if chain.checked else ""
    return told_of(chain.reply.choice if chain.reply else None, answer, chain.said.trace, words=True)


async def all_chains(
    question: Question,
    evidence: Evidence,
    parts: Parts,
    at_once: int,
    deadline: Deadline,
    *,
    blocks: Sequence[Block] = (),
    told: Told | None = None,
    turn: int = 1,
    stated: Mapping[str, StatedUncertainty] = MappingProxyType({}),
) -> tuple[Chain, ...]:
    """Of the hospitals that reason themselves their own, of every other source one made here. A source that fails is a
    chain without a reply; raises what the model raises when nobody answered.

    `blocks`: what is shown besides passages here, `told` the same for hospitals.
    """
    if parts.sources is None:
        alone = await chains(question, evidence, parts, at_once, deadline, lambda _: blocks)
        return counted(alone, parts.left_out())
    nodes = parts.sources.nodes
    others = apart_from(evidence, nodes)
    heard, made = await asyncio.gather(
        parts.sources.ask(dict.fromkeys(nodes, told or Told()), turn, deadline.share(HOSPITALS_SHARE)),
        _tolerant(chains(question, others, parts, at_once, deadline, lambda _: blocks)),
    )
    if isinstance(made, FedragError) and not heard:
        raise made
    own = () if isinstance(made, FedragError) else made
    theirs = (chain_of(heard[node], question, evidence, stated) if node in heard else silent(node) for node in nodes)
    return counted((*own, *theirs), parts.left_out())


def counted(made: Sequence[Chain], left_out: Collection[NodeId]) -> tuple[Chain, ...]:
    """Without a say for these."""
    return tuple(replace(one, counted=one.node not in left_out) for one in made)


def heard_of(made: Sequence[Chain]) -> dict[NodeId, SourceAnswer]:
    """What those said that have a say, and were heard."""
    return {one.node: one.said for one in made if one.counted and one.reply is not None}


async def asked_again(
    made: Mapping[NodeId, Chain],
    told: Mapping[NodeId, Told],
    question: Question,
    evidence: Evidence,
    sources: SourceChains,
    deadline: Deadline,
    turn: int,
    stated: Mapping[str, StatedUncertainty],
) -> dict[NodeId, Chain]:
    """Hospitals' answers to critique; who does not answer keeps its own."""
    heard = await sources.ask(told, turn, deadline.share(HOSPITALS_SHARE))
    revised = {node: chain_of(trace, question, evidence, stated) for node, trace in heard.items()}
    return {node: revised[node] if node in revised and revised[node].answered else made[node] for node in told}


def rewritten(one: Chain, second: Chain) -> Chain:
    """A hospital's chain of thought after critique by a model that has not seen its passages: what it rests on stays
    the hospital's. Another answer is worth as much as one of which nothing was judged, at most."""
    if second.reply is None or second.checked is None or not second.answered or one.checked is None:
        return one
    steps = tuple(
        step.model_copy(update={"text": step.text.removesuffix(" (no source)")}) for step in second.checked.steps
    )
    cited = tuple(step for step in one.checked.steps if step.citations)
    same = second.said.choice == one.said.choice
    return replace(
        one,
        reply=second.reply,
        checked=replace(one.checked, steps=(*cited, *steps), answer=second.checked.answer),
        said=replace(one.said, choice=second.said.choice, trace=second.said.trace),
        confidence=one.confidence if same else min(one.confidence, UNJUDGED),
    )


def apart_from(evidence: Evidence, nodes: Collection[NodeId]) -> Evidence:
    """Without what these contributed."""
    return evidence.model_copy(
        update={
            "passages": tuple(one for one in evidence.passages if one.node not in nodes),
            "source_weights": {node: of for node, of in evidence.source_weights.items() if node not in nodes},
            "conflicts": (),
        }
    )


async def _tolerant(made: Awaitable[tuple[Chain, ...]]) -> tuple[Chain, ...] | FedragError:
    try:
        return await made
    except FedragError as error:
        return error


def source_chain(one: Chain, weight: float | None = None) -> SourceChain:
    """As the answer shows it: its choice only where it is one; of one that chose nothing the words as well."""
    chosen = one.reply.choice if one.reply is not None and one.spoke else None
    return SourceChain(
        node=one.node,
        choice=chosen,
        uncertainty=one.said.uncertainty,
        gaps=one.said.gaps,
        confidence=one.confidence if one.spoke else None,
        weight=None if weight is None else min(1.0, weight),
        at_hospital=one.at_hospital,
        answer=one.checked.answer if one.checked is not None else "",
        steps=one.checked.steps if one.checked is not None else (),
        counted=one.counted,
    )


def signals_of(made: Sequence[Chain], judged: VoteModel | None) -> tuple[str, ...]:
    """What a decision over these chains rests on."""
    used: list[str] = []
    if judged is not None:
        used += ["judged_votes", "admissions", "stated_uncertainty"]
    elif any(not one.at_hospital for one in made):
        used += SIGNALS
    if judged is None and any(one.at_hospital and one.answered for one in made):
        calibrated = any(one.at_hospital and one.answered and one.confidence != UNJUDGED for one in made)
        used.append("calibrated_uncertainty" if calibrated else "hospitals_alike")
    return (*used, *(() if judged is not None else ("source_weight",)), "agreement")


def _bare(text: str) -> str:
    """Without marks, which number the hospital's own passages, not those of the evidence; and without sentences that
    address the reader: somebody may have written them into a passage there."""
    for sentence in commands(text):
        text = text.replace(sentence, " ")
    return check_text(text, ()).text.strip()


def _numbers(trace: Trace, evidence: Evidence) -> dict[int, int]:
    """The hospital's own number of a passage → the one it has in the evidence."""
    there = {
        (one.passage.citation.document_id, one.passage.citation.locator): one.number
        for one in evidence.passages
        if one.node == trace.node
    }
    cited = enumerate(trace.cited, start=1)
    return {at: there[key] for at, one in cited if (key := (one.document_id, one.locator)) in there}
