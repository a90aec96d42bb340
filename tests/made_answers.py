"""Answers as a federation would give them, for the tests of the evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from fedrag.core.answer import (
    Abstention,
    AbstentionCode,
    Answer,
    BudgetUsed,
    DisclosureAccount,
    Evidence,
    EvidencePassage,
    NodeDisclosure,
    QueryDisclosure,
    ReasonerReport,
    ReasoningStep,
    StageTiming,
)
from fedrag.core.collection import RoutingDecision
from fedrag.core.exchange import Citation, ReleasedPassage
from fedrag.core.question import AskRequest
from fedrag.core.wire import ReleaseClass


@contextmanager
def silent(what: str) -> Iterator[object]:
    yield lambda done, total: None


def made(request: AskRequest, *, text: str, choice: str | None = None, abstained: bool = False) -> Answer:
    """An answer that cites the first of two passages."""
    passages = tuple(
        EvidencePassage(
            number=number,
            node=node,
            passage=ReleasedPassage(
                handle=str(number) * 64,
                text=held,
                citation=Citation(document_id=name, document_name=name, section="Dose", locator="char=0,9"),
                release_class=ReleaseClass.PROTOCOL,
            ),
            probability=0.9,
            weight=0.5,
        )
        for number, (node, name, held) in enumerate(
            [("north", "a/warfarin.md", "Give 5 mg daily."), ("south", "b/aspirin.md", "Give 75 mg.")], start=1
        )
    )
    return Answer(
        id="0" * 32,
        question=request.question,
        text=text,
        choice=choice,
        confidence=0.8,
        abstained=Abstention(code=AbstentionCode.NO_EVIDENCE, explanation="none") if abstained else None,
        steps=() if abstained else (ReasoningStep(text=text, citations=(1,), uncertainty=0.2),),
        evidence=Evidence(passages=passages, source_weights={"north": 0.5, "south": 0.5}, few_sources=True, method="m"),
        coverage=(),
        routing=RoutingDecision(policy="broadcast", ranking=(), selected=("north", "south"), why="all"),
        disclosure=DisclosureAccount(
            question_shown_to=("north", "south"),
            question_shown_as=QueryDisclosure.TEXT,
            hospitals=(NodeDisclosure(node="north", passages=2, text_bytes=9, patients=0),),
        ),
        redactions=(),
        reasoner=ReasonerReport(backend="extractive", model="m", strategy="joint"),
        budget=BudgetUsed(nodes_asked=2, messages=4, bytes_received=1000, model_tokens=0),
        timings=(StageTiming(stage="encode", elapsed_ms=10), StageTiming(stage="reason", elapsed_ms=30)),
        notices=(),
        answered_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
