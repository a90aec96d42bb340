"""A language model as a reasoner, whichever it is and wherever it runs: a strategy asks it; where it does not answer
readably in time, the extractive answer is given instead and `fallback` says why."""

import asyncio
from dataclasses import dataclass, replace
from typing import Annotated, Final

from pydantic import Field

from fedrag.core.answer import Evidence, Reasoning
from fedrag.core.config import Config, PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.errors import BudgetSpent, DeadlineExceeded, FedragError, ProtocolError
from fedrag.core.exchange import Processor, ProcessorPlace
from fedrag.core.protocols import Reasoner, SourceChains
from fedrag.core.question import Question
from reasoner.backends import Surroundings, extractive
from reasoner.chat import ChatModel
from reasoner.heads import load
from reasoner.instructions import SUSPECT, cleared
from reasoner.language_model import LanguageModel
from reasoner.prompts import FENCE_BYTES
from reasoner.strategies import STRATEGIES, Parts, Strategy, Unreadable, chains_of
from reasoner.support import judged
from reasoner.usage import Usage

RESERVED_MS: Final = 1500.0
"""Kept of the deadline for the extractive answer, but never more than RESERVED_SHARE of it."""
RESERVED_SHARE: Final = 0.3
CHECK_MS: Final = 800.0
"""With less left, steps are not checked against what they cite."""
ENCODE_MS: Final = 3000.0
"""With less left, only the words of passages say whether they address their reader."""
_SPENT: Final = ("retries", "prompt_tokens", "completion_tokens", "thinking_tokens")


class Generation(Config):
    """What every language model has. `maximum_tokens` is for the answer, `thinking_tokens` comes on top for models that
    think first, and bounds that. `place` is what hospitals are told about where the model runs: answer honestly, their
    policies depend on it."""

    place: ProcessorPlace = ProcessorPlace.TRUST_DOMAIN
    maximum_tokens: Annotated[int, Field(ge=64, le=32_768)] = 1024
    thinking_tokens: Annotated[int, Field(ge=0, le=131_072)] = 0
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    context_tokens: Annotated[int, Field(ge=512)] | None = None
    strategy: PluginConfig = PluginConfig(name="joint")


@dataclass(frozen=True, slots=True)
class Generative:
    """`fallback` answers when the model does not."""

    parts: Parts
    place: ProcessorPlace
    strategy: Strategy
    fallback: Reasoner

    @property
    def processor(self) -> Processor:
        return Processor(model=self.parts.model.model.name, place=self.place)

    async def aclose(self) -> None:
        await self.parts.model.model.aclose()

    @property
    def hears(self) -> bool:
        return chains_of(self.strategy) != "coordinator"

    @property
    def beside(self) -> bool:
        return chains_of(self.strategy) == "both"

    async def reason_with(
        self, question: Question, evidence: Evidence, sources: SourceChains, deadline: Deadline
    ) -> Reasoning:
        return await replace(self, parts=replace(self.parts, sources=sources)).reason(question, evidence, deadline)

    async def reason(self, question: Question, evidence: Evidence, deadline: Deadline) -> Reasoning:
        """Always an answer or an abstention; never raises for what the model or its server does."""
        if not evidence.passages and self.parts.sources is None:
            return await self.fallback.reason(question, evidence, deadline)
        there = self.parts.encoder if deadline.remaining_ms() > ENCODE_MS else None
        read = await asyncio.to_thread(cleared, evidence, there, question)
        made = await self._reasoned(question, read.sure, deadline)
        if read.sure is not read.evidence and self.parts.sources is None and made.abstained is not None:
            made = await self._at_last(question, read.evidence, made, deadline)
        if not made.report.fallback and deadline.remaining_ms() > CHECK_MS:
            made = await asyncio.to_thread(judged, made, read.evidence, self.parts.encoder)
        return made.model_copy(update={"report": made.report.model_copy(update={"instructions_found": read.found})})

    async def _at_last(
        self, question: Question, evidence: Evidence, before: Reasoning, deadline: Deadline
    ) -> Reasoning:
        """With what is in doubt as well, where the rest of the evidence did not answer; what it then says is believed
        the less."""
        if before.report.fallback or deadline.remaining_ms() < RESERVED_MS:
            return before
        made = await self._reasoned(question, evidence, deadline)
        spent = {name: getattr(before.report, name) + getattr(made.report, name) for name in _SPENT}
        if made.abstained is not None or made.report.fallback:
            return before.model_copy(update={"report": before.report.model_copy(update=spent)})
        report = made.report.model_copy(update=spent)
        return made.model_copy(update={"report": report, "confidence": made.confidence * SUSPECT})

    async def _reasoned(self, question: Question, evidence: Evidence, deadline: Deadline) -> Reasoning:
        left = deadline.remaining_ms()
        kept = 1 - min(RESERVED_SHARE, RESERVED_MS / left) if left > 0 else 1.0
        try:
            return await self.strategy.reason(question, evidence, self._marked(), deadline.share(kept))
        except Unreadable as unreadable:
            return await self._instead("model_unparsable", question, evidence, unreadable.usage, deadline)
        except BudgetSpent:
            return await self._instead("budget_spent", question, evidence, Usage(), deadline)
        except DeadlineExceeded:
            return await self._instead("model_timed_out", question, evidence, Usage(), deadline)
        except ProtocolError:
            return await self._instead("model_unparsable", question, evidence, Usage(), deadline)
        except FedragError:
            return await self._instead("model_unavailable", question, evidence, Usage(), deadline)

    def _marked(self) -> Parts:
        """One mark for all prompts of a question: so they begin alike, and a server that keeps what it has read need
        not read it again."""
        mark = self.parts.fence()
        return replace(self.parts, fence=lambda: mark)

    async def _instead(
        self, code: str, question: Question, evidence: Evidence, usage: Usage, deadline: Deadline
    ) -> Reasoning:
        made = await self.fallback.reason(question, evidence, deadline)
        report = made.report.model_copy(
            update={
                "fallback": code,
                "retries": usage.retries,
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "thinking_tokens": usage.thinking_tokens,
            }
        )
        return made.model_copy(update={"report": report})


def generative(backend: str, model: ChatModel, settings: Generation, surroundings: Surroundings) -> Generative:
    """The reasoner around a model. Raises ConfigError for an unknown strategy or setting of it."""
    parts = Parts(
        model=LanguageModel(
            model,
            settings.maximum_tokens + settings.thinking_tokens,
            settings.temperature,
            settings.thinking_tokens,
        ),
        encoder=surroundings.encoder,
        head=load().confidence.model,
        backend=backend,
        fence=lambda: surroundings.entropy(FENCE_BYTES).hex(),
        left_out=surroundings.left_out,
    )
    return Generative(
        parts=parts,
        place=settings.place,
        strategy=STRATEGIES.build(settings.strategy.name, settings.strategy.settings),
        fallback=extractive.build(extractive.Settings())(surroundings),
    )
