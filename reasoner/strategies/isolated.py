"""One chain of thought per source, and a weighted vote: what one lying source can do is bounded by its weight.

    ask each source's evidence alone → weigh by source weight and calibrated confidence → group → the heaviest answers

No source's text stands in another's prompt, so a passage that instructs the model reaches one chain at most.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from fedrag.core.answer import Abstention, AbstentionCode, Evidence, ReasonerReport, Reasoning, ReasoningStep
from fedrag.core.config import Config
from fedrag.core.deadline import Deadline
from fedrag.core.protocols import Encoder
from fedrag.core.question import Question
from fedrag.core.wire import NodeId
from reasoner.answering import options_of, titled
from reasoner.chains import Chain
from reasoner.grouping import by_choice, by_meaning, heaviest
from reasoner.hospital_chains import all_chains, heard_of, signals_of, source_chain, weighed
from reasoner.strategies import Chains, Parts, Unreadable
from reasoner.usage import Usage
from reasoner.vote_certificate import certified
from reasoner.vote_model import VoteModel, load_vote


class Settings(Config):
    """`at_once`: chains that run at the same time. `vote_model`: file of a fitted `VoteModel` over the federation's
    hospitals (`fedrag calibrate`), for questions with options; without it a source weighs what its passages weigh,
    times the confidence of its chain."""

    chains: Chains = "coordinator"
    at_once: Annotated[int, Field(ge=1, le=64)] = 8
    vote_model: Path | None = None


@dataclass(frozen=True, slots=True)
class Isolated:
    settings: Settings
    judged: VoteModel | None

    async def reason(self, question: Question, evidence: Evidence, parts: Parts, deadline: Deadline) -> Reasoning:
        stated = self.judged.stated if self.judged is not None else {}
        made = await all_chains(question, evidence, parts, self.settings.at_once, deadline, stated=stated)
        usage = sum((one.usage for one in made), Usage())
        if all(one.reply is None for one in made):
            raise Unreadable(usage)
        evidence = weighed(evidence, tuple(one.node for one in made if one.at_hospital))
        told = parts.report(usage, "isolated")
        return await asyncio.to_thread(decided, question, evidence, made, parts.encoder, told, self.judged)


def decided(
    question: Question,
    evidence: Evidence,
    made: tuple[Chain, ...],
    encoder: Encoder,
    told: ReasonerReport,
    judged: VoteModel | None = None,
) -> Reasoning:
    """The answer of the heaviest group of sources, in the words of its heaviest member.

    A source weighs its weight in the evidence times the confidence of its chain. Confidence is the share of all weight
    that stands behind the answer; with a fitted vote, which decides where there are options, the probability it gives.
    """
    options = options_of(question)
    answered = {one.node: one for one in made if one.answered}
    certain = options and not any(one.at_hospital for one in made)  # of what passages stand behind every vote
    votes = {one.node: one.said.choice for one in made} if certain else {}
    fitted = judged if options else None
    told = told.model_copy(update={"signals": signals_of(made, fitted)})
    if not answered:
        return Reasoning(
            text="",
            choice=None,
            confidence=0.0,
            abstained=Abstention(
                code=AbstentionCode.EVIDENCE_INSUFFICIENT,
                explanation="No hospital's released passages, read alone, answer this question.",
            ),
            steps=(),
            report=told,
            votes=votes,
            chains=tuple(map(source_chain, made)),
        )
    weights = {node: evidence.source_weights[node] * one.confidence for node, one in answered.items()}
    said = {node: one.said.choice for node, one in answered.items()}
    groups = by_choice(said) if options else by_meaning(said, encoder)
    winners, confidence = heaviest(groups, weights), 0.0
    probabilities: Mapping[str, float] = {}
    if fitted is not None:
        probabilities = fitted.probabilities(heard_of(made), options)
        chosen = max((said[group[0]] or "" for group in groups), key=lambda choice: (probabilities[choice], choice))
        winners, confidence = next(group for group in groups if said[group[0]] == chosen), probabilities[chosen]
    else:
        confidence = sum(weights[node] for node in winners)
    speaker = answered[min(winners, key=lambda node: (-weights[node], node))]
    choice = speaker.said.choice if options else None
    return Reasoning(
        text=titled(question, choice, speaker.checked.answer if speaker.checked else ""),
        choice=choice,
        confidence=min(1.0, confidence),
        abstained=None,
        steps=tuple(_steps(winners, answered, groups)),
        report=told,
        votes=votes,
        certificate=certified(heard_of(made), probabilities, choice, fitted) if fitted is not None else None,
        answer_set=fitted.sets.told(probabilities) if fitted is not None and fitted.sets is not None else None,
        chains=tuple(source_chain(one, None if fitted else weights.get(one.node)) for one in made),
    )


def _steps(
    winners: Sequence[NodeId], answered: Mapping[NodeId, Chain], groups: Sequence[Sequence[NodeId]]
) -> Iterator[ReasoningStep]:
    """The steps of those who carry the answer; then, of each other group, what it answers instead."""
    for node in winners:
        checked = answered[node].checked
        for step in checked.steps if checked else ():
            yield step.model_copy(update={"text": f"{node}: {step.text}"})
    for group in groups:
        if set(group) != set(winners):
            other = answered[group[0]]
            answer = other.checked.answer if other.checked else ""
            cited = {number for node in group for number in _cited(answered[node])}
            yield ReasoningStep(
                text=f"{', '.join(group)}: {'otherwise' if answer else 'no words'}: {answer}".strip(),
                citations=tuple(sorted(cited)),
                uncertainty=1 - other.confidence,
            )


def _cited(chain: Chain) -> tuple[int, ...]:
    steps = chain.checked.steps if chain.checked else ()
    return tuple(number for step in steps for number in step.citations)


def build(settings: Settings) -> Isolated:
    """Raises ConfigError(bad_vote_model)."""
    return Isolated(settings, load_vote(settings.vote_model))
