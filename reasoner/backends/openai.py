"""A language model behind any OpenAI-compatible server: chain of thought over weighted evidence, citations checked.

    fit the evidence → ask → take thinking apart → parse → check citations → calibrate

When the model does not answer readably in time, the extractive answer is given instead and `fallback` says why.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from fedrag.core.answer import (
    Abstention,
    AbstentionCode,
    Evidence,
    ReasonerReport,
    Reasoning,
    ReasoningStep,
)
from fedrag.core.config import Config
from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError, DeadlineExceeded, FedragError, ProtocolError
from fedrag.core.exchange import Processor, ProcessorPlace
from fedrag.core.protocols import Reasoner
from fedrag.core.question import Question
from fedrag.core.wire import Name
from reasoner.backends import BackendBuilder, Surroundings, extractive
from reasoner.chat_server import ChatServer
from reasoner.citations import check_numbers, check_text, marks
from reasoner.confidence import choice_probability, mean_token_probability, model_confidence
from reasoner.heads import Head, load
from reasoner.language_model import Asked, Known, LanguageModel, answers
from reasoner.parsing import Reply
from reasoner.prompts import FENCE_BYTES

STRATEGY: Final = "joint"
RESERVED_MS: Final = 1500.0
"""Kept of the deadline for the extractive answer, but never more than RESERVED_SHARE of it."""
RESERVED_SHARE: Final = 0.3
UNSTATED_UNCERTAINTY: Final = 0.5


class Settings(Config):
    """`api_key_env` names an environment variable, never holds the key. `maximum_tokens` is for the answer,
    `thinking_tokens` comes on top for models that think first. `context_tokens` overrides what the server reports.
    `place` is what hospitals are told about where the model runs: answer honestly, their policies depend on it."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/[^\s]*)?$")]
    model: Name
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    place: ProcessorPlace = ProcessorPlace.TRUST_DOMAIN
    maximum_tokens: Annotated[int, Field(ge=64, le=32_768)] = 1024
    thinking_tokens: Annotated[int, Field(ge=0, le=131_072)] = 0
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    context_tokens: Annotated[int, Field(ge=512)] | None = None


@dataclass(frozen=True, slots=True)
class OpenAI:
    """`fallback` answers when the model does not."""

    model: LanguageModel
    place: ProcessorPlace
    head: Head
    fallback: Reasoner
    surroundings: Surroundings

    @property
    def processor(self) -> Processor:
        return Processor(model=self.model.name, place=self.place)

    async def aclose(self) -> None:
        await self.model.server.aclose()

    async def reason(self, question: Question, evidence: Evidence, deadline: Deadline) -> Reasoning:
        """Always an answer or an abstention; never raises for what the model or its server does."""
        if not evidence.passages:
            return await self.fallback.reason(question, evidence, deadline)
        left = deadline.remaining_ms()
        kept = 1 - min(RESERVED_SHARE, RESERVED_MS / left) if left > 0 else 1.0
        try:
            fence = self.surroundings.entropy(FENCE_BYTES).hex()
            asked = await self.model.ask(question, evidence, fence, deadline.share(kept))
        except DeadlineExceeded:
            return await self._instead("model_timed_out", question, evidence, Asked(evidence), deadline)
        except ProtocolError:
            return await self._instead("model_unparsable", question, evidence, Asked(evidence), deadline)
        except FedragError:
            return await self._instead("model_unavailable", question, evidence, Asked(evidence), deadline)
        if asked.reply is None:
            return await self._instead("model_unparsable", question, evidence, asked, deadline)
        return self._reasoning(question, asked, asked.reply)

    async def _instead(
        self, code: str, question: Question, evidence: Evidence, asked: Asked, deadline: Deadline
    ) -> Reasoning:
        made = await self.fallback.reason(question, evidence, deadline)
        report = made.report.model_copy(
            update={
                "fallback": code,
                "retries": asked.retries,
                "prompt_tokens": asked.prompt_tokens,
                "completion_tokens": asked.completion_tokens,
            }
        )
        return made.model_copy(update={"report": report})

    def _reasoning(self, question: Question, asked: Asked, reply: Reply) -> Reasoning:
        checked = checked_steps(reply, {one.number for one in asked.evidence.passages})
        tokens = asked.completion.tokens if asked.completion else ()
        by_choice = choice_probability(tokens, answers(question), reply.choice) if reply.choice else None
        confidence = model_confidence(
            self.head,
            stated=reply.confidence,
            token=mean_token_probability(tokens) if by_choice is None else by_choice,
            cited_share=checked.cited_share,
            dropped=checked.dropped,
        )
        insufficient = Abstention(
            code=AbstentionCode.EVIDENCE_INSUFFICIENT,
            explanation="The model found that the released passages do not answer this question.",
        )
        return Reasoning(
            text="" if reply.insufficient else _answer(question, reply.choice, checked.answer),
            choice=None if reply.insufficient else reply.choice,
            confidence=confidence,
            abstained=insufficient if reply.insufficient else None,
            steps=checked.steps,
            report=ReasonerReport(
                backend="openai",
                model=self.model.name,
                strategy=STRATEGY,
                citations_dropped=checked.dropped,
                passages_trimmed=asked.trimmed,
                retries=asked.retries,
                prompt_tokens=asked.prompt_tokens,
                completion_tokens=asked.completion_tokens,
            ),
        )


@dataclass(frozen=True, slots=True)
class CheckedReply:
    """A reply whose citations all name released passages. `cited_share` counts steps and answer alike."""

    steps: tuple[ReasoningStep, ...]
    answer: str
    cited_share: float
    dropped: int


def checked_steps(reply: Reply, released: set[int]) -> CheckedReply:
    """Citations of anything else are dropped and counted. A step that is left without any is wholly uncertain and says
    so; an answer that marks none gets those of its steps."""
    steps, dropped = [], 0
    for thought in reply.thoughts:
        text, listed = check_text(thought.text, released), check_numbers(thought.citations, released)
        dropped += text.dropped + listed.dropped
        citations = tuple(dict.fromkeys((*listed.citations, *text.citations)))
        uncertainty = UNSTATED_UNCERTAINTY if thought.uncertainty is None else thought.uncertainty
        steps.append(
            ReasoningStep(
                text=text.text if citations else f"{text.text} (no source)",
                citations=citations,
                uncertainty=uncertainty if citations else 1.0,
            )
        )
    answer = check_text(reply.answer, released)
    used = tuple(dict.fromkeys(number for step in steps for number in step.citations))
    shown = answer.text if answer.citations or not used else f"{answer.text} {marks(used)}".strip()
    cited = [bool(step.citations) for step in steps] + [bool(answer.citations or used)]
    return CheckedReply(tuple(steps), shown, sum(cited) / len(cited), dropped + answer.dropped)


def _answer(question: Question, choice: str | None, answer: str) -> str:
    """The letter and its option stand first, whatever the model wrote around them."""
    option = question.options.get(choice) if choice else None
    if option is None or answer.startswith(f"{choice}."):
        return answer or (choice or "")
    return f"{choice}. {option}\n{answer}".strip()


def build(settings: Settings) -> BackendBuilder:
    """Raises ConfigError `missing_secret`, once built around its surroundings, when the named variable is not set."""
    heads = load()

    def around(surroundings: Surroundings) -> OpenAI:
        key = surroundings.environment.get(settings.api_key_env, "") if settings.api_key_env else ""
        if settings.api_key_env and not key:
            raise ConfigError(f"environment variable {settings.api_key_env} is not set", code="missing_secret")
        model = LanguageModel(
            server=ChatServer(settings.base_url, key),
            name=settings.model,
            maximum_tokens=settings.maximum_tokens + settings.thinking_tokens,
            temperature=settings.temperature,
            known=Known(context_tokens=settings.context_tokens),
        )
        fallback = extractive.build(extractive.Settings())(surroundings)
        return OpenAI(model, settings.place, heads.confidence.model, fallback, surroundings)

    return around
