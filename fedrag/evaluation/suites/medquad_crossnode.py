"""MedQuAD cross-node: one condition at several owners, asked for by a synonym. The headline of retrieval and routing.

The judgements are silver: made by rule from the data set's own concepts and question types. Those annotations, and the
synonyms, reach no index; the concept only keeps its questions in one fold.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

from fedrag.core.config import Config
from fedrag.encoders import ENCODERS
from fedrag.evaluation import routing
from fedrag.evaluation.corpus import Query
from fedrag.evaluation.report import Findings
from fedrag.evaluation.retrieval import RetrievalTask, documents_of, grades_of, measure
from fedrag.evaluation.run import Run, records


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class MedQuadCrossnode:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        package = run.package("medquad_crossnode")
        corpus = run.package("medquad_liveqa") / "corpus.jsonl.gz"
        return corpus, package / "queries_dev.jsonl", package / "qrels_dev.jsonl"

    def evaluate(self, run: Run) -> Findings:
        corpus, queries, judgements = self.inputs(run)
        with gzip.open(corpus, "rt", encoding="utf-8") as lines:
            answered = [one for one in map(json.loads, lines) if one["has_answer"]]
        task = RetrievalTask(
            suite="medquad-crossnode",
            documents=documents_of(
                answered, lambda one: (str(one["question"]), str(one["answer"]), str(one["question"]))
            ),
            queries=tuple(Query(one["query_id"], one["text"], group=one["concept"]) for one in records(queries)),
            grades=grades_of(records(judgements)),
            embed=("title",),
            notes=(
                """A document's words are its question and answer; its vector is that of its question alone, which \
finds far better.""",
                "Folds keep the questions about one condition together.",
                "A perfect score is out of reach: some synonyms are broad and some concepts loosely attached.",
            ),
        )
        encoder = ENCODERS.build("minilm")
        found, whom = measure(task, run, encoder), routing.measure(task, run, encoder)
        return Findings((*found.tables, *whom.tables), (*found.pictures, *whom.pictures), (*found.notes, *whom.notes))


def build(settings: Settings) -> MedQuadCrossnode:  # noqa: ARG001 - has none
    return MedQuadCrossnode()
