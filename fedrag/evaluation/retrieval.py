"""Retrieval and routing, measured in process: the product's own parts over cached vectors, beside every baseline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fedrag.core.protocols import Encoder, HasVocabulary
from fedrag.evaluation.contenders import DEPTH, FOLDS, LEARNED_UP_TO, OFFERS, Contenders, K, Lineup
from fedrag.evaluation.corpus import Corpus, Query, originals
from fedrag.evaluation.metrics.bootstrap import holm, paired_difference
from fedrag.evaluation.metrics.ndcg import judged, ndcg
from fedrag.evaluation.metrics.recall import recall
from fedrag.evaluation.mixed_encoders import measure_mixed
from fedrag.evaluation.pictures import bars, curves
from fedrag.evaluation.report import Cell, Findings, Picture, Table, mean
from fedrag.evaluation.run import Run
from fedrag.evaluation.splits import Document, lay_out
from retriever_node.passages import Field

PRODUCT: Final = "fedrag: mixture"
"""What the others are compared with: the product's default."""
_NOTES: Final = (
    """A simulation with the product's own index, prototypes, router and merge over cached vectors; hospitals are not \
processes here. Bytes are those of the offers as the product writes them on the wire, without releases.""",
    f"""Each hospital offers {OFFERS} where cost is counted; rankings go down to {DEPTH}. What a baseline learns, it \
learns from the other {FOLDS - 1} of {FOLDS} folds of the questions.""",
    f"Differences of nDCG@{K} are system minus `{PRODUCT}`; 95 % paired bootstrap over questions, p after Holm.",
)

Scores = Mapping[str, Any]
"""What a record holds of one question, as JSON gave it back."""


@dataclass(frozen=True, slots=True)
class RetrievalTask:
    """`grades[query][document]`: gains, above 0 is relevant; judged documents of grade 0 may be there too. Queries
    that nothing is relevant to are asked and score 0. `embed`: which fields of a document `embedded` is made of; with
    it hospitals can calibrate themselves, and mixed encoders are measured too."""

    suite: str
    documents: tuple[Document, ...]
    queries: tuple[Query, ...]
    grades: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...] = ()
    embed: tuple[Field, ...] = ()


def measure(task: RetrievalTask, run: Run, encoder: Encoder) -> Findings:
    cached = run.vectors(encoder)
    encoded = cached.passages([document.embedded for document in task.documents], "encoding documents")
    asked = cached.queries([query.text for query in task.queries])
    documents, vectors = lay_out(task.documents, encoded, run.split, run.nodes, run.seed)
    corpus = Corpus(documents, vectors, task.queries, asked, task.grades)
    stands_for = {document.id: document.stands_for for document in documents}
    owner_of = dict(zip(stands_for, corpus.owners, strict=True))
    built: list[Contenders] = []

    def one(query: Query) -> dict[str, object]:
        if not built:
            vocabulary = encoder.vocabulary() if isinstance(encoder, HasVocabulary) else None
            folding = run.split == "duplicates"
            built.append(Contenders(corpus, encoder.identity, folding=folding, seed=run.seed, vocabulary=vocabulary))
        return _scored(built[0].line_up(query), corpus.grades.get(query.id, {}), stands_for, owner_of)

    results = list(run.recorded(task.suite, task.queries, "retrieval", one).values())
    nodes = len(set(corpus.owners))
    mixed = measure_mixed(task.suite, corpus, run, encoder, task.embed) if task.embed and nodes <= LEARNED_UP_TO else ()
    return Findings((*_tables(results, run, nodes), *mixed), _pictures(results), (*task.notes, *_NOTES))


def _scored(
    lineup: Lineup,
    grades: Mapping[str, int],
    stands_for: Mapping[str, str],
    owner_of: Mapping[str, str],
) -> dict[str, object]:
    systems = {}
    for name, made in lineup.systems.items():
        ranking, first = originals(made.ranking, stands_for), made.ranking[:K]
        systems[name] = {
            "ndcg": ndcg(ranking, grades, K),
            "recall": recall(ranking, grades, K),
            "deep": recall(ranking, grades, DEPTH),
            "judged": judged(ranking, grades, K),
            "copies": len(first) - len(originals(first, stands_for)),
            "nodes": len(made.asked),
            "messages": len(made.asked) + len({owner_of[document] for document in first}),
            "bytes": sum(lineup.offer_bytes[node] for node in made.asked),
            "top": ranking[:K],
        }
    return {"systems": systems, "steps": lineup.steps, "curves": dict(lineup.curves)}


def _tables(results: Sequence[Scores], run: Run, nodes: int) -> tuple[Table, ...]:
    names = list(results[0]["systems"]) if results else []

    def column(name: str, figure: str) -> list[float]:
        return [float(one["systems"][name][figure]) for one in results]

    differences = {
        name: paired_difference(column(name, "ndcg"), column(PRODUCT, "ndcg"), run.seed)
        for name in names
        if name != PRODUCT
    }
    adjusted = dict(zip(differences, holm([one.p for one in differences.values()]), strict=True))
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        figures = [mean(column(name, figure)) for figure in ("ndcg", "recall", "deep", "judged")]
        verdict = (str(differences[name]), f"{adjusted[name]:.3f}") if name in differences else ("", "")
        rows.append((name, *figures, *verdict))
    quality = Table(
        f"Retrieval, {len(results)} questions, {nodes} hospitals",
        ("system", f"nDCG@{K}", f"R@{K}", f"R@{DEPTH}", f"judged@{K}", "difference of nDCG", "p (Holm)"),
        tuple(rows),
    )
    priced = [name for name in names if not name.startswith(("dense,", "BM25,", "central"))]
    price = Table(
        "What it costs per question",
        ("system", f"R@{K} / broadcast's", "hospitals asked", "of them", "messages", "bytes of offers", "copies in 10"),
        tuple(
            (
                name,
                mean(column(name, "recall")) / (mean(column("fedrag: broadcast", "recall")) or 1.0),
                mean(column(name, "nodes")),
                mean(column(name, "nodes")) / nodes,
                mean(column(name, "messages")),
                mean(column(name, "bytes")),
                mean(column(name, "copies")),
            )
            for name in priced
        ),
        note="Copies: results among the first ten that repeat an original above them.",
    )
    same = [one["systems"]["central exact"]["top"] == one["systems"]["fedrag: broadcast"]["top"] for one in results]
    recalls = [
        (one["systems"]["central exact"]["recall"], one["systems"]["fedrag: broadcast"]["recall"]) for one in results
    ]
    worded = [
        one["systems"]["central words and vectors"]["top"]
        == one["systems"]["fedrag: words and vectors, shared statistics"]["top"]
        for one in results
    ]
    lexical = [
        one["systems"]["central BM25 of these terms"]["top"] == one["systems"]["fedrag: BM25, shared statistics"]["top"]
        for one in results
    ]
    losses = Table(
        "Broadcast with flat indexes against one central exact index",
        ("figure", "value"),
        (
            ("questions", len(results)),
            ("same ten documents in the same order", sum(same)),
            ("equal recall@10", sum(a == b for a, b in recalls)),
            ("words and vectors with shared statistics: same ten in the same order", sum(worded)),
            ("BM25 with shared statistics: same ten in the same order", sum(lexical)),
        ),
        note="Documents with equal vectors tie, and a central index may order ties otherwise.",
    )
    return quality, price, losses


def _pictures(results: Sequence[Scores]) -> tuple[Picture, ...]:
    names = list(results[0]["curves"]) if results else []
    steps = [float(step) for step in results[0]["steps"]] if results else []
    lines = {
        name: [(step, mean([float(one["curves"][name][at]) for one in results])) for at, step in enumerate(steps)]
        for name in names
    }
    shares: dict[str, list[float]] = {}
    for one in results:
        for name, scored in one["systems"].items():
            if name.startswith(("fedrag", "oracle: fewest", "RAGRoute", "constant: best")):
                shares.setdefault(name, []).append(float(scored["nodes"]))
    return (
        curves(
            "Recall against hospitals asked",
            "hospitals asked",
            f"recall@{K}",
            lines,
            note="The first so many hospitals of each order; the oracle's is the smallest set with broadcast's recall.",
        ),
        bars("Hospitals asked per question", {name: mean(values) for name, values in shares.items()}, ""),
    )


def documents_of(
    records: Sequence[Mapping[str, object]], texts: Callable[[Mapping[str, object]], tuple[str, str, str]]
) -> tuple[Document, ...]:
    """One document per record with `doc_id` and `node`; `texts` gives its title, its text, and what is encoded."""
    return tuple(
        Document(str(one["doc_id"]), str(one["node"]), *texts(one), stands_for=str(one["doc_id"])) for one in records
    )


def grades_of(records: Sequence[Mapping[str, object]]) -> dict[str, dict[str, int]]:
    """Judgements with `query_id`, `doc_id` and `grade`, by query."""
    grades: dict[str, dict[str, int]] = {}
    for one in records:
        grades.setdefault(str(one["query_id"]), {})[str(one["doc_id"])] = int(str(one["grade"]))
    return grades
