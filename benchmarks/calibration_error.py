"""How far a node's calibration is off: what it fits to questions of its own, measured on questions that people judged.

The nine sources of MedQuAD are nine collections, ingested as a hospital would: each fits its calibrations to sentences
of its own passages and sees no label. Then each is asked the questions of MedQuAD cross-node (labels by rule) and of
LiveQA (labels by hand, few), by vectors and by words and vectors, and every hit is a pair of predicted probability and
label. A federated node is asked everything, so questions to which a collection holds no answer count; the last rows
leave them out. A node assumes which share of the questions it can answer (ANSWERED); what other shares would have
given stands in a table of its own.

Beside the fitted calibration stand what a node uses where it could fit nothing (DEFAULT), the base rate (one constant,
which knows the labels), and a curve of the same shape fitted to these very labels: what no fit of two numbers can
better. Needs FEDRAG_DATA; `--cache` keeps vectors, which take minutes to make.
"""

import argparse
import gzip
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from reporting import Figure, Table, circumstances, goals

from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix
from fedrag.encoders import ENCODERS
from fedrag.evaluation.encoders import Cached
from fedrag.evaluation.metrics.brier import brier
from fedrag.evaluation.metrics.ece import ece, reliability
from fedrag.evaluation.metrics.outcomes import Outcome
from fedrag.evaluation.run import records
from fedrag.evaluation.vectors import CachedVectors
from fedrag.terminal import progress
from retriever_node.calibration import ANSWERED, DEFAULT, Calibration, LabelledPairs, fit_logistic, labelled_pairs
from retriever_node.collection import Collection
from retriever_node.hybrid import term_index
from retriever_node.indexes import INDEXES
from retriever_node.ingest import ingest
from retriever_node.passages import ALL_FIELDS
from retriever_node.store import PassageStore
from retriever_node.terms import terms_of

K: Final = 10
GOAL: Final = 0.1
"""Of the expected calibration error, over all collections. The Brier score must also be better than the base rate's."""
VECTORS: Final = "vectors"
BOTH: Final = "words and vectors"
CROSSNODE: Final = "cross-node"
LIVEQA: Final = "LiveQA"
_FIELDS: Final = {"title": ("title",), "all": ALL_FIELDS}
SHARES: Final = (1.0, 1 / 2, 1 / 3, ANSWERED, 1 / 6, 1 / 10)
"""Of questions with an answer in a collection, for comparison."""


@dataclass(frozen=True)
class Asked:
    """A question and its labels: document id → relevant. `silent`: what is not listed is not relevant; else it was not
    judged and does not count."""

    text: str
    labels: Mapping[str, bool]
    silent: bool


@dataclass(frozen=True)
class Pairs:
    """Hits of one collection in one way of searching: similarity, label, whether the collection held an answer."""

    source: str
    way: str
    calibration: Calibration
    similarities: np.ndarray
    relevant: np.ndarray
    answerable: np.ndarray
    own: LabelledPairs
    """What the calibration was fitted to."""

    def of(self, chosen: np.ndarray) -> "Pairs":
        return replace(
            self,
            similarities=self.similarities[chosen],
            relevant=self.relevant[chosen],
            answerable=self.answerable[chosen],
        )

    def predicted(self, calibration: Calibration | None = None) -> np.ndarray:
        by = calibration or self.calibration
        return np.array([by.probability(float(one)) for one in self.similarities])


def crossnode(data: Path, limit: int) -> list[Asked]:
    labels: dict[str, dict[str, bool]] = {}
    for one in records(data / "medquad_crossnode" / "qrels_dev.jsonl"):
        labels.setdefault(one["query_id"], {})[one["doc_id"]] = True
    asked = records(data / "medquad_crossnode" / "queries_dev.jsonl")[:limit]
    return [Asked(one["text"], labels.get(one["query_id"], {}), silent=True) for one in asked]


def liveqa(data: Path) -> list[Asked]:
    labels: dict[str, dict[str, bool]] = {}
    for one in records(data / "medquad_liveqa" / "qrels_dev.jsonl"):
        if one["open"]:
            labels.setdefault(one["query_id"], {})[one["doc_id"]] = one["grade"] >= 2
    asked = records(data / "medquad_liveqa" / "queries_dev.jsonl")
    words = {one["query_id"]: f"{one['subject'] or ''} {one['message'] or ''}".strip() for one in asked}
    return [Asked(words[query], held, silent=False) for query, held in labels.items()]


def written(data: Path, folder: Path, limit: int) -> dict[str, Path]:
    """One folder of JSON Lines per source; the data set's own annotations reach none."""
    lines_of: dict[str, list[str]] = {}
    with gzip.open(data / "medquad_liveqa" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        for one in map(json.loads, lines):
            held = lines_of.setdefault(one["node"].lower(), [])
            if one["has_answer"] and len(held) < limit:
                held.append(json.dumps({"id": one["doc_id"], "title": one["question"], "text": one["answer"]}) + "\n")
    folders = {}
    for source, held in sorted(lines_of.items()):
        if held:
            folders[source] = folder / source
            folders[source].mkdir(parents=True)
            (folders[source] / "pages.jsonl").write_text("".join(held), encoding="utf-8")
    return folders


def opened(folders: Mapping[str, Path], home: Path, encoder: Encoder, embed: Sequence[str]) -> dict[str, Collection]:
    """Ingested, calibrated, with an exact index: what is measured is the calibration alone."""
    store = PassageStore.open(home / "passages.sqlite", encoder.identity)
    made = {}
    with progress("ingesting sources") as told:
        for done, (source, folder) in enumerate(folders.items()):
            told(done, len(folders))
            ingest(folder, source, store, encoder, reader={"embed": list(embed)})
            made[source] = Collection.open(store, source, lambda: INDEXES.build("faiss_flat"), words=True)
        told(len(folders), len(folders))
    return made


def own_pairs(source: str, store: PassageStore, encoder: Encoder, embed: Sequence[str]) -> dict[str, LabelledPairs]:
    """Those that ingest fitted the calibrations to, by way."""
    stored = store.stored_vectors(source)
    terms = term_index(stored.ids, store.passages)
    scored = terms.scored_with(terms.statistics())
    rows = (stored.ids, stored.documents, stored.vectors, store.passages)
    return dict(zip((VECTORS, BOTH), labelled_pairs(*rows, encoder, embed, scored=scored), strict=True))


def asked_pairs(
    source: str,
    collection: Collection,
    store: PassageStore,
    asked: Sequence[Asked],
    vectors: FloatMatrix,
    way: str,
    own: LabelledPairs,
) -> Pairs:
    """Every hit of every question that has a label."""
    here = set(store.documents(source))
    similarities, relevant, answerable = [], [], []
    for question, vector in zip(asked, vectors, strict=True):
        terms = terms_of(question.text) if way == BOTH else ()
        hits = collection.search(vector, K, terms)
        names = {one.passage_id: one.document_id for one in store.passages([hit.passage_id for hit in hits])}
        holds = any(found and document in here for document, found in question.labels.items())
        for hit in hits:
            name = names[hit.passage_id]
            if question.silent or name in question.labels:
                similarities.append(hit.similarity)
                relevant.append(question.labels.get(name, False))
                answerable.append(holds)
    calibrations = collection.calibrations
    used = calibrations.both if way == BOTH else calibrations.vectors
    labels = (np.array(similarities), np.array(relevant, dtype=bool), np.array(answerable, bool))
    return Pairs(source, way, used, *labels, own)


def outcomes(probabilities: np.ndarray, relevant: np.ndarray) -> list[Outcome]:
    return [
        Outcome(answered=True, correct=bool(label), confidence=float(probability))
        for probability, label in zip(probabilities, relevant, strict=True)
    ]


Row = tuple[str | int | float, ...]
COLUMNS: Final = (
    "collection", "pairs", "relevant", "predicted", "ECE", "Brier", "base rate", "DEFAULT: predicted", "ECE", "Brier",
    "same shape on these labels: ECE", "Brier",
)  # fmt: skip


def row(name: str, parts: Sequence[Pairs]) -> Row:
    """One collection, or several pooled, each under its own calibration."""
    parts = [one for one in parts if len(one.similarities)]
    relevant = np.concatenate([one.relevant for one in parts])
    fitted = np.concatenate([one.predicted() for one in parts])
    default = np.concatenate([one.predicted(DEFAULT) for one in parts])
    best = np.concatenate([one.predicted(fit_logistic(one.similarities, one.relevant)) for one in parts])
    share = float(relevant.mean())
    scored = [outcomes(one, relevant) for one in (fitted, default, best)]
    return (
        *(name, len(relevant), share, float(fitted.mean()), ece(scored[0]), brier(scored[0]), share * (1 - share)),
        *(float(default.mean()), ece(scored[1]), brier(scored[1])),
        *(ece(scored[2]), brier(scored[2])),
    )


def disordered(parts: Sequence[Pairs]) -> int:
    """Neighbours in similarity whose probabilities stand the other way round."""
    return sum(int(np.sum(np.diff(one.predicted()[np.argsort(one.similarities)]) < 0)) for one in parts)


def shares_table(title: str, parts: Sequence[Pairs]) -> Table:
    """All collections under calibrations that assume other shares of answered questions."""
    relevant = np.concatenate([one.relevant for one in parts])
    rows: list[Row] = []
    for share in SHARES:
        predicted = np.concatenate([one.predicted(one.own.fitted(share)) for one in parts])
        made = outcomes(predicted, relevant)
        rows.append((f"{share:.3f}", float(predicted.mean()), f"{ece(made):.4f}", f"{brier(made):.4f}"))
    return Table(title, ("share assumed", "predicted", "ECE", "Brier"), tuple(rows))


def reliability_table(title: str, parts: Sequence[Pairs]) -> Table:
    probabilities = np.concatenate([one.predicted() for one in parts])
    relevant = np.concatenate([one.relevant for one in parts])
    bins = reliability(outcomes(probabilities, relevant))
    return Table(
        title, ("pairs", "predicted", "relevant"), tuple((one.size, one.confidence, one.accuracy) for one in bins)
    )


def report(found: Mapping[str, Sequence[Pairs]]) -> str:
    figures, tables = [], []
    for way in (VECTORS, BOTH):
        rows: list[Row] = []
        cross = [one for one in found[CROSSNODE] if one.way == way]
        live = [one for one in found[LIVEQA] if one.way == way]
        rows += [row(one.source, [one]) for one in cross]
        rows.append(row("all", cross))
        rows.append(row("all, where the collection holds an answer", [one.of(one.answerable) for one in cross]))
        if live:
            rows.append(row("all, LiveQA, judged hits only", live))
        tables.append(Table(f"Calibration of {way}, top {K} of every question", COLUMNS, tuple(rows)))
        lines = tuple((one.source, one.calibration.slope, one.calibration.intercept) for one in cross)
        real = {one.source: fit_logistic(one.similarities, one.relevant) for one in cross}
        tables.append(
            Table(
                f"Curves of {way}",
                (
                    "collection",
                    "slope",
                    "intercept",
                    "even odds at",
                    "on these labels: slope",
                    "intercept",
                    "even odds at",
                ),
                tuple(
                    (
                        *(source, slope, intercept, -intercept / slope),
                        *(real[source].slope, real[source].intercept, -real[source].intercept / real[source].slope),
                    )
                    for source, slope, intercept in lines
                ),
            )
        )
        tables.append(shares_table(f"Calibration of {way} by the share of answered questions assumed", cross))
        tables.append(reliability_table(f"Predicted and relevant, {way}, all collections", cross))
        whole = rows[len(cross)]
        error, score, base = float(whole[4]), float(whole[5]), float(whole[6])
        wrong = disordered(cross)
        figures += [
            Figure("calibration", f"{way}: ECE, ten bins, all collections", f"{error:.3f}", f"≤ {GOAL}", error <= GOAL),
            Figure("calibration", f"{way}: Brier / base rate's", f"{score:.4f} / {base:.4f}", "less", score < base),
            Figure("calibration", f"{way}: pairs out of order", str(wrong), "0", wrong == 0),
        ]
    return "\n".join([goals(figures).as_markdown(), *(table.as_markdown() for table in tables), circumstances()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=1_061, help="of MedQuAD cross-node")
    parser.add_argument("--documents", type=int, default=10**6, help="at most this many of each source")
    parser.add_argument("--embed", choices=sorted(_FIELDS), default="title", help="what is encoded of a document")
    parser.add_argument("--cache", type=Path, help="where vectors are kept; without it they are made each time")
    chosen = parser.parse_args()
    if not os.environ.get("FEDRAG_DATA"):
        parser.error("needs FEDRAG_DATA, the folder of the data packages")
    data = Path(os.environ["FEDRAG_DATA"])
    with TemporaryDirectory() as folder:
        place = Path(folder)
        plain = ENCODERS.build("minilm")
        cached = CachedVectors(chosen.cache or place / "vectors", plain, progress)
        folders = written(data, place / "sources", chosen.documents)
        encoder, embed = Cached(plain, cached), _FIELDS[chosen.embed]
        collections = opened(folders, place / "home", encoder, embed)
        store = PassageStore.open(place / "home" / "passages.sqlite", plain.identity)
        sets = {CROSSNODE: crossnode(data, chosen.questions), LIVEQA: liveqa(data)}
        vectors = {name: cached.queries([one.text for one in asked]) for name, asked in sets.items()}
        own = {source: own_pairs(source, store, encoder, embed) for source in collections}
        found: dict[str, list[Pairs]] = {name: [] for name in sets}
        steps = [(name, way, source) for name in sets for way in (VECTORS, BOTH) for source in collections]
        with progress("asking") as told:
            for done, (name, way, source) in enumerate(steps):
                told(done, len(steps))
                made = asked_pairs(source, collections[source], store, sets[name], vectors[name], way, own[source][way])
                found[name].append(made)
            told(len(steps), len(steps))
        print(report({name: [one for one in parts if len(one.similarities)] for name, parts in found.items()}))


if __name__ == "__main__":
    main()
