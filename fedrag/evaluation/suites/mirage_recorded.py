"""MIRAGE with recorded answers: two models with and without retrieval as four sources, with their reasoning text.

Which source is right, how to combine them, and what their agreement is worth, with no model at hand. `pmids` is the
answer's evidence and is not read.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedrag.core.config import Config
from fedrag.encoders import ENCODERS
from fedrag.evaluation.recorded import measure
from fedrag.evaluation.recordings import RecordedQuestion, RecordedTask, answers_of
from fedrag.evaluation.report import Findings
from fedrag.evaluation.run import Run, records


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class MirageRecorded:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        package = run.package("mirage")
        return package / "questions_dev.jsonl", package / "traces_dev.jsonl.gz"

    def evaluate(self, run: Run) -> Findings:
        return measure(recorded_task(*self.inputs(run)), run, ENCODERS.build("minilm"))


def recorded_task(questions: Path, traced: Path) -> RecordedTask:
    with gzip.open(traced, "rt", encoding="utf-8") as lines:
        traces = {one["id"]: one["traces"] for one in map(json.loads, lines)}
    asked = records(questions)
    return RecordedTask(
        suite="mirage-recorded",
        questions=tuple(_question(one, traces[one["id"]]) for one in asked),
        gold={one["id"]: one["answer"] for one in asked},
        best="gpt4_cot",
        order=("gpt4_rag32", "gpt4_cot", "gpt35_rag32", "gpt35_cot"),
        pair=("gpt4_cot", "gpt4_rag32"),
        notes=(
            "The benchmark's own scorer counts an answer it cannot read as A; here it is wrong.",
            "Models of mid 2023 on old public exam sets: for comparing ways to combine them, not for the models.",
            "The reasoning texts are handed to every method; only the weighted votes look into them, for gaps.",
        ),
    )


def _question(one: dict[str, Any], traces: dict[str, str]) -> RecordedQuestion:
    return RecordedQuestion(one["id"], one["dataset"], one["question"], one["options"], answers_of(one["arms"], traces))


def build(settings: Settings) -> MirageRecorded:  # noqa: ARG001 - has none
    return MirageRecorded()
