"""FeB4RAG: which of 16 search engines to ask, from a sentence or two about each (Wang et al. 2024).

`origin_engine` gives the label away: it only forms the groups of leave-origin-out, and no method sees it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedrag.core.config import Config
from fedrag.encoders import ENCODERS
from fedrag.evaluation.report import Findings
from fedrag.evaluation.run import Run, records
from fedrag.evaluation.selection import Request, SelectionTask, measure


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class FeB4RAG:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        package = run.package("feb4rag_selection")
        return package / "engines.jsonl", package / "requests_dev.jsonl"

    def evaluate(self, run: Run) -> Findings:
        engines, requests = self.inputs(run)
        task = SelectionTask(
            suite="feb4rag",
            sources={str(one["engine"]): str(one["description"]) for one in records(engines)},
            requests=tuple(_request(one) for one in records(requests)),
            notes=(
                "The engines' documents are not public, so no source can publish prototypes; only selection is scored.",
                "Relevance is a language model's judgement (the authors report kappa 0.57 with people).",
                """Published figures are for all 790 requests; these are the 375 of the development half, whose \
origins differ, so they need not agree.""",
            ),
        )
        return measure(task, run, ENCODERS.build("minilm"))


def _request(one: Mapping[str, Any]) -> Request:
    return Request(str(one["query_id"]), one["text"], one["origin_engine"], one["engine_relevance"])


def build(settings: Settings) -> FeB4RAG:  # noqa: ARG001 - has none
    return FeB4RAG()
