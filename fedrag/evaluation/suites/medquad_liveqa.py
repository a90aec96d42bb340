"""MedQuAD with the TREC 2017 LiveQA questions: nine NIH sources as nine hospitals, judged by hand.

Few questions can be scored (20 in the development half): realism, not proof. What this suite proves is that asking
every hospital equals one central exact index, passage for passage.
"""

import gzip
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import numpy as np

from fedrag.config import CoordinatorConfig, Limits, StatisticsConfig
from fedrag.core.answer import Answer, QueryDisclosure
from fedrag.core.config import Config, PluginConfig
from fedrag.core.protocols import Encoder
from fedrag.core.question import MAXIMUM_QUESTION_CHARACTERS, AskRequest, Question
from fedrag.core.wire import FloatVector, ReleaseClass
from fedrag.encoders import ENCODERS
from fedrag.evaluation.answers import Reply, answer_pictures, ask, price_table
from fedrag.evaluation.baselines.central_bm25 import CentralBM25
from fedrag.evaluation.baselines.central_exact import CentralExact
from fedrag.evaluation.circumstances import digest_of
from fedrag.evaluation.metrics.ndcg import judged, ndcg
from fedrag.evaluation.processor_time import children_processor_s
from fedrag.evaluation.report import Cell, Findings, Table, mean
from fedrag.evaluation.run import Run, records
from fedrag.local_federation import LocalFederation
from retriever_node import hybrid
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.config import StatisticsConfig as NodeStatisticsConfig
from retriever_node.home import NodeHome
from retriever_node.lexical import TermIndex
from retriever_node.terms import passage_terms, terms_of

SUITE: Final = "medquad-liveqa"
K: Final = 10
_SHOWN: Final = {QueryDisclosure.VECTOR: "questions as vectors", QueryDisclosure.TEXT: "questions"}
_WORD: Final = re.compile(r"\w\w+")
_EQUAL: Final = 1e-5
"""Similarities closer than this may come in either order: float32 sums depend on the size of the matrix."""

_NOTES: Final = (
    """The query is the asker's own subject and message, after redaction. Documents are judged, passages are not: a \
document ranks where its first passage does.""",
    """Scorable: a question with a relevant (grade 2 or 3) document whose text is open. Differences under 0.1 mean \
nothing on so few.""",
    """Passages are found by the question they answer: its text alone is encoded, the answer's words count where words \
are searched for. The answer is what is released.""",
    """The list of terms that hospitals count together holds every word of all sources, which are public: then words \
and vectors must equal one central index too. With the encoder's own list, as shipped, see medquad-crossnode.""",
    "Prices are those of words and vectors.",
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
        words = _write_words(sources, folder / "sources" / "words.txt")
        hospitals = [_hospital(one, words) for one in sources]
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
                _equality(vectors, text, central, encoder),
                _quality({one.id: one for one in questions if one.id in text}, vectors, text, grades, central),
                price_table(text.values()),
            ),
            pictures=answer_pictures(text.values()),
            notes=_NOTES,
        )


def build(settings: Settings) -> MedQuadLiveQA:  # noqa: ARG001 - has none
    return MedQuadLiveQA()


def _coordinator(shown: QueryDisclosure) -> CoordinatorConfig:
    """Hospitals count terms together where they are shown words."""
    return CoordinatorConfig(
        statistics=StatisticsConfig(share=shown is QueryDisclosure.TEXT),
        coordinator="evaluation",
        routing=PluginConfig(name="broadcast"),
        merging=PluginConfig(name="comparable", settings={"near_duplicates": False}),
        limits=Limits(passages=K, deadline_ms=60_000),
        query_disclosure=shown,
    )


def _hospital(source: Path, words: Path) -> NodeConfig:
    node = source.name
    return NodeConfig(
        node=node,
        name=node,
        encoder=PluginConfig(name="minilm"),
        index=PluginConfig(name="faiss_flat"),
        statistics=NodeStatisticsConfig(terms=words),
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


def _write_words(sources: Sequence[Path], file: Path) -> Path:
    """Every word of all sources, one a line; made once."""
    if not file.exists():
        words: set[str] = set()
        for source in sources:
            for page in records(source / "pages.jsonl"):
                words.update(_WORD.findall(f"{page['question']} {page['answer']}".lower()))
        file.write_text("\n".join(sorted(words)), encoding="utf-8")
    return file


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


@dataclass(slots=True)
class _Same:
    """So many questions of which the federation's evidence is what the central index finds; `worst`: the largest
    difference of similarity at any rank."""

    complete: int = 0
    passages: int = 0
    order: int = 0
    worst: float = 0.0

    def count(self, answer: Answer, similarities: FloatVector, row_of: Mapping[tuple[str, str, str], int]) -> None:
        ranked = sorted(answer.evidence.passages, key=lambda one: -one.similarity.value if one.similarity else 0.0)
        ours = [row_of[one.node, one.passage.citation.document_id, one.passage.citation.locator] for one in ranked]
        theirs = np.argsort(-similarities, kind="stable")[:K]
        best = similarities[theirs]
        gap = float(np.abs(similarities[ours] - best[: len(ours)]).max()) if ours else 1.0
        self.complete += len(ours) == K
        self.passages += len(ours) == K and gap <= _EQUAL
        self.order += list(theirs) == ours
        self.worst = max(self.worst, gap)


def _equality(
    vectors: Mapping[str, Reply], text: Mapping[str, Reply], central: CentralExact, encoder: Encoder
) -> Table:
    """Passage for passage: the federation's evidence against the k best rows of one index over everything."""
    places = zip(central.owners, central.passages, strict=True)
    row_of = {
        (owner, passage.document_id, f"char={passage.start},{passage.end}"): row
        for row, (owner, passage) in enumerate(places)
    }
    terms = TermIndex.build(passage_terms(passage) for passage in central.passages)
    scored = terms.scored_with(terms.statistics())
    same = {shown: _Same() for shown in QueryDisclosure}
    for shown, replies in ((QueryDisclosure.VECTOR, vectors), (QueryDisclosure.TEXT, text)):
        for reply in replies.values():
            if reply.answer is not None:
                asked = reply.answer.question.text
                # One by one, as the coordinator does: what is compared is the merge, not the encoder.
                similarities = central.similarities(encoder.encode_queries([asked])[0])
                if shown is QueryDisclosure.TEXT:
                    words = scored.score(terms_of(asked))
                    similarities = hybrid.fused(similarities.astype(np.float64), words).astype(np.float32)
                same[shown].count(reply.answer, similarities, row_of)
    by_vectors, by_both = same[QueryDisclosure.VECTOR], same[QueryDisclosure.TEXT]
    return Table(
        "Broadcast + flat + raw similarity, no de-duplication, against one central exact index",
        ("figure", "vectors", "words and vectors"),
        (
            ("questions", len(vectors), len(text)),
            ("with ten passages", by_vectors.complete, by_both.complete),
            ("same similarities at every rank", by_vectors.passages, by_both.passages),
            ("same ten passages in the same order", by_vectors.order, by_both.order),
            ("largest difference of similarity at any rank", f"{by_vectors.worst:.1e}", f"{by_both.worst:.1e}"),
        ),
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
            row("fedrag: broadcast, words and vectors, terms counted together", federated(text)),
            row("central BM25 over passages", lexical),
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
