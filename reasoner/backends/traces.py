"""A vote over what hospitals' own models answered, with no language model here (FERA's UA-WA).

Who has nothing to say is silent; where nobody has, the extractive answer is given of what was released.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from fedrag.core.answer import Certificate, Evidence, ReasonerReport, Reasoning, ReasoningStep
from fedrag.core.config import Config
from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError
from fedrag.core.exchange import Processor, ProcessorPlace
from fedrag.core.protocols import Encoder, Reasoner, SourceChains
from fedrag.core.question import Question
from fedrag.core.traces import Told
from reasoner.answering import options_of, titled
from reasoner.backends import BackendBuilder, Surroundings, extractive
from reasoner.chains import Chain
from reasoner.drift import LeftOut
from reasoner.grouping import by_choice, by_meaning, heaviest
from reasoner.hospital_chains import HOSPITALS_SHARE, chain_of, counted, heard_of, silent, source_chain
from reasoner.vote_certificate import certified
from reasoner.vote_model import VoteModel, load_vote
from reasoner.weighted_vote import fera_weights, weighted_vote

NAME: Final = "traces"


class Settings(Config):
    """`weights`: `calibrated` by a file that `fedrag calibrate` wrote; `fera`: exp(-u / τ) of what each states of its
    own uncertainty, which a liar sets to zero; `equal`."""

    weights: Literal["calibrated", "fera", "equal"] = "equal"
    vote_model: Path | None = None
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


@dataclass(frozen=True, slots=True)
class Traces:
    settings: Settings
    judged: VoteModel | None
    encoder: Encoder
    fallback: Reasoner
    left_out: LeftOut = frozenset

    @property
    def processor(self) -> Processor:
        return Processor(model=NAME, place=ProcessorPlace.COORDINATOR)

    @property
    def hears(self) -> bool:
        return True

    @property
    def beside(self) -> bool:
        return False

    async def aclose(self) -> None:
        return

    async def reason(self, question: Question, evidence: Evidence, deadline: Deadline) -> Reasoning:
        """No hospital that was asked reasons itself."""
        made = await self.fallback.reason(question, evidence, deadline)
        return made.model_copy(update={"report": made.report.model_copy(update={"fallback": "no_traces"})})

    async def reason_with(
        self, question: Question, evidence: Evidence, sources: SourceChains, deadline: Deadline
    ) -> Reasoning:
        nodes = sources.nodes
        heard = await sources.ask(dict.fromkeys(nodes, Told()), 1, deadline.share(HOSPITALS_SHARE))
        stated = self.judged.stated if self.judged is not None else {}
        answered = [
            chain_of(heard[node], question, evidence, stated) if node in heard else silent(node) for node in nodes
        ]
        made = counted(answered, self.left_out())
        if not any(one.answered for one in made):
            return await self.reason(question, evidence, deadline)
        return await asyncio.to_thread(self._decided, question, made)

    def _decided(self, question: Question, made: tuple[Chain, ...]) -> Reasoning:
        options = options_of(question)
        said = {one.node: one.said for one in made if one.answered}
        weights = self._weights(made)
        choices = {node: one.choice for node, one in said.items()}
        groups = by_choice(choices) if options else by_meaning(choices, self.encoder)
        choice: str | None = None
        fitted = self.judged if options else None
        of: Mapping[str, float] = {}
        certificate: Certificate | None = None
        if options:
            every = heard_of(made)
            of = fitted.probabilities(every, options) if fitted else weighted_vote(said, weights, options)
            choice = max(of, key=lambda option: (of[option], option))
            winners = next((group for group in groups if choices[group[0]] == choice), ())
            confidence = of[choice]
            if self.settings.weights != "fera":  # a weight that its source states has no bound
                certificate = certified(every, of, choice, fitted)
        else:
            winners = heaviest(groups, weights)
            confidence = sum(weights[node] for node in winners)
        speaker = next((one for one in made if one.node in winners), None)
        words = speaker.checked.answer if speaker is not None and speaker.checked is not None else ""
        return Reasoning(
            text=titled(question, choice, words),
            choice=choice,
            confidence=min(1.0, confidence),
            abstained=None,
            steps=tuple(
                step.model_copy(update={"text": f"{one.node}: {step.text}"})
                for one in made
                if one.node in winners and one.checked is not None
                for step in one.checked.steps
            )
            + tuple(_otherwise(one) for one in made if one.answered and one.node not in winners),
            report=ReasonerReport(backend=NAME, model=NAME, strategy=self._strategy, signals=self._signals),
            answer_set=fitted.sets.told(of) if fitted is not None and fitted.sets is not None else None,
            certificate=certificate,
            chains=tuple(source_chain(one, None if fitted else weights.get(one.node)) for one in made),
        )

    def _weights(self, made: tuple[Chain, ...]) -> dict[str, float]:
        said = {one.node: one.said for one in made if one.answered}
        if self.settings.weights == "fera":
            return fera_weights(said, self.settings.temperature)
        worth = {one.node: one.confidence for one in made if one.answered}
        whole = sum(worth.values())
        return {node: of / whole if whole else 1 / len(worth) for node, of in worth.items()}

    @property
    def _strategy(self) -> str:
        return f"{self.settings.weights}_vote"

    @property
    def _signals(self) -> tuple[str, ...]:
        if self.judged is not None:
            return ("judged_votes", "admissions", "stated_uncertainty", "agreement")
        return ("stated_uncertainty", "agreement") if self.settings.weights == "fera" else ("agreement",)


def _otherwise(one: Chain) -> ReasoningStep:
    answer = one.checked.answer if one.checked is not None else ""
    told = f"{one.node}: otherwise: {one.reply.choice or '' if one.reply else ''} {answer}".strip()
    return ReasoningStep(text=told, citations=(), uncertainty=1 - one.confidence)


def build(settings: Settings) -> BackendBuilder:
    """Raises ConfigError(bad_vote_model)."""
    if (settings.weights == "calibrated") != (settings.vote_model is not None):
        raise ConfigError('weights = "calibrated" and vote_model go together', code="bad_vote_model")
    judged = load_vote(settings.vote_model)

    def around(surroundings: Surroundings) -> Traces:
        fallback = extractive.build(extractive.Settings())(surroundings)
        return Traces(settings, judged, surroundings.encoder, fallback, surroundings.left_out)

    return around
