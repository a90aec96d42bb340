"""MedQuAD with the TREC 2017 LiveQA questions: nine NIH sources as nine hospitals, judged by hand.

Few questions can be scored (20 in the development half): realism, not proof. What this suite proves is that asking
every hospital equals one central exact index, passage for passage.
"""

import gzip
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import numpy as np

from fedrag.config import CoordinatorConfig, Limits
from fedrag.core.answer import Answer, QueryDisclosure
from fedrag.core.config import Config, PluginConfig
from fedrag.core.protocols import Encoder
from fedrag.core.question import MAXIMUM_QUESTION_CHARACTERS, AskRequest, Question
from fedrag.core.wire import ReleaseClass
from fedrag.encoders import ENCODERS
from fedrag.evaluation.answers import Reply, answer_pictures, ask, price_table
from fedrag.evaluation.baselines.central_bm25 import CentralBM25
from fedrag.evaluation.baselines.central_exact import CentralExact
from fedrag.evaluation.circumstances import digest_of
from fedrag.evaluation.metrics.ndcg import judged, ndcg
from fedrag.evaluation.processor_time import children_processor_s
from fedrag.evaluation.report import NOT_BUILT, Cell, Findings, Table, mean
from fedrag.evaluation.run import Run, records
from fedrag.local_federation import LocalFederation
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.home import NodeHome

SUITE: Final = "medquad-liveqa"
K: Final = 10
_SHOWN: Final = {QueryDisclosure.VECTOR: "questions as vectors", QueryDisclosure.TEXT: "questions"}
_EQUAL: Final = 1e-5
"""Similarities closer than this may come in either order: float32 sums depend on the size of the matrix."""

_NOTES: Final = (
    """The query is the asker's own subject and message, after redaction. Documents are judged, passages are not: a \
document ranks where its first passage does.""",
    """Scorable: a question with a relevant (grade 2 or 3) document whose text is open. Differences under 0.1 mean \
nothing on so few.""",
    """Passages are found by the question they answer: its text alone is encoded, the answer's words count where words \
are searched for. The answer is what is released.""",
    "Equality with the central index is that of vectors alone; prices are those of words and vectors.",
)


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class MedQuadLiveQA:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        package = run.package("medquad_liveqa")
        return package / "corpus.jsonl.gz", package / "queries_dev.jsonl", package / "qrels_dev.jsonl"

    def evaluate(self, run: Run) -> Findings:
        corpus, queries, judgements = self.inputs(run)
        folder = run.folder(SUITE)
        sources = _write_sources(corpus, folder / "sources")
        hospitals = [_hospital(one) for one in sources]
        questions = [_question(one) for one in records(queries)]
        replies: dict[QueryDisclosure, dict[str, Reply]] = {}
        for shown, what in _SHOWN.items():
            with LocalFederation(folder / "federation", hospitals, _coordinator(shown)) as federation:
                federation.create()
                with run.progress("hospitals reading their documents") as told:
                    federation.ingest(told)
                federation.start()
                with federation.client() as client:
                    replies[shown] = ask(SUITE, questions, run, client, children_processor_s, what)
        vectors, text = replies[QueryDisclosure.VECTOR], replies[QueryDisclosure.TEXT]
        homes = [(one.node, NodeHome(folder / "federation" / "nodes" / one.node)) for one in hospitals]
        encoder = ENCODERS.build("minilm")
        central = CentralExact.over([(node, home.passages) for node, home in homes], encoder)
        grades = _grades(judgements)
        return Findings(
            tables=(
                _equality({name: reply.answer for name, reply in vectors.items()}, central, encoder),
                _quality({one.id: one for one in questions if one.id in text}, vectors, text, grades, central),
                price_table(text.values()),
            ),
            pictures=answer_pictures(text.values()),
            notes=_NOTES,
        )


def build(settings: Settings) -> MedQuadLiveQA:  # noqa: ARG001 - has none
    return MedQuadLiveQA()


def _coordinator(shown: QueryDisclosure) -> CoordinatorConfig:
    return CoordinatorConfig(
        coordinator="evaluation",
        routing=PluginConfig(name="broadcast"),
        merging=PluginConfig(name="comparable", settings={"near_duplicates": False}),
        limits=Limits(passages=K, deadline_ms=60_000),
        query_disclosure=shown,
    )


def _hospital(source: Path) -> NodeConfig:
    node = source.name
    return NodeConfig(
        node=node,
        name=node,
        encoder=PluginConfig(name="minilm"),
        index=PluginConfig(name="faiss_flat"),
        collections=(
            CollectionConfig(
                id="pages",
                folder=source,
                release_class=ReleaseClass.PUBLIC,
                reader={"embed": ["title"], "jsonl": {"id": "doc_id", "title": "question", "text": "answer"}},
            ),
        ),
    )


def _write_sources(corpus: Path, folder: Path) -> tuple[Path, ...]:
    """One folder of JSON lines per source with answers, made once per corpus, without the data set's annotations."""
    done, digest = folder / "done", digest_of(corpus)
    if not done.exists() or done.read_text(encoding="utf-8") != digest:
        shutil.rmtree(folder, ignore_errors=True)
        files: dict[str, TextIO] = {}
        with gzip.open(corpus, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if not record["has_answer"]:
                    continue
                node = record["node"].lower()
                if node not in files:
                    (folder / node).mkdir(parents=True)
                    files[node] = (folder / node / "pages.jsonl").open("w", encoding="utf-8")
                kept = {name: record[name] for name in ("doc_id", "question", "answer")}
                files[node].write(json.dumps(kept, ensure_ascii=False) + "\n")
        for file in files.values():
            file.close()
        done.write_text(digest, encoding="utf-8")
    return tuple(sorted(path for path in folder.iterdir() if path.is_dir()))


@dataclass(frozen=True, slots=True)
class _Asked:
    id: str
    text: str

    @property
    def request(self) -> AskRequest:
        return AskRequest(question=Question(text=self.text))


def _question(record: Mapping[str, object]) -> _Asked:
    return _Asked(str(record["query_id"]), _own_words(record))


def _own_words(question: Mapping[str, object]) -> str:
    text = f"{question['subject'] or ''} {question['message'] or ''}".strip()
    return "".join(character if character.isprintable() else " " for character in text)[:MAXIMUM_QUESTION_CHARACTERS]


def _equality(answers: Mapping[str, Answer | None], central: CentralExact, encoder: Encoder) -> Table:
    """Passage for passage: the federation's evidence against the k best rows of the central matrix."""
    keys = [
        (owner, passage.document_id, f"char={passage.start},{passage.end}")
        for owner, passage in zip(central.owners, central.passages, strict=True)
    ]
    row_of = {key: row for row, key in enumerate(keys)}
    same_passages = same_order = complete = 0
    worst = 0.0
    for answer in answers.values():
        if answer is None:
            continue
        # One by one, as the coordinator does: in a batch the same text gets a vector that differs in its last bits.
        similarities = central.similarities(encoder.encode_queries([answer.question.text])[0])
        best = np.sort(similarities)[::-1][:K]
        ours = [
            row_of[(one.node, one.passage.citation.document_id, one.passage.citation.locator)]
            for one in answer.evidence.passages
        ]
        theirs = np.argsort(-similarities, kind="stable")[:K]
        complete += len(ours) == K
        gap = float(np.abs(similarities[ours] - best[: len(ours)]).max()) if ours else 1.0
        worst = max(worst, gap)
        same_passages += len(ours) == K and gap <= _EQUAL
        same_order += list(theirs) == ours
    rows = (
        ("questions", len(answers)),
        ("with ten passages", complete),
        ("same similarities at every rank", same_passages),
        ("same ten passages in the same order", same_order),
        ("largest difference of similarity at any rank", f"{worst:.1e}"),
    )
    return Table(
        "Broadcast + flat + raw similarity, no de-duplication, against one central exact index",
        ("figure", "value"),
        rows,
    )


def _quality(
    asked: Mapping[str, _Asked],
    vectors: Mapping[str, Reply],
    text: Mapping[str, Reply],
    grades: Mapping[str, Mapping[str, int]],
    central: CentralExact,
) -> Table:
    documents = sorted({(passage.document_id, passage.title, passage.text) for passage in central.passages})
    bm25 = CentralBM25([f"{title} {text}" for _, title, text in documents])
    scorable = [query for query in asked if any(grade >= 2 for grade in grades.get(query, {}).values())]

    def row(name: str, rankings: Mapping[str, Sequence[str]]) -> tuple[Cell, ...]:
        return (
            name,
            mean([ndcg(rankings[query], _gains(grades[query]), K) for query in scorable]),
            mean([judged(rankings[query], grades[query], K) for query in scorable]),
        )

    def as_searched(query: str) -> str:
        """After redaction, where an answer shows it."""
        answer = text[query].answer
        return answer.question.text if answer else asked[query].text

    def federated(replies: Mapping[str, Reply]) -> dict[str, list[str]]:
        return {
            query: _unique(one.passage.citation.document_id for one in reply.answer.evidence.passages)
            if reply.answer
            else []
            for query, reply in replies.items()
        }

    lexical = {
        query: _unique(documents[position][0] for position in bm25.search(as_searched(query), 5 * K))
        for query in scorable
    }
    return Table(
        f"Documents, {len(scorable)} scorable questions",
        ("system", "nDCG@10", "judged@10"),
        (
            row("fedrag: broadcast, the question shown as a vector", federated(vectors)),
            row("fedrag: broadcast, words and vectors, every hospital's own statistics", federated(text)),
            row("central BM25 over passages", lexical),
            ("fedrag: words and vectors, shared statistics", NOT_BUILT, NOT_BUILT),
            ("fedrag: learned routing", NOT_BUILT, NOT_BUILT),
        ),
    )


def _grades(path: Path) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = {}
    for record in records(path):
        if record["open"]:
            grades.setdefault(str(record["query_id"]), {})[str(record["doc_id"])] = int(str(record["grade"]))
    return grades


def _gains(grades: Mapping[str, int]) -> dict[str, int]:
    """Relevant means grade 2 or 3."""
    return {document: grade if grade >= 2 else 0 for document, grade in grades.items()}


def _unique(documents: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(documents))
