"""FERA (uncertainty-aware federated reasoning): sources reason apart, hear what the others found, and are weighed.

Each round k, of at most `rounds`:

    label       each source answers from its own passages, shown the answer so far              L calls
    group       sources with the same answer
    summarise   each group's chains of thought                                                   one call per group
    critique    each source, given the summaries of the other groups, keeps or changes its own   L calls
    synthesise  one answer of all revised chains, annotated with their weights                   1 call

w_i = exp(-u_i / τ) / Σ_j exp(-u_j / τ) over calibrated uncertainties u_i = -ln P(chain i is right), then capped: the
published weights take a source's token entropy as it is, which a liar sets to zero and which differs between model
families. Sources that agree end it early; so does an answer that a further round did not change, and time: the answer
then is the vote over what was said until then. The synthesis may only choose an answer that a source gave, and only
cite what a source cited; otherwise the vote stands.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from fedrag.core.answer import Evidence, Reasoning
from fedrag.core.config import Config
from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError
from fedrag.core.question import Question
from fedrag.core.traces import Told
from fedrag.core.wire import NodeId
from reasoner.answering import answer_prompt, checked_steps, options_of, titled
from reasoner.chains import Chain, chain, of_source
from reasoner.deliberation import critique_blocks, so_far, summary_prompt, synthesis_blocks
from reasoner.grouping import by_choice, by_meaning
from reasoner.heads import softmax
from reasoner.hospital_chains import all_chains, asked_again, own_of, rewritten, told_of, weighed
from reasoner.language_model import Prompt
from reasoner.parsing import Reply
from reasoner.stated_uncertainty import StatedUncertainty
from reasoner.strategies import Chains, Parts, Unreadable
from reasoner.strategies.isolated import decided
from reasoner.usage import Usage
from reasoner.vote_model import load_vote
from reasoner.weighted_vote import capped

R = TypeVar("R")
Groups = tuple[tuple[NodeId, ...], ...]


class Settings(Config):
    """`temperature` is τ, `cap` the largest weight of one source (at least 1 / n of n sources); `at_once`: calls that
    run at the same time. `vote_model`: what hospitals' own uncertainty has meant (`fedrag calibrate`).

    `tell_hospitals`: whether hospitals that reason themselves are shown what others said, in words. If not, they are
    told the choice so far alone, and critique is put to the coordinator's model with their chain of thought.
    """

    chains: Chains = "coordinator"
    tell_hospitals: bool = False
    vote_model: Path | None = None
    rounds: Annotated[int, Field(ge=1, le=10)] = 2
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    cap: Annotated[float, Field(gt=0, le=1)] = 1 / 3
    at_once: Annotated[int, Field(ge=1, le=64)] = 8


@dataclass(frozen=True, slots=True)
class Talk:
    """One question's conversation with the model, and what it has cost so far."""

    question: Question
    evidence: Evidence
    parts: Parts
    deadline: Deadline
    room: asyncio.Semaphore
    spent: list[Usage]

    async def ask(self, prompt: Prompt[R]) -> R | None:
        """Without passages: what is asked is in the prompt."""
        nothing = self.evidence.model_copy(update={"passages": (), "conflicts": ()})
        async with self.room:
            asked = await self.parts.model.ask(prompt, nothing, self.deadline)
        self.spent.append(Usage.of(asked))
        return asked.reply

    def groups(self, made: Sequence[Chain]) -> Groups:
        said = {one.node: one.said.choice for one in made if one.answered}
        return by_choice(said) if options_of(self.question) else by_meaning(said, self.parts.encoder)


@dataclass(frozen=True, slots=True)
class Round:
    """What a round came to. `answer` is None where the sources agreed at once, or no synthesis could be used."""

    made: tuple[Chain, ...]
    answer: Reply | None
    agreed: bool


@dataclass(frozen=True, slots=True)
class Fera:
    settings: Settings
    stated: Mapping[str, StatedUncertainty]

    async def reason(self, question: Question, evidence: Evidence, parts: Parts, deadline: Deadline) -> Reasoning:
        talk = Talk(question, evidence, parts, deadline, asyncio.Semaphore(self.settings.at_once), [])
        latest: Round | None = None
        cut_short = False
        for number in range(self.settings.rounds):
            try:
                following = await self._round(talk, latest.answer if latest else None, number)
            except FedragError:
                if latest is None:
                    raise
                cut_short = True
                break
            settled = latest is not None and _same(latest.answer, following.answer)
            latest = following
            if latest.agreed or settled:
                break
        usage = sum(talk.spent, Usage())
        if latest is None or all(one.reply is None for one in latest.made):
            raise Unreadable(usage)
        evidence = weighed(evidence, tuple(one.node for one in latest.made if one.at_hospital))
        talk = replace(talk, evidence=evidence)
        told = parts.report(usage, "fera").model_copy(update={"cut_short": cut_short})
        voted = decided(question, evidence, latest.made, parts.encoder, told)
        return voted if latest.answer is None else _synthesised(talk, latest.made, latest.answer, voted)

    async def _round(self, talk: Talk, before: Reply | None, number: int) -> Round:
        """Raises what the model raises before every source has answered; a later failure ends the round as it is."""
        shown = so_far(before) if before else ()
        made = await all_chains(
            talk.question,
            talk.evidence,
            talk.parts,
            self.settings.at_once,
            talk.deadline,
            blocks=shown,
            told=self._told(before),
            turn=2 * number + 1,
            stated=self.stated,
        )
        talk.spent.extend(one.usage for one in made)
        groups = talk.groups(made)
        if len(groups) <= 1:
            return Round(made, None, agreed=True)
        try:
            summaries = await asyncio.gather(*(self._summary(talk, group, made) for group in groups))
            made = await self._criticised(talk, made, groups, summaries, 2 * number + 2)
            answer = await self._synthesis(talk, made)
        except FedragError:
            return Round(made, None, agreed=False)
        return Round(made, answer, agreed=len(talk.groups(made)) <= 1)

    async def _summary(self, talk: Talk, group: Sequence[NodeId], made: Sequence[Chain]) -> str:
        """Where it cannot be read, the answer of the group stands for it."""
        members = [one.said for one in made if one.node in group]
        summary = await talk.ask(summary_prompt(talk.question, members, talk.parts.fence()))
        return summary or members[0].choice or ""

    async def _criticised(
        self, talk: Talk, made: Sequence[Chain], groups: Groups, summaries: Sequence[str], turn: int
    ) -> tuple[Chain, ...]:
        """Each source that answered, asked again; one whose second reply cannot be read keeps its first."""
        group_of = {node: at for at, group in enumerate(groups) for node in group}
        others = {
            node: tuple(summary for at, summary in enumerate(summaries) if at != own) for node, own in group_of.items()
        }
        theirs = {one.node: one for one in made if one.at_hospital and one.node in group_of}
        revised: dict[NodeId, Chain] = {}
        if talk.parts.sources is not None and self.settings.tell_hospitals and theirs:
            told = {node: Told(own=own_of(one), others=others[node]) for node, one in theirs.items()}
            revised = await asked_again(
                theirs, told, talk.question, talk.evidence, talk.parts.sources, talk.deadline, turn, self.stated
            )

        async def again(one: Chain) -> Chain:
            if one.node not in group_of or one.node in revised:
                return revised.get(one.node, one)
            own, blocks = of_source(talk.evidence, one.node), critique_blocks(one.said, others[one.node])
            async with talk.room:
                second = await chain(talk.question, own, one.node, talk.parts, talk.deadline, blocks)
            talk.spent.append(second.usage)
            if one.at_hospital:
                return rewritten(one, second)
            return one if second.reply is None else second

        return tuple(await asyncio.gather(*(again(one) for one in made)))

    def _told(self, before: Reply | None) -> Told:
        """What hospitals hear of the last round's answer."""
        if before is None:
            return Told()
        trace = "\n".join(thought.text for thought in before.thoughts)
        return Told(so_far=told_of(before.choice, before.answer, trace, words=self.settings.tell_hospitals))

    async def _synthesis(self, talk: Talk, made: Sequence[Chain]) -> Reply | None:
        """None where it is unreadable, finds nothing sufficient, or gives an answer that no source gave."""
        answered = [one for one in made if one.answered]
        if not answered:
            return None
        weights = self.weights(answered)
        said = [(one.node, weights[one.node], one.said) for one in answered]
        reply = await talk.ask(answer_prompt(talk.question, talk.parts.fence(), *synthesis_blocks(said)))
        if reply is None or reply.insufficient:
            return None
        given = {one.said.choice for one in answered}
        return reply if not options_of(talk.question) or reply.choice in given else None

    def weights(self, answered: Sequence[Chain]) -> dict[NodeId, float]:
        """w_i of calibrated uncertainties, none above the cap; what the cap takes is shared among the others."""
        logits = [math.log(max(one.confidence, 1e-6)) / self.settings.temperature for one in answered]
        return capped({one.node: w for one, w in zip(answered, softmax(logits), strict=True)}, self.settings.cap)


def _synthesised(talk: Talk, made: Sequence[Chain], answer: Reply, voted: Reasoning) -> Reasoning:
    """The synthesis, where it rests on what sources cited; else the vote. As sure as what stands behind its answer."""
    answered = [one for one in made if one.answered]
    cited = {number for one in answered if one.checked for step in one.checked.steps for number in step.citations}
    checked = checked_steps(answer, cited)
    if cited and not any(step.citations for step in checked.steps):
        return voted
    choice = answer.choice if options_of(talk.question) else None
    behind = [one for one in answered if choice is None or one.said.choice == choice]
    confidence = sum(talk.evidence.source_weights[one.node] * one.confidence for one in behind)
    dropped = voted.report.citations_dropped + checked.dropped
    return voted.model_copy(
        update={
            "text": titled(talk.question, choice, checked.answer),
            "choice": choice,
            "confidence": min(1.0, confidence),
            "steps": checked.steps if cited else voted.steps,
            "report": voted.report.model_copy(update={"citations_dropped": dropped}),
        }
    )


def _same(before: Reply | None, after: Reply | None) -> bool:
    if before is None or after is None:
        return False
    return (before.choice, before.answer) == (after.choice, after.answer)


def build(settings: Settings) -> Fera:
    """Raises ConfigError(bad_vote_model)."""
    vote = load_vote(settings.vote_model)
    return Fera(settings, vote.stated if vote is not None else {})
