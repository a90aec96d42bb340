"""Extractive fusion of evidence: sentences of released passages, quoted and cited. No language model, no invention.

    split into sentences → score against the question → choose few and different → decide → show

Where a choice is wanted, each hospital's passages are also read alone: what they would choose is their vote, told with
the answer and without influence on it.

The encoder measures likeness, small trained heads (`heads.json`) turn it into probabilities. It does not read: where an
answer takes arithmetic, a table or the joining of two statements, its confidence is all that says so.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from fedrag.core.answer import (
    Abstention,
    AbstentionCode,
    Conflict,
    ConflictKind,
    Evidence,
    EvidencePassage,
    Quote,
    ReasonerReport,
    Reasoning,
    ReasoningStep,
)
from fedrag.core.config import Config
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import Processor, ProcessorPlace
from fedrag.core.protocols import Encoder
from fedrag.core.question import Question
from fedrag.encoders.remembering import Remembering
from reasoner.backends import BackendBuilder, Surroundings
from reasoner.conclusion import Conclusion, conclude
from reasoner.heads import Heads, load
from reasoner.instructions import disarmed
from reasoner.statements import MAXIMUM_STATEMENTS, Statement, read
from reasoner.votes import chosen, votes

STRATEGY: Final = "joint"
SIGNALS: Final = ("decision", "answerable")
"""What its confidence is made of: how clearly the evidence decides, and whether it holds an answer at all."""
SHOWN_CONFLICTS: Final = 3
STATEMENT_MS: Final = 20.0
"""What reading one sentence is taken to cost when time is short: about twice what it does on one core."""
LEAST_STATEMENTS: Final = 8
_WORDS: Final = {"yes": "Yes", "no": "No", "maybe": "Maybe"}


class Settings(Config):
    """`quotes`: sentences an answer is made of, at most. `share`: a sentence is quoted when its support is at least
    this share of the best one's. `abstain_below`: smallest probability that the evidence holds an answer; None takes
    the fitted threshold."""

    quotes: Annotated[int, Field(ge=1, le=20)] = 6
    share: Annotated[float, Field(gt=0, le=1)] = 0.25
    abstain_below: Annotated[float, Field(ge=0, le=1)] | None = None


@dataclass(frozen=True, slots=True)
class Extractive:
    """Deterministic; takes about 10 ms of one processor core per sentence of evidence, encoding included."""

    encoder: Encoder
    heads: Heads
    settings: Settings

    @property
    def processor(self) -> Processor:
        return Processor(model=self.encoder.identity.name, place=ProcessorPlace.COORDINATOR)

    async def reason(self, question: Question, evidence: Evidence, deadline: Deadline) -> Reasoning:
        """With little time left fewer sentences are read, those of the best passages; a started reading is finished."""
        affordable = int(deadline.remaining_ms() / STATEMENT_MS)
        return await asyncio.to_thread(self._reason, question, evidence, max(LEAST_STATEMENTS, affordable))

    async def aclose(self) -> None:
        """There is nothing to give back."""

    def _reason(self, question: Question, evidence: Evidence, maximum: int) -> Reasoning:
        evidence, found = disarmed(evidence)
        made = self._reasoned(question, evidence, maximum)
        return made.model_copy(update={"report": made.report.model_copy(update={"instructions_found": found})})

    def _reasoned(self, question: Question, evidence: Evidence, maximum: int) -> Reasoning:
        encoder = Remembering(self.encoder)
        reading = read(question, evidence, encoder, self.heads.support, min(maximum, MAXIMUM_STATEMENTS))
        if not reading.statements:
            return self._abstained(AbstentionCode.NO_EVIDENCE, "No hospital released a passage for this question.")
        made = conclude(question, evidence, reading, self.heads, quotes=self.settings.quotes, share=self.settings.share)
        stated = self.settings.abstain_below
        threshold = self.heads.answerable_threshold if stated is None else stated
        if made.answerable < threshold:
            told = f"The released passages probably do not answer this question (probability {made.answerable:.2f})."
            return self._abstained(AbstentionCode.EVIDENCE_INSUFFICIENT, told, made.confidence * made.answerable)
        passages = {passage.number: passage for passage in evidence.passages}
        return Reasoning(
            text=_text(question, made, passages),
            choice=chosen(made),
            confidence=made.confidence,
            abstained=None,
            steps=tuple(_steps(question, made, passages)),
            report=self._report(),
            votes=votes(question, evidence, reading, encoder, self.heads, threshold),
        )

    def _abstained(self, code: AbstentionCode, explanation: str, confidence: float = 0.0) -> Reasoning:
        return Reasoning(
            text="",
            choice=None,
            confidence=confidence,
            abstained=Abstention(code=code, explanation=explanation),
            steps=(),
            report=self._report(),
        )

    def _report(self) -> ReasonerReport:
        return ReasonerReport(
            backend="extractive", model=self.encoder.identity.name, strategy=STRATEGY, signals=SIGNALS
        )


Passages = dict[int, EvidencePassage]


def _text(question: Question, made: Conclusion, passages: Passages) -> str:
    parts = []
    if made.verdict:
        option = question.options.get(made.verdict.choice)
        parts.append(f"{made.verdict.choice}. {option}." if option else f"{_WORDS[made.verdict.word]}.")
    elif made.options:
        letter = made.options[0].letter
        parts.append(f"{letter}. {question.options[letter]}")
    differences = [_difference(conflict, passages) for conflict in made.conflicts[:SHOWN_CONFLICTS]]
    quotes = [_quoted(one) for one in made.quotes]
    parts.extend([*differences, *quotes] if made.conflicts_matter else [*quotes, *differences])
    return "\n".join(parts)


def _steps(question: Question, made: Conclusion, passages: Passages) -> Iterator[ReasoningStep]:
    for one in made.quotes:
        yield ReasoningStep(
            text=f"{_source(passages[one.citation])}: {_quoted(one)}",
            citations=(one.citation,),
            uncertainty=1 - one.support,
        )
    for conflict in made.conflicts[:SHOWN_CONFLICTS]:
        cited = tuple(dict.fromkeys((conflict.first.citation, conflict.second.citation)))
        yield ReasoningStep(text=_difference(conflict, passages), citations=cited, uncertainty=1.0)
    cited = tuple(dict.fromkeys(one.citation for one in made.quotes))
    if made.verdict:
        yield ReasoningStep(
            text=f"Taken together the quotes lean to {made.verdict.word!r}.",
            citations=cited,
            uncertainty=1 - made.verdict.probability,
        )
    elif made.options:
        best = made.options[0]
        yield ReasoningStep(
            text=f"Option {best.letter} ({question.options[best.letter]}) agrees best with the evidence, above all "
            f"with [{best.best.citation}].",
            citations=(best.best.citation,),
            uncertainty=1 - best.probability,
        )


def _difference(conflict: Conflict, passages: Passages) -> str:
    first, second = (
        f"{passages[quote.citation].node}{_dated(passages[quote.citation])} says {_words_of(quote, passages)}"
        for quote in (conflict.first, conflict.second)
    )
    who = "Two editions" if conflict.kind is ConflictKind.SUPERSEDED else "The hospitals"
    return f"{who} differ ({conflict.kind.value}): {first}; {second}."


def _words_of(quote: Quote, passages: Passages) -> str:
    """A quote that does not stand in its passage is not shown as one."""
    genuine = quote.text in passages[quote.citation].passage.text
    return f"“{quote.text}” [{quote.citation}]" if genuine else f"otherwise [{quote.citation}]"


def _quoted(one: Statement) -> str:
    return f"“{one.text}” [{one.citation}]"


def _source(passage: EvidencePassage) -> str:
    citation = passage.passage.citation
    return f"{passage.node}, {citation.title or citation.document_name}" + (
        f", {citation.section}" if citation.section else ""
    )


def _dated(passage: EvidencePassage) -> str:
    effective = passage.passage.citation.effective_date
    return f" ({effective.isoformat()})" if effective else ""


def build(settings: Settings) -> BackendBuilder:
    """Raises IntegrityError when the shipped heads are damaged."""
    heads = load()

    def around(surroundings: Surroundings) -> Extractive:
        return Extractive(surroundings.encoder, heads, settings)

    return around
