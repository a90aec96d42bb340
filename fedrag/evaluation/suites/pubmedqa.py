"""PubMedQA: expert-labelled yes / no / maybe questions, their abstracts at eleven specialties as hospitals.

Retrieval is saturated (the question is the article's title): a tripwire for merging, not a comparison of retrievers.
Answering is what this suite measures: the product finds the abstract by itself and says yes, no or maybe. `long_answer`
decides the label and reaches nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedrag.config import CoordinatorConfig
from fedrag.core.config import Config, PluginConfig
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import ReleaseClass
from fedrag.encoders import ENCODERS
from fedrag.evaluation import routing
from fedrag.evaluation.answer_tables import confidence_pictures, confidence_table
from fedrag.evaluation.answers import Judgement, Reply, answer_pictures, ask, free_text_table, place, price_table
from fedrag.evaluation.corpus import Query, node_id
from fedrag.evaluation.judge import judged_table
from fedrag.evaluation.metrics.bootstrap import paired_difference
from fedrag.evaluation.processor_time import children_processor_s
from fedrag.evaluation.report import Cell, Findings, Table, mean
from fedrag.evaluation.retrieval import RetrievalTask, documents_of, measure
from fedrag.evaluation.run import Run, records
from fedrag.local_federation import LocalFederation
from reasoner.findings import article, decide, reports_a_study
from reasoner.training.fit_findings import FOLDS, Study, fit_findings, fold_of
from retriever_node.config import CollectionConfig, NodeConfig

SUITE: Final = "pubmedqa"
OPTIONS: Final = {"A": "yes", "B": "no", "C": "maybe"}


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Asked:
    id: str
    text: str
    answer: str
    gold: tuple[str, str]

    @property
    def request(self) -> AskRequest:
        return AskRequest(question=Question(text=self.text, options=OPTIONS), deadline_ms=60_000)


@dataclass(frozen=True, slots=True)
class PubMedQA:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        package = run.package("pubmedqa")
        return package / "corpus_dev.jsonl", package / "questions_dev.jsonl"

    def evaluate(self, run: Run) -> Findings:
        corpus, questions = (records(path) for path in self.inputs(run))
        asked = tuple(_asked(one) for one in questions)
        encoder = ENCODERS.build("minilm")
        found = measure(_retrieval(corpus, asked), run, encoder)
        whom = routing.measure(_retrieval(corpus, asked), run, encoder)
        hospitals = _hospitals(corpus, run.folder(SUITE) / "sources")
        coordinator = CoordinatorConfig(coordinator="evaluation")
        with LocalFederation(run.folder(SUITE) / "federation", hospitals, coordinator) as federation:
            federation.create()
            with run.progress("hospitals reading their documents") as told:
                federation.ingest(told)
            federation.start()
            with federation.client() as client:
                replies = ask(SUITE, asked, run, client, children_processor_s)
        put = [one for one in asked if one.id in replies]
        judged = [_judged(one, replies[one.id]) for one in put]
        outcomes = {"fedrag, embedded reasoner": [one.outcome for one in judged]}
        groups = {"all": judged}
        return Findings(
            tables=(
                _accuracy(put, judged, run),
                confidence_table(outcomes),
                free_text_table(groups),
                *judged_table(SUITE, groups, run),
                price_table(replies.values()),
                *found.tables,
                *whom.tables,
            ),
            pictures=(
                *confidence_pictures(outcomes),
                *answer_pictures(replies.values()),
                *found.pictures,
                *whom.pictures,
            ),
            notes=(
                "Answered without being given the abstract: the product retrieves it over HTTP from its hospitals.",
                "`long_answer` is never read. The second annotator, without the conclusion, is right in .782.",
                *found.notes,
                *whom.notes,
            ),
        )


def build(settings: Settings) -> PubMedQA:  # noqa: ARG001 - has none
    return PubMedQA()


def _asked(one: Mapping[str, object]) -> Asked:
    gold = (node_id(str(one["node"])), str(one["gold_doc_id"]))
    return Asked(str(one["query_id"]), str(one["question"]), str(one["answer"]), gold)


def _retrieval(corpus: Sequence[Mapping[str, object]], asked: Sequence[Asked]) -> RetrievalTask:
    return RetrievalTask(
        suite=SUITE,
        documents=documents_of(corpus, lambda one: ("", str(one["text"]), str(one["text"]))),
        queries=tuple(Query(one.id, one.text) for one in asked),
        grades={one.id: {one.gold[1]: 1} for one in asked},
        notes=("Retrieval is saturated: use it as a tripwire.",),
    )


def _hospitals(corpus: Sequence[Mapping[str, object]], folder: Path) -> tuple[NodeConfig, ...]:
    """One per specialty, with its abstracts as JSON lines: id and text, nothing else."""
    held: dict[str, list[str]] = {}
    for one in corpus:
        line = json.dumps({"doc_id": one["doc_id"], "text": one["text"]}, ensure_ascii=False)
        held.setdefault(node_id(str(one["node"])), []).append(line)
    for node, lines in held.items():
        (folder / node).mkdir(parents=True, exist_ok=True)
        (folder / node / "abstracts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tuple(_hospital(node, folder / node) for node in sorted(held))


def _hospital(node: str, folder: Path) -> NodeConfig:
    collection = CollectionConfig(
        id="abstracts",
        folder=folder,
        release_class=ReleaseClass.PUBLIC,
        reader={"jsonl": {"id": "doc_id", "text": "text"}},
    )
    return NodeConfig(node=node, name=node, encoder=PluginConfig(name="minilm"), collections=(collection,))


def _judged(one: Asked, reply: Reply) -> Judgement:
    answer = reply.answer
    chosen = OPTIONS.get(answer.choice or "", "") if answer else ""
    return Judgement(reply, chosen == one.answer, frozenset({place(*one.gold, "")}))


def _left_out(asked: Sequence[Asked], judged: Sequence[Judgement]) -> list[float]:
    """As the product answered, but where a study's wording decided: that by heads fitted on the other folds' articles,
    as they were released."""
    answers = [one.reply.answer if one.outcome.answered else None for one in judged]
    studies = [
        Study(one.id, article(answer.evidence), one.answer) if answer is not None else None
        for one, answer in zip(asked, answers, strict=True)
    ]
    heads = {
        fold: fit_findings([one for one in studies if one is not None and fold_of(one.id) != fold])
        for fold in range(FOLDS)
    }
    words = {word: word for word in OPTIONS.values()}

    def right(one: Study | None, judgement: Judgement) -> float:
        if one is None or not reports_a_study(one.text):
            return float(judgement.outcome.correct)
        return float(decide(one.text, words, heads[fold_of(one.id)]).word == one.answer)

    return [right(one, judgement) for one, judgement in zip(studies, judged, strict=True)]


def _accuracy(asked: Sequence[Asked], judged: Sequence[Judgement], run: Run) -> Table:
    systems = {
        "fedrag, embedded reasoner, its head fitted on the other folds": _left_out(asked, judged),
        "fedrag, embedded reasoner as shipped: fitted on these very questions": [
            float(one.outcome.correct) for one in judged
        ],
    } | {f"constant: always {word}": [float(one.answer == word) for one in asked] for word in OPTIONS.values()}
    majority = systems["constant: always yes"]
    rows: list[tuple[Cell, ...]] = [
        ("questions", len(asked), *(sum(one.answer == word for one in asked) for word in OPTIONS.values()), "")
    ]
    for name, right in systems.items():
        by_answer = [
            mean([value for value, one in zip(right, asked, strict=True) if one.answer == word])
            for word in OPTIONS.values()
        ]
        rows.append((name, mean(right), *by_answer, str(paired_difference(right, majority, run.seed))))
    return Table(
        "Share answered right", ("system", "all", *OPTIONS.values(), "difference from always yes"), tuple(rows)
    )
