"""The answers to sub-questions made into one: passages numbered anew and each told once, citations with them, every
hospital's part in it added up."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from math import prod
from typing import Final, TypeVar

from aggregator.weights import FEW_SOURCES, fill, largest_weight
from fedrag.core.answer import (
    Answer,
    AnswerPart,
    BudgetUsed,
    Conflict,
    DisclosureAccount,
    Evidence,
    EvidencePassage,
    NodeDisclosure,
    Notice,
    ReasonerReport,
    ReasoningStep,
    StageTiming,
)
from fedrag.core.collection import RankedNode, RoutingDecision
from fedrag.core.exchange import NodeOutcome, NodeStatus
from fedrag.core.purse import Spent
from fedrag.core.question import Question
from fedrag.core.wire import NodeId, RequestId

_CITATION: Final = re.compile(r"\[(\d+)\]")
_T = TypeVar("_T")
_SAID: Final = (NodeStatus.ANSWERED, NodeStatus.AWAITING_RELEASE)


@dataclass(frozen=True, slots=True)
class Answered:
    """A sub-question's answer, what it was allotted and cost, and whether a cap ended it."""

    answer: Answer
    allotted: int | None
    spent: Spent
    cut_short: bool


def join(answer_id: RequestId, question: Question, parts: Sequence[Answered]) -> Answer:
    """At least one part. The confidence is that all parts that have an answer are right, as if they were independent;
    where none has one, the whole abstains as the first does."""
    answers = [part.answer for part in parts]
    evidence, renumbered = _merged([one.evidence for one in answers])
    told = [one for one in answers if one.abstained is None]
    first = answers[0]
    return Answer(
        id=answer_id,
        question=question,
        text="\n".join(_told(one, of) for one, of in zip(answers, renumbered, strict=True)) if told else "",
        choice=None,
        confidence=prod(one.confidence for one in told) if told else first.confidence,
        abstained=None if told else first.abstained,
        steps=tuple(_step(step, of) for one, of in zip(answers, renumbered, strict=True) for step in one.steps),
        evidence=evidence,
        coverage=_coverage([one.coverage for one in answers]),
        routing=_routing([one.routing for one in answers]),
        disclosure=_disclosure([one.disclosure for one in answers]),
        redactions=(),
        reasoner=_report([one.reasoner for one in answers]),
        budget=_budget([one.budget for one in answers]),
        timings=_timings(answers),
        notices=_notices(answers),
        answered_at=datetime.now(UTC),
        parts=tuple(_part(part, of) for part, of in zip(parts, renumbered, strict=True)),
    )


Numbers = Mapping[int, int]
"""Number of a passage in its part → in the whole."""


def _merged(evidence: Sequence[Evidence]) -> tuple[Evidence, list[Numbers]]:
    """Handles are drawn anew for every question: a passage is known by its hospital and where it stands."""
    numbers: dict[tuple[str, ...], int] = {}
    kept: list[EvidencePassage] = []
    renumbered: list[Numbers] = []
    for one in evidence:
        of: dict[int, int] = {}
        for passage in one.passages:
            cited = passage.passage.citation
            place = (passage.node, cited.document_id, cited.version, cited.locator, passage.passage.text)
            if place not in numbers:
                numbers[place] = len(numbers) + 1
                kept.append(passage.model_copy(update={"number": numbers[place]}))
            of[passage.number] = numbers[place]
        renumbered.append(of)
    weights = _weights([one.source_weights for one in evidence if one.source_weights])
    return (
        Evidence(
            passages=tuple(one.model_copy(update={"weight": weights.get(one.node, 0.0)}) for one in kept),
            source_weights=weights,
            few_sources=len(weights) < FEW_SOURCES,
            reliability={node: known for one in evidence for node, known in one.reliability.items()},
            conflicts=tuple(
                _conflict(found, of) for one, of in zip(evidence, renumbered, strict=True) for found in one.conflicts
            ),
            method=evidence[0].method,
        ),
        renumbered,
    )


def _weights(weights: Sequence[Mapping[NodeId, float]]) -> dict[NodeId, float]:
    """The mean over the parts that have evidence, under the cap of the hospitals of all of them."""
    mean: dict[NodeId, float] = {}
    for one in weights:
        for node, weight in one.items():
            mean[node] = mean.get(node, 0.0) + weight / len(weights)
    return {node: min(1.0, share) for node, share in fill(mean, 1.0, largest_weight(len(mean))).items()} if mean else {}


def _conflict(found: Conflict, of: Numbers) -> Conflict:
    sides = {
        side: quote.model_copy(update={"citation": of[quote.citation]})
        for side, quote in (("first", found.first), ("second", found.second))
    }
    return found.model_copy(update={**sides, "newer": None if found.newer is None else of[found.newer]})


def _cited(text: str, of: Numbers) -> str:
    """A number in brackets that is no passage of the part was no citation and stays as it is."""
    return _CITATION.sub(lambda mark: f"[{of.get(int(mark[1]), int(mark[1]))}]", text)


def _step(step: ReasoningStep, of: Numbers) -> ReasoningStep:
    citations = tuple(of[number] for number in step.citations if number in of)
    return step.model_copy(update={"text": _cited(step.text, of), "citations": citations})


def _told(answer: Answer, of: Numbers) -> str:
    said = f"No answer: {answer.abstained.explanation}" if answer.abstained else _cited(answer.text, of)
    return f"{answer.question.text}\n{said}"


def _part(part: Answered, of: Numbers) -> AnswerPart:
    answer = part.answer
    return AnswerPart(
        id=answer.id,
        question=answer.question.text,
        text=_cited(answer.text, of),
        confidence=answer.confidence,
        abstained=answer.abstained,
        asked_of=answer.disclosure.question_shown_to,
        citations=tuple(sorted({of[number] for step in answer.steps for number in step.citations if number in of})),
        allotted=part.allotted,
        spent=part.spent,
        cut_short=part.cut_short,
    )


def _coverage(coverage: Sequence[Sequence[NodeOutcome]]) -> tuple[NodeOutcome, ...]:
    """Of each hospital the first thing that went wrong; how long it took in all."""

    def over_all(outcomes: Sequence[NodeOutcome]) -> NodeOutcome:
        asked = [one for one in outcomes if one.status is not NodeStatus.NOT_SELECTED] or outcomes
        worst = next((one for one in asked if one.status not in _SAID), asked[0])
        return worst.model_copy(update={"elapsed_ms": sum(one.elapsed_ms for one in outcomes)})

    return tuple(over_all(outcomes) for outcomes in _by_node(coverage, lambda one: one.node))


def _routing(decisions: Sequence[RoutingDecision]) -> RoutingDecision:
    """The best rank of each hospital over the parts."""
    best: dict[NodeId, RankedNode] = {}
    for one in (one for decision in decisions for one in decision.ranking):
        if one.node not in best or one.probability > best[one.node].probability:
            best[one.node] = one
    ranking = tuple(sorted(best.values(), key=lambda one: (-one.probability, one.node)))
    selected = tuple(dict.fromkeys(node for one in decisions for node in one.selected))
    why = f"{len(decisions)} sub-questions, each routed on its own."
    return decisions[0].model_copy(update={"ranking": ranking, "selected": selected, "why": why})


def _disclosure(accounts: Sequence[DisclosureAccount]) -> DisclosureAccount:
    """Counted as often as it was given away."""

    def over_all(given: Sequence[NodeDisclosure]) -> NodeDisclosure:
        epsilons = [one.epsilon for one in given if one.epsilon is not None]
        added = {
            name: sum(getattr(one, name) for one in given) for name in ("passages", "text_bytes", "patients", "traces")
        }
        return given[0].model_copy(update={**added, "epsilon": sum(epsilons) if len(epsilons) == len(given) else None})

    shown = sorted({node for one in accounts for node in one.question_shown_to})
    hospitals = tuple(over_all(given) for given in _by_node([one.hospitals for one in accounts], lambda one: one.node))
    return accounts[0].model_copy(update={"question_shown_to": tuple(shown), "hospitals": hospitals})


def _report(reports: Sequence[ReasonerReport]) -> ReasonerReport:
    """Of who reasoned, with what was put right added up; the first fallback of any part counts for the whole."""
    who = next((one for one in reports if one.backend != "none"), reports[0])
    counts = [name for name, field in ReasonerReport.model_fields.items() if type(field.default) is int]
    added = {name: sum(getattr(one, name) for one in reports) for name in counts}
    fallback = next((one.fallback for one in reports if one.fallback), "")
    return who.model_copy(update={**added, "fallback": fallback, "cut_short": any(one.cut_short for one in reports)})


def _budget(budgets: Sequence[BudgetUsed]) -> BudgetUsed:
    names = ("nodes_asked", "messages", "bytes_received", "model_tokens")
    return BudgetUsed(**{name: sum(getattr(one, name) for one in budgets) for name in names})


def _timings(answers: Sequence[Answer]) -> tuple[StageTiming, ...]:
    stages: dict[str, float] = {}
    for one in (timing for answer in answers for timing in answer.timings):
        stages[one.stage] = stages.get(one.stage, 0.0) + one.elapsed_ms
    return tuple(StageTiming(stage=stage, elapsed_ms=elapsed_ms) for stage, elapsed_ms in stages.items())


def _notices(answers: Sequence[Answer]) -> tuple[Notice, ...]:
    """Each once; what may still be released is to be looked for at the part."""
    told = [one for answer in answers for one in answer.notices if one.code != "awaiting_release"]
    if waiting := [answer.id for answer in answers if answer.awaiting]:
        message = f"More may be released for a sub-question: look at {', '.join(waiting)} again later."
        told.append(Notice(code="part_awaiting_release", message=message))
    missing = sum(answer.abstained is not None for answer in answers)
    if 0 < missing < len(answers):
        message = f"{missing} of {len(answers)} sub-questions have no answer."
        told.append(Notice(code="part_unanswered", message=message))
    return tuple(dict.fromkeys(told))


def _by_node(several: Sequence[Sequence[_T]], node: Callable[[_T], NodeId]) -> list[list[_T]]:
    found = sorted((one for some in several for one in some), key=node)
    return [list(group) for _, group in groupby(found, key=node)]
