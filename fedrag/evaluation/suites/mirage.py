"""MIRAGE through a running federation: exam and research questions, put as an asker would put them.

The federation at `--url` searches whatever collections are enrolled there, with the model it is configured for; the
report says which hospitals these were. `pmids` and `relevant_corpora` are never read. What it will take is estimated
from the first questions and printed before the rest is asked.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fedrag.client import Client
from fedrag.core.config import Config
from fedrag.core.question import AskRequest, Question
from fedrag.evaluation.answer_tables import confidence_pictures, confidence_table
from fedrag.evaluation.answers import Judgement, Reply, answer_pictures, ask, price_table
from fedrag.evaluation.metrics.bootstrap import paired_difference
from fedrag.evaluation.metrics.outcomes import Outcome
from fedrag.evaluation.metrics.strict_accuracy import strict_accuracy
from fedrag.evaluation.report import NOT_BUILT, Cell, Findings, Table, mean
from fedrag.evaluation.run import Run, Service, records

SUITE: Final = "mirage"
ARMS: Final = {"fedrag: routed": "prototypes", "fedrag: broadcast": "broadcast"}
MISSING: Final = ("no retrieval, same model", "central index, same model", "oracle hospitals, same model")
_SAMPLE: Final = 5


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Asked:
    id: str
    group: str
    text: str
    options: Mapping[str, str]
    answer: str
    routing: str = "prototypes"

    @property
    def request(self) -> AskRequest:
        question = Question(text=self.text, options=dict(self.options))
        return AskRequest(question=question, routing=self.routing, deadline_ms=600_000)


@dataclass(frozen=True, slots=True)
class Mirage:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        run.running()
        return (run.package("mirage") / "questions_dev.jsonl",)

    def evaluate(self, run: Run) -> Findings:
        (path,) = self.inputs(run)
        questions = sorted((_asked(one) for one in records(path)), key=lambda one: _place(one.id, run.seed))
        estimate = self._estimate(questions, run)
        replies = {name: self._replies(routing, questions, run) for name, routing in ARMS.items()}
        asked = [one for one in questions if one.id in replies["fedrag: routed"]]
        outcomes = {name: [_judged(one, made[one.id]).outcome for one in asked] for name, made in replies.items()}
        answers = [reply.answer for made in replies.values() for reply in made.values() if reply.answer]
        searched = sorted({one.node for answer in answers for one in answer.coverage})
        routed = replies["fedrag: routed"].values()
        return Findings(
            tables=(
                _accuracy(asked, outcomes, run),
                confidence_table(outcomes),
                replace(price_table(routed), title="Price per question, routed"),
                replace(price_table(replies["fedrag: broadcast"].values()), title="Price per question, broadcast"),
            ),
            pictures=(*confidence_pictures(outcomes), *answer_pictures(routed)),
            notes=(
                f"Searched: {', '.join(searched) or 'no hospital answered'}.",
                f"Models: {', '.join(sorted({answer.reasoner.model for answer in answers})) or 'none'}.",
                estimate,
                "The product searches with question and options; the benchmark retrieves by the question alone.",
                "Old public exam sets: any recent model may have read them.",
                "PubMedQA* is in none of the development questions.",
            ),
        )

    def _estimate(self, questions: Sequence[Asked], run: Run) -> str:
        """From the first questions; they are kept, so they are not asked twice."""
        number = min(len(questions), run.limit or len(questions))
        sample = replace(run, limit=min(_SAMPLE, number))
        made = [reply.answer for reply in self._replies("prototypes", questions, sample).values() if reply.answer]
        tokens = mean([float(one.budget.model_tokens) for one in made])
        seconds = mean([sum(timing.elapsed_ms for timing in one.timings) / 1000 for one in made])
        total = number * len(ARMS)
        told = (
            f"Estimated from {len(made)} questions: {total * tokens:,.0f} tokens, {total * seconds / 3600:.2f} hours."
        )
        with run.progress(told) as shown:
            shown(len(made), total)
        return told

    def _replies(self, routing: str, questions: Sequence[Asked], run: Run) -> dict[str, Reply]:
        service: Service = run.running()
        put = [replace(one, routing=routing) for one in questions]
        with Client(service.url, service.key, authority=service.authority) as client:
            return ask(f"{SUITE}/{routing}", put, run, client)


def build(settings: Settings) -> Mirage:  # noqa: ARG001 - has none
    return Mirage()


def _place(question_id: str, seed: int) -> bytes:
    """So that the first so many are a sample of all five sets."""
    return hashlib.sha256(f"{seed}/{question_id}".encode()).digest()


def _asked(one: Mapping[str, object]) -> Asked:
    options = one["options"]
    return Asked(
        str(one["id"]),
        str(one["dataset"]),
        str(one["question"]),
        options if isinstance(options, dict) else {},
        str(one["answer"]),
    )


def _judged(one: Asked, reply: Reply) -> Judgement:
    return Judgement(reply, reply.answer is not None and reply.answer.choice == one.answer)


def _accuracy(asked: Sequence[Asked], outcomes: Mapping[str, Sequence[Outcome]], run: Run) -> Table:
    groups = sorted({one.group for one in asked})
    systems = dict(outcomes) | {
        f"constant: always {letter}": [Outcome(True, one.answer == letter, 1.0) for one in asked] for letter in "ABCD"
    }
    reference = [float(one.correct) for one in outcomes["fedrag: broadcast"]]
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
    rows += [(name, *(NOT_BUILT,) * (len(groups) + 2)) for name in MISSING]
    return Table("Strict accuracy", ("system", "all", *groups, "difference from broadcast"), tuple(rows))
