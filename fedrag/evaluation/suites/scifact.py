"""SciFact: claims and the abstracts they cite, eight hospitals by hash. It proves the harness; no router can choose
among hospitals dealt out by lot, and an honest one asks all of them.

Central BM25 must come out where the data set's README has it (0.696 on the development half, 0.679 on the standard 300
claims, equal to the published figure).
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedrag.core.config import Config
from fedrag.encoders import ENCODERS
from fedrag.evaluation import routing
from fedrag.evaluation.bearing import bearing_table
from fedrag.evaluation.corpus import Query
from fedrag.evaluation.encoders import Cached
from fedrag.evaluation.report import Findings
from fedrag.evaluation.retrieval import RetrievalTask, documents_of, grades_of, measure
from fedrag.evaluation.run import Run, records


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class SciFact:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        package = run.package("scifact")
        return package / "corpus.jsonl.gz", package / "queries_dev.jsonl", package / "qrels_dev.jsonl"

    def evaluate(self, run: Run) -> Findings:
        corpus, queries, judgements = self.inputs(run)
        with gzip.open(corpus, "rt", encoding="utf-8") as lines:
            abstracts = [json.loads(line) for line in lines]
        task = RetrievalTask(
            suite="scifact",
            documents=documents_of(
                abstracts, lambda one: (str(one["title"]), str(one["text"]), f"{one['title']} {one['text']}")
            ),
            queries=tuple(_query(one) for one in records(queries)),
            grades=grades_of(records(judgements)),
            embed=("title", "text"),
            notes=(
                "Relevant means cited, as in BEIR; 38 % of the claims have no evidence in the abstract they cite.",
                "Folds keep claims that cite the same abstract together.",
                "An abstract is one vector: what lies beyond the encoder's window of 256 tokens does not count.",
            ),
        )
        encoder = ENCODERS.build("minilm")
        found, whom = measure(task, run, encoder), routing.measure(task, run, encoder)
        sentences = {str(one["doc_id"]): one["sentences"] for one in abstracts}
        bearing = bearing_table(run, records(queries), sentences, Cached(encoder, run.vectors(encoder)))
        return Findings(
            (bearing, *found.tables, *whom.tables), (*found.pictures, *whom.pictures), (*found.notes, *whom.notes)
        )


def _query(one: Mapping[str, Any]) -> Query:
    """Claims about one abstract are much alike: a fold that knew one would know the other's answer."""
    return Query(str(one["query_id"]), one["claim"], group=min(one["cited_doc_ids"]))


def build(settings: Settings) -> SciFact:  # noqa: ARG001 - has none
    return SciFact()
