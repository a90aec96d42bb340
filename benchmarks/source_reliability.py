"""Whether feedback finds out which hospitals can be relied on.

Eight hospitals, each right with a probability of its own, evenly from 0.25 to 0.95. Each of 200 questions has five of
them, drawn, with claims drawn from 0.5 to 2; the answer is what they choose by their weights of that moment, which
learn as the product's do: the same weights, votes, store and posterior (real SQLite, twenty days of a clock that is
moved). Twenty askers take turns. Each thing they say is false with probability 0.1; of the adversaries each thing is,
and where the worst hospital took part they name its citations alone as helpful.

What is told: `right or wrong` on questions with four options, `citations` that helped as well or alone, and, on open
questions without any vote, right or wrong alone, where good and bad sources of one answer cannot be told apart.

Printed per case: Spearman's rank correlation of learned and planted reliability over seeds, and the share of answers
right in the first and in the last hundred questions, beside those of weights that do not learn.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from reporting import Figure, Table, circumstances, goals

from aggregator.reliability import UNKNOWN
from aggregator.votes import certify
from aggregator.weights import claims_of, source_weights
from fedrag.config import FeedbackConfig
from fedrag.core.answer import (
    Answer,
    BudgetUsed,
    DisclosureAccount,
    Evidence,
    EvidencePassage,
    Feedback,
    QueryDisclosure,
    ReasonerReport,
    ReasoningStep,
    Reliability,
)
from fedrag.core.collection import RoutingDecision
from fedrag.core.exchange import Citation, ReleasedPassage
from fedrag.core.question import Question
from fedrag.core.wire import NodeId, ReleaseClass, new_request_id
from fedrag.feedback import FeedbackStore

PLANTED: Final = {f"hospital-{at}": float(right) for at, right in enumerate(np.linspace(0.25, 0.95, 8))}
WORST: Final = min(PLANTED, key=PLANTED.__getitem__)
OPTIONS: Final = "ABCD"
SOURCES: Final = 5
ASKERS: Final = 20
NOISE: Final = 0.1
GOAL: Final = 0.95
SECONDS_BETWEEN: Final = 20 * 86_400 / 200


@dataclass(frozen=True)
class Case:
    """What askers tell, and whether the questions have options."""

    name: str
    options: bool
    verdicts: bool
    citations: bool
    judged: bool


CASES: Final = (
    Case("options; right or wrong", options=True, verdicts=True, citations=False, judged=True),
    Case("options; right or wrong, citations", options=True, verdicts=True, citations=True, judged=True),
    Case("open; right or wrong, citations", options=False, verdicts=True, citations=True, judged=True),
    Case("open; right or wrong alone", options=False, verdicts=True, citations=False, judged=False),
)


@dataclass(frozen=True)
class Run:
    """One seed of one case."""

    correlation: float
    early: float
    late: float


def simulate(case: Case, adversaries: float, questions: int, seed: int, *, learning: bool, folder: Path) -> Run:
    draws, now_s = np.random.default_rng(seed), [1_700_000_000.0]
    store = FeedbackStore(
        folder / f"{case.name}-{adversaries}-{seed}-{learning}.sqlite".replace(" ", ""),
        FeedbackConfig(),
        clock=lambda: now_s[0],
    )
    right: list[bool] = []
    for number in range(questions):
        now_s[0] += SECONDS_BETWEEN
        sources = sorted(draws.choice(list(PLANTED), SOURCES, replace=False).tolist())
        truth = OPTIONS[draws.integers(len(OPTIONS))]
        said = {node: truth if draws.random() < PLANTED[node] else wrong(truth, draws) for node in sources}
        learned = store.reliability() if learning else {}
        answer = answered({node: float(draws.uniform(0.5, 2)) for node in sources}, said, learned, case)
        correct = answer.choice == truth if case.options else open_answer_is_right(answer, said, truth)
        right.append(correct)
        asker = number % ASKERS
        false = asker < adversaries * ASKERS
        store.remember(answer, f"asker-{asker}")
        store.record(answer.id, told(case, answer, said, truth, correct, draws, false=false), f"asker-{asker}")
    learned = store.reliability()
    store.close()
    half = questions // 2
    correlation = spearman([learned.get(node, UNKNOWN).mean for node in PLANTED], list(PLANTED.values()))
    return Run(correlation, float(np.mean(right[:half])), float(np.mean(right[-half:])))


def wrong(truth: str, draws: np.random.Generator) -> str:
    return str(draws.choice([option for option in OPTIONS if option != truth]))


def open_answer_is_right(answer: Answer, said: Mapping[NodeId, str], truth: str) -> bool:
    """When more than half of the weight is right."""
    return sum(weight for node, weight in answer.evidence.source_weights.items() if said[node] == truth) > 0.5


def told(
    case: Case,
    answer: Answer,
    said: Mapping[NodeId, str],
    truth: str,
    correct: bool,
    draws: np.random.Generator,
    *,
    false: bool,
) -> Feedback:
    """What an asker says of an answer; `false`: an adversary."""

    def stated(what: bool) -> bool:
        return what != (false or draws.random() < NOISE)

    helpful = [one.number for one in answer.evidence.passages if stated(said[one.node] == truth)]
    praised = [one.number for one in answer.evidence.passages if one.node == WORST]
    return Feedback(
        answer_id=answer.id,
        correct=stated(correct) if case.verdicts else None,
        helpful_citations=tuple(praised if false and praised else helpful) if case.citations else (),
    )


def answered(
    claims: Mapping[NodeId, float], said: Mapping[NodeId, str], learned: Mapping[NodeId, Reliability], case: Case
) -> Answer:
    """An answer as the product makes it, with one passage per hospital for each unit of claim or part of it."""
    parts = [(node, share) for node, claim in claims.items() for share in (min(1.0, claim), claim - 1.0) if share > 0]
    passages = [passage(number, node, share) for number, (node, share) in enumerate(parts, start=1)]
    evidence = Evidence(
        passages=tuple(passages),
        source_weights=source_weights(claims_of(parts), learned),
        few_sources=False,
        reliability={node: learned.get(node, UNKNOWN) for node in claims},
        method="simulated",
    )
    certificate = certify(evidence, said, None) if case.options else None
    return Answer(
        id=new_request_id(),
        question=Question(text="?"),
        text="!",
        choice=certificate.choice if certificate else None,
        confidence=0.5,
        abstained=None,
        steps=(ReasoningStep(text="!", citations=tuple(range(1, len(passages) + 1)), uncertainty=0.5),),
        evidence=evidence,
        certificate=certificate,
        coverage=(),
        routing=RoutingDecision(policy="simulated", ranking=(), selected=(), why=""),
        disclosure=DisclosureAccount(question_shown_to=(), question_shown_as=QueryDisclosure.TEXT, hospitals=()),
        redactions=(),
        reasoner=ReasonerReport(backend="simulated", model="simulated", strategy="vote"),
        budget=BudgetUsed(nodes_asked=0, messages=0, bytes_received=0, model_tokens=0),
        timings=(),
        notices=(),
        answered_at=datetime.now(UTC),
    )


def passage(number: int, node: NodeId, probability: float) -> EvidencePassage:
    return EvidencePassage(
        number=number,
        node=node,
        passage=ReleasedPassage(
            handle="0" * 64,
            text="-",
            citation=Citation(document_id="d", document_name="d", locator="char=0,1"),
            release_class=ReleaseClass.PUBLIC,
        ),
        probability=probability,
        weight=0.0,
    )


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Rank correlation; equal values share their mean rank."""
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def ranks(values: Sequence[float]) -> list[float]:
    return [sum(value < this for value in values) + (values.count(this) - 1) / 2 for this in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=20)
    chosen = parser.parse_args()
    rows, figures = [], []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            fixed = [
                simulate(case, 0, chosen.questions, seed, learning=False, folder=Path(folder))
                for seed in range(chosen.seeds)
            ]
            for adversaries in (0.0, 0.2):
                runs = [
                    simulate(case, adversaries, chosen.questions, seed, learning=True, folder=Path(folder))
                    for seed in range(chosen.seeds)
                ]
                found = [run.correlation for run in runs]
                shown = f"{np.mean(found):.3f} ({min(found):.3f}-{max(found):.3f})"
                rows.append(
                    (
                        case.name,
                        f"{adversaries:.0%}",
                        shown,
                        f"{np.mean([one >= GOAL for one in found]):.0%}",
                        float(np.mean([run.early for run in runs])),
                        float(np.mean([run.late for run in runs])),
                        float(np.mean([run.late for run in fixed])),
                    )
                )
                what = f"{case.name}, {adversaries:.0%} adversaries: Spearman, mean over seeds"
                wanted = case.judged and adversaries == 0
                figures.append(
                    Figure(
                        "reliability",
                        what,
                        shown,
                        f"≥ {GOAL}" if wanted else "printed",
                        float(np.mean(found)) >= GOAL if wanted else None,
                    )
                )
    columns = (
        "told",
        "adversaries",
        "Spearman: mean (least-most)",
        f"seeds ≥ {GOAL}",
        "right, first half",
        "right, second half",
        "right, second half, weights that do not learn",
    )
    print(goals(figures).as_markdown())
    title = f"{len(PLANTED)} hospitals, {chosen.questions} questions, {chosen.seeds} seeds, noise {NOISE:.0%}"
    print(Table(title, columns, tuple(rows)).as_markdown())
    print(circumstances())


if __name__ == "__main__":
    main()
