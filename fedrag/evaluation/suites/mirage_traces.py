"""MIRAGE's recorded arms as four hospitals that reason themselves: real processes, asked through the live API.

Each arm is a node whose model replays what the arm wrote; a coordinator without a language model has them vote. What
comes back is held against the same votes made in this process: they must be equal, choice and confidence. Asked are
questions of the first fold; the calibrated vote is fitted on the other four.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from fedrag.config import CoordinatorConfig, LearningConfig
from fedrag.config import StatisticsConfig as Shared
from fedrag.core.answer import Answer
from fedrag.core.config import Config, PluginConfig
from fedrag.core.question import AskRequest, Intent, Question
from fedrag.core.wire import ReleaseClass
from fedrag.evaluation.contenders import fold_of
from fedrag.evaluation.metrics.bootstrap import paired_difference
from fedrag.evaluation.recorded import majority
from fedrag.evaluation.recorded_votes import answers, calibrated, fera
from fedrag.evaluation.recordings import RecordedQuestion, RecordedTask, Vote
from fedrag.evaluation.report import Cell, Findings, Table
from fedrag.evaluation.run import Run
from fedrag.evaluation.suites.mirage_recorded import MirageRecorded, recorded_task
from fedrag.local_federation import LocalFederation
from fedrag.pipeline import redact
from fedrag.redaction import PatternRedactor
from reasoner.source_answer import SourceAnswer
from reasoner.training.fit_votes import Judged, fit_votes, whole
from retriever_node.config import CollectionConfig, NodeConfig, StatisticsConfig, TracesConfig

QUESTIONS: Final = 120
"""Asked where no other number is given."""
FOLD: Final = 0
DEADLINE_MS: Final = 60_000
CALIBRATED: Final = "calibrated vote"
FERA: Final = "weighted vote (FERA, UA-WA)"
TOLERANCE: Final = 1e-9


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Served:
    """What the API answered to one question, and how long it took."""

    answer: Answer
    elapsed_s: float

    @property
    def vote(self) -> Vote:
        return Vote(self.answer.choice, self.answer.confidence)

    @property
    def hospitals(self) -> int:
        """That answered with a chain of thought of their own."""
        return sum(one.traces > 0 for one in self.answer.disclosure.hospitals)


@dataclass(frozen=True, slots=True)
class MirageTraces:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        return MirageRecorded().inputs(run)

    def evaluate(self, run: Run) -> Findings:
        questions, traced = self.inputs(run)
        task = recorded_task(questions, traced)
        asked = chosen(task, run.limit or QUESTIONS, run.seed)
        expected = {CALIBRATED: _calibrated_here(task, asked), FERA: {one.id: fera(one) for one in asked}}
        with tempfile.TemporaryDirectory() as folder:
            served = serve(task, asked, Path(folder), run)
        return Findings(
            tables=(_equality(served, expected, asked), _accuracy(served, asked, task, run.seed)),
            notes=(
                f"Four nodes that reason and a coordinator, each a process; {len(asked)} questions of the first fold.",
                "The models are those of the recording; measured is the way of their answers through the product.",
                "Questions are redacted on their way like any other; recordings are looked up by what is left.",
            ),
        )


def chosen(task: RecordedTask, number: int, seed: int) -> tuple[RecordedQuestion, ...]:
    """Of the first fold, in an order that mixes the sets; only what a request can hold."""
    fitting = [one for one in task.questions if fold_of(one.id) == FOLD and _asked(one) is not None]
    return tuple(sorted(fitting, key=lambda one: hashlib.sha256(f"{seed}/{one.id}".encode()).digest())[:number])


def serve(
    task: RecordedTask, asked: Sequence[RecordedQuestion], folder: Path, run: Run
) -> dict[str, dict[str, Served]]:
    """Vote → question → what the API answered."""
    arms = tuple(task.questions[0].answers)
    vote = folder / "vote.json"
    others = [one for one in task.questions if fold_of(one.id) != FOLD]
    cases = [Judged(_by_node(one), one.options, task.gold[one.id]) for one in others]
    fitted = whole(fit_votes(tuple(map(node_of, arms)), cases), cases)
    vote.write_text(fitted.model_dump_json(), encoding="utf-8")
    hospitals = [_hospital(arm, asked, folder / "sources" / node_of(arm)) for arm in arms]
    settings: Mapping[str, dict[str, object]] = {
        CALIBRATED: {"weights": "calibrated", "vote_model": str(vote)},
        FERA: {"weights": "fera", "temperature": 1.0},
    }
    federation = LocalFederation(folder / "federation", hospitals, _coordinator({}))
    with federation:
        federation.create()
        with run.progress("ingest") as told:
            federation.ingest(told)
        nodes = federation.start_nodes()
        made: dict[str, dict[str, Served]] = {}
        for name, chosen_one in settings.items():
            federation.coordinator = _coordinator(chosen_one)
            federation.start_coordinator(nodes)
            made[name] = _ask(federation, asked, run.progress(name))
            federation.stop_coordinator()
        return made


def _ask(
    federation: LocalFederation,
    asked: Sequence[RecordedQuestion],
    progress: AbstractContextManager[Callable[[int, int], None]],
) -> dict[str, Served]:
    served: dict[str, Served] = {}
    with federation.client() as client, progress as told:
        for done, one in enumerate(asked, start=1):
            told(done, len(asked))
            question = _asked(one)
            if question is not None:
                began = time.perf_counter()
                answer = client.ask(question)
                served[one.id] = Served(answer, time.perf_counter() - began)
    return served


def _by_node(one: RecordedQuestion) -> dict[str, SourceAnswer]:
    return {node_of(arm): said for arm, said in answers(one).items()}


def node_of(arm: str) -> str:
    return arm.replace("_", "-")


def _hospital(arm: str, asked: Sequence[RecordedQuestion], folder: Path) -> NodeConfig:
    documents = folder / "documents"
    documents.mkdir(parents=True)
    (documents / "about.md").write_text(f"# About\n\nThis node replays what {arm} wrote.\n", encoding="utf-8")
    recording = folder / "recorded.jsonl"
    with recording.open("w", encoding="utf-8") as file:
        for one in asked:
            question, _, _ = redact(Question(text=one.text, options=dict(one.options)), None, PatternRedactor())
            said = one.answers[arm]
            line = {"question": question.text, "options": question.options}
            file.write(json.dumps(line | {"choice": said.choice, "trace": said.reasoning}) + "\n")
    reasoner = PluginConfig(name="recorded", settings={"file": str(recording)})
    return NodeConfig(
        node=node_of(arm),
        name=arm,
        encoder=PluginConfig(name="hashing"),
        index=PluginConfig(name="faiss_flat"),
        collections=(CollectionConfig(id="about", folder=documents, release_class=ReleaseClass.PUBLIC),),
        statistics=StatisticsConfig(share=False),
        traces=TracesConfig(reasoner=reasoner, passages=0),
    )


def _coordinator(settings: Mapping[str, object]) -> CoordinatorConfig:
    return CoordinatorConfig(
        coordinator="mirage-traces",
        encoder=PluginConfig(name="hashing"),
        routing=PluginConfig(name="broadcast"),
        reasoner=PluginConfig(name="traces", settings=dict(settings)),
        statistics=Shared(share=False),
        learning=LearningConfig(enabled=False),
    )


def _asked(one: RecordedQuestion) -> AskRequest | None:
    """None for one that a request cannot hold."""
    try:
        return AskRequest(
            question=Question(text=one.text, options=dict(one.options)),
            routing="broadcast",
            intent=Intent.VIEWPOINTS,
            search_options=False,
            deadline_ms=DEADLINE_MS,
        )
    except ValidationError:
        return None


def _calibrated_here(task: RecordedTask, asked: Sequence[RecordedQuestion]) -> dict[str, Vote]:
    """The vote of `mirage-recorded`: of the first fold, fitted on the others."""
    wanted = {one.id for one in asked}
    apart = calibrated(task, task.questions, lambda one: "asked" if fold_of(one.id) == FOLD else "others")
    return {one.question.id: one.vote for one in apart if one.question.id in wanted}


def _equality(
    served: Mapping[str, Mapping[str, Served]],
    expected: Mapping[str, Mapping[str, Vote]],
    asked: Sequence[RecordedQuestion],
) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, of in served.items():
        voted = [one for one in asked if any(said.choice for said in one.answers.values())]
        choices = sum(of[one.id].vote.choice == expected[name][one.id].choice for one in voted)
        apart = [abs(of[one.id].vote.confidence - expected[name][one.id].confidence) for one in voted]
        elapsed = sorted(one.elapsed_s for one in of.values())
        rows.append(
            (
                name,
                len(voted),
                choices,
                sum(one <= TOLERANCE for one in apart),
                f"{max(apart):.1e}",
                sum(one.hospitals == len(asked[0].answers) for one in of.values()),
                round(1000 * elapsed[len(elapsed) // 2], 1),
            )
        )
    return Table(
        "The API's answers against the same votes in this process",
        (
            "vote",
            "questions",
            "same choice",
            "same confidence",
            "largest difference",
            "questions that all four hospitals answered",
            "ms per question (median)",
        ),
        tuple(rows),
        note=f"Confidence is the same where it differs by at most {TOLERANCE:.0e}.",
    )


def _accuracy(
    served: Mapping[str, Mapping[str, Served]], asked: Sequence[RecordedQuestion], task: RecordedTask, seed: int
) -> Table:
    agree = majority(task.best)
    plain = [float(agree(one).choice == task.gold[one.id]) for one in asked]
    rows: list[tuple[Cell, ...]] = [
        (f"source: {arm}", sum(one.answers[arm].choice == task.gold[one.id] for one in asked) / len(asked), "")
        for arm in asked[0].answers
    ]
    rows.append((f"majority, ties to {task.best}", sum(plain) / len(plain), ""))
    for name, of in served.items():
        right = [float(of[one.id].vote.choice == task.gold[one.id]) for one in asked]
        rows.append((f"through the API: {name}", sum(right) / len(right), str(paired_difference(right, plain, seed))))
    return Table(
        "Strict accuracy on these questions", ("system", "accuracy", "difference from the majority"), tuple(rows)
    )


def build(settings: Settings) -> MirageTraces:  # noqa: ARG001 - has none
    return MirageTraces()
