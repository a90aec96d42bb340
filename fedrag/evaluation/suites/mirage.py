"""MIRAGE through a running federation: exam and research questions, retrieved for by the question alone.

The federation at `--url` searches whatever collections are enrolled there, with the model it is configured for; the
report says which hospitals these were. `pmids` is never read; which corpora held a question's best passages reaches
nothing but the oracle's arm. What it will take is estimated from the first questions and told before the rest is asked.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fedrag.client import Client
from fedrag.core.config import Config
from fedrag.core.errors import FedragError
from fedrag.core.question import AskRequest, Question
from fedrag.evaluation.answer_tables import confidence_pictures, confidence_table
from fedrag.evaluation.answers import Judgement, Reply, answer_pictures, ask, price_table
from fedrag.evaluation.baselines.closed_book import closed_book
from fedrag.evaluation.metrics.bootstrap import paired_difference
from fedrag.evaluation.metrics.outcomes import Outcome
from fedrag.evaluation.metrics.strict_accuracy import strict_accuracy
from fedrag.evaluation.model_server import ModelServer
from fedrag.evaluation.report import NOT_RUN, Cell, Findings, Table, mean
from fedrag.evaluation.run import Run, records

SUITE: Final = "mirage"
CORPORA: Final = frozenset({"pubmed", "statpearls", "textbooks", "wikipedia"})
ROUTED: Final = "fedrag: routed"
BROADCAST: Final = "fedrag: broadcast"
CENTRAL: Final = "central index, same model"
ORACLE: Final = "oracle hospitals, same model"
CLOSED: Final = "no retrieval, same model"
WANTING: Final = {
    CLOSED: "--model-url and --model name the model that answers without retrieval",
    CENTRAL: "--central-url names a federation whose only hospital holds everything",
    ORACLE: f"hospitals named {', '.join(sorted(CORPORA))}, as in the benchmark, can be told apart",
}
_SAMPLE: Final = 5


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Asked:
    """`best` are the corpora that held the question's best passages; only the oracle asks them alone."""

    id: str
    group: str
    text: str
    options: Mapping[str, str]
    answer: str
    best: tuple[str, ...]
    routing: str = "mixture"
    nodes: tuple[str, ...] | None = None

    @property
    def request(self) -> AskRequest:
        question = Question(text=self.text, options=dict(self.options))
        return AskRequest(
            question=question, routing=self.routing, nodes=self.nodes, search_options=False, deadline_ms=600_000
        )


@dataclass(frozen=True, slots=True)
class Mirage:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        run.running()
        return (run.package("mirage") / "questions_dev.jsonl",)

    def evaluate(self, run: Run) -> Findings:
        (path,) = self.inputs(run)
        questions = sorted((_asked(one) for one in records(path)), key=lambda one: _place(one.id, run.seed))
        estimate = _estimate(questions, run)
        replies = _arms(questions, run)
        asked = [one for one in questions if one.id in replies[ROUTED]]
        outcomes = {name: [_outcome(one, made[one.id]) for one in asked] for name, made in replies.items()}
        if run.model:
            outcomes = {CLOSED: _without_retrieval(asked, run, run.model)} | outcomes
        answers = [reply.answer for made in replies.values() for reply in made.values() if reply.answer]
        wanting = tuple(f"{name}: not run; {what}." for name, what in WANTING.items() if name not in outcomes)
        return Findings(
            tables=(
                _accuracy(asked, outcomes, run),
                confidence_table(outcomes),
                *(
                    replace(price_table(made.values()), title=f"Price per question, {name}")
                    for name, made in replies.items()
                ),
            ),
            pictures=(*confidence_pictures(outcomes), *answer_pictures(replies[ROUTED].values())),
            notes=(
                f"Searched: {', '.join(_searched(replies[ROUTED])) or 'no hospital answered'}.",
                f"Models: {', '.join(sorted({answer.reasoner.model for answer in answers})) or 'none'}.",
                estimate,
                *wanting,
                "Hospitals are searched with the question alone, as the benchmark does; the reasoner sees the options.",
                "Old public exam sets: any recent model may have read them.",
                "PubMedQA* is in none of the development questions.",
            ),
        )


def _arms(questions: Sequence[Asked], run: Run) -> dict[str, dict[str, Reply]]:
    """What every arm that this run allows for replied."""
    service = run.running()
    replies = {ROUTED: _replies("routed", questions, run)}
    replies[BROADCAST] = _replies("broadcast", [replace(one, routing="broadcast") for one in questions], run)
    if service.central:
        elsewhere = replace(run, service=replace(service, url=service.central))
        replies[CENTRAL] = _replies("central", [replace(one, routing="broadcast") for one in questions], elsewhere)
    if CORPORA.issubset(_searched(replies[ROUTED])):
        told = [replace(one, routing="broadcast", nodes=one.best or None) for one in questions]
        replies[ORACLE] = _replies("oracle", told, run)
    return replies


def _replies(arm: str, questions: Sequence[Asked], run: Run) -> dict[str, Reply]:
    service = run.running()
    with Client(service.url, service.key, authority=service.authority) as client:
        return ask(f"{SUITE}/{arm}", questions, run, client)


def _estimate(questions: Sequence[Asked], run: Run) -> str:
    """From the first questions; they are kept, so they are not asked twice."""
    number = min(len(questions), run.limit or len(questions))
    sample = replace(run, limit=min(_SAMPLE, number))
    made = [reply.answer for reply in _replies("routed", questions, sample).values() if reply.answer]
    tokens = mean([float(one.budget.model_tokens) for one in made])
    seconds = mean([sum(timing.elapsed_ms for timing in one.timings) / 1000 for one in made])
    told = (
        f"Estimated per arm, from {len(made)} questions: {number * tokens:,.0f} tokens,"
        f" {number * seconds / 3600:.2f} hours."
    )
    with run.progress(told) as shown:
        shown(len(made), number)
    return told


def _without_retrieval(asked: Sequence[Asked], run: Run, model: ModelServer) -> list[Outcome]:
    def put(one: Asked) -> dict[str, object]:
        try:
            made = closed_book(one.text, one.options, model)
        except FedragError as error:
            return {"choice": None, "confidence": 0.0, "tokens": 0, "code": error.code}
        return {"choice": made.choice, "confidence": made.confidence, "tokens": made.tokens, "code": ""}

    kept = run.recorded(f"{SUITE}/no-retrieval", asked, f"closed book, {model.model} at {model.url}", put)
    return [
        Outcome(made["choice"] is not None, made["choice"] == one.answer, float(str(made["confidence"])))
        for one, made in ((one, kept[one.id]) for one in asked)
    ]


def _searched(replies: Mapping[str, Reply]) -> tuple[str, ...]:
    answers = [reply.answer for reply in replies.values() if reply.answer]
    return tuple(sorted({one.node for answer in answers for one in answer.coverage}))


def build(settings: Settings) -> Mirage:  # noqa: ARG001 - has none
    return Mirage()


def _place(question_id: str, seed: int) -> bytes:
    """So that the first so many are a sample of all five sets."""
    return hashlib.sha256(f"{seed}/{question_id}".encode()).digest()


def _asked(one: Mapping[str, object]) -> Asked:
    options, corpora = one["options"], one.get("relevant_corpora")
    return Asked(
        str(one["id"]),
        str(one["dataset"]),
        str(one["question"]),
        options if isinstance(options, dict) else {},
        str(one["answer"]),
        tuple(sorted(str(corpus) for corpus in corpora)) if isinstance(corpora, list) else (),
    )


def _outcome(one: Asked, reply: Reply) -> Outcome:
    return Judgement(reply, reply.answer is not None and reply.answer.choice == one.answer).outcome


def _accuracy(asked: Sequence[Asked], outcomes: Mapping[str, Sequence[Outcome]], run: Run) -> Table:
    groups = sorted({one.group for one in asked})
    systems = dict(outcomes) | {
        f"constant: always {letter}": [Outcome(True, one.answer == letter, 1.0) for one in asked] for letter in "ABCD"
    }
    reference = [float(one.correct) for one in outcomes[BROADCAST]]
    rows: list[tuple[Cell, ...]] = [
        ("questions", len(asked), *(sum(one.group == group for one in asked) for group in groups), "")
    ]
    for name, made in systems.items():
        by_group = [
            strict_accuracy([one for one, put in zip(made, asked, strict=True) if put.group == group])
            for group in groups
        ]
        difference = paired_difference([float(one.correct) for one in made], reference, run.seed)
        rows.append((name, strict_accuracy(made), *by_group, str(difference)))
    rows += [(name, *(NOT_RUN,) * (len(groups) + 2)) for name in WANTING if name not in outcomes]
    return Table("Strict accuracy", ("system", "all", *groups, "difference from broadcast"), tuple(rows))
