"""Every vector index: recall@10 against exact search, speed on one thread, what building, saving and starting cost.

    python benchmarks/vector_indexes.py                       100,000 clustered vectors, every index, a minute or two
    python benchmarks/vector_indexes.py --rows 1000000        the goal's size; tens of minutes, 12 GiB of memory
    python benchmarks/vector_indexes.py --medquad CACHE       MedQuAD's passages under MiniLM; FEDRAG_DATA names the
                                                              data packages, the vectors are kept in CACHE

Clustered: a mixture of rows/667 Gaussians of 32 dimensions, mapped linearly to 384, with a little noise in all of them;
questions are further draws from it. A row's ten nearest neighbours are then neither trivial nor arbitrary. One query at
a time, as a node asks. Wall-clock seconds bear a busy neighbour; those of the processor do so less.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import faiss
import numpy as np
from reporting import Figure, Table, circumstances, file_system, goals

from fedrag.core.config import PluginConfig
from fedrag.core.protocols import VectorIndex
from fedrag.core.wire import FloatMatrix
from fedrag.encoders import ENCODERS
from fedrag.encoders.hashing import Hashing
from fedrag.terminal import progress
from retriever_node.collection import Collection
from retriever_node.documents import Document, PassageDraft
from retriever_node.generations import SavedGenerations, recipe
from retriever_node.indexes import INDEXES
from retriever_node.openmp import openmp_threads
from retriever_node.rows import Rows
from retriever_node.store import PassageStore

K: Final = 10
DIMENSION: Final = 384
INTRINSIC: Final = 32
ROWS_PER_CLUSTER: Final = 667
NOISE: Final = 0.05
SPREAD: Final = 0.6
DEFAULT: Final = "faiss_hnsw"
RATE: Final = 1_000
PLACE: Final = (1, "benchmark")
SETTINGS: Final[Mapping[str, Mapping[str, object]]] = {"faiss_gpu": {"require_gpu": False}}
SWEEPS: Final[Mapping[str, tuple[Mapping[str, object], ...]]] = {
    "faiss_hnsw": tuple({"ef_search": ef} for ef in (32, 64, 96, 128, 192, 256)),
    "faiss_ivf": tuple({"probes": probes} for probes in (4, 8, 16, 32, 64)),
    "hnswlib": tuple({"ef_search": ef} for ef in (32, 64, 128, 256)),
}


@dataclass(frozen=True)
class Corpus:
    name: str
    vectors: FloatMatrix
    questions: FloatMatrix

    def nearest(self) -> list[set[int]]:
        """By definition: every row compared."""
        _, positions = faiss.knn(self.questions, self.vectors, K, metric=faiss.METRIC_INNER_PRODUCT)
        return [set(row) for row in positions.tolist()]


@dataclass(frozen=True)
class Point:
    """`per_s`: questions a second, by the clock; `per_cpu_s`: by the processor's time."""

    recall: float
    per_s: float
    per_cpu_s: float


@dataclass(frozen=True)
class Start:
    """In a fresh process: seconds to a checked and loaded index, milliseconds to the first answer, memory."""

    open_s: float
    first_ms: float
    private_mb: float


def clustered(rows: int, questions: int, seed: int) -> Corpus:
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(1, rows // ROWS_PER_CLUSTER), INTRINSIC), dtype=np.float32)
    onto = random.standard_normal((INTRINSIC, DIMENSION), dtype=np.float32) / np.sqrt(np.float32(INTRINSIC))
    made = np.empty((rows + questions, DIMENSION), dtype=np.float32)
    for first in range(0, len(made), 100_000):
        part = made[first : first + 100_000]
        within = random.standard_normal((len(part), INTRINSIC), dtype=np.float32)
        part[:] = (centres[random.integers(len(centres), size=len(part))] + SPREAD * within) @ onto
        part += NOISE * random.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return Corpus(f"{rows:,} clustered vectors", made[:rows], made[rows:])


def medquad_passages(data: Path, cache: Path, documents: int, questions: int) -> Corpus:
    """What an ingest embeds of documents with an answer, and questions that name a condition by a synonym."""
    from ingest_rate import medquad, texts_of

    from fedrag.evaluation.vectors import CachedVectors

    encoder = ENCODERS.build("minilm")
    with TemporaryDirectory() as folder:
        medquad(Path(folder), data, documents)
        texts = texts_of(Path(folder), encoder)
    lines = (data / "medquad_crossnode" / "queries_dev.jsonl").read_text(encoding="utf-8").splitlines()[:questions]
    cached = CachedVectors(cache, encoder, progress)
    asked = cached.queries([str(json.loads(line)["text"]) for line in lines])
    return Corpus(f"{len(texts):,} MedQuAD passages under MiniLM", cached.passages(texts), asked)


def point(index: VectorIndex, corpus: Corpus, nearest: Sequence[set[int]]) -> Point:
    for question in corpus.questions[:20]:
        index.search(question[None, :], K)
    began, began_cpu = time.perf_counter(), time.thread_time()
    found = [index.search(question[None, :], K).positions[0].tolist() for question in corpus.questions]
    took, took_cpu = time.perf_counter() - began, time.thread_time() - began_cpu
    hits = sum(len(true & set(row)) for true, row in zip(nearest, found, strict=True))
    number = len(corpus.questions)
    return Point(hits / (K * number), number / took, number / took_cpu)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    began, began_cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - began_cpu


def generations(folder: Path, plugin: PluginConfig) -> SavedGenerations:
    return SavedGenerations(folder / plugin.name, recipe(plugin, "benchmark", words=False))


def start(folder: Path, plugin: PluginConfig) -> Start:
    """Runs in a process of its own."""
    index = INDEXES.build(plugin.name, plugin.settings)
    began = time.perf_counter()
    rows = generations(folder, plugin).open(*PLACE, index)
    opened = time.perf_counter()
    if rows is None:
        raise SystemExit(f"{plugin.name} was not found again")
    index.search(np.array(rows.vectors[:1]), K)
    return Start(opened - began, (time.perf_counter() - opened) * 1000, private_mb())


def private_mb() -> float:
    """Memory of this process that no file stands behind: what is mapped from files the system can take back."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measured(corpus: Corpus, name: str, folder: Path, nearest: Sequence[set[int]]) -> tuple[tuple, list[tuple]]:
    """A row of costs, and rows of recall and speed: the defaults and each setting of the sweep."""
    plugin = PluginConfig(name=name, settings=dict(SETTINGS.get(name, {})))
    index = INDEXES.build(plugin.name, plugin.settings)
    build_s, build_cpu_s = timed(lambda: index.build(corpus.vectors))
    points = [(name, "defaults", point(index, corpus, nearest))]
    count = len(corpus.vectors)
    rows = Rows(np.arange(count), corpus.vectors, np.zeros(count, dtype=np.int32))
    saved = generations(folder, plugin)
    save_s, _ = timed(lambda: saved.save(*PLACE, rows, index, INDEXES.build(plugin.name, plugin.settings)))
    (place,) = (folder / name).iterdir()
    index_mb = sum(path.stat().st_size for path in place.iterdir() if path.suffix in {".faiss", ".hnswlib"}) / 1e6
    for settings in SWEEPS.get(name, ()):
        tried = INDEXES.build(plugin.name, {**plugin.settings, **settings})
        tried.load(place, corpus.vectors)
        shown = ", ".join(f"{key} {value}" for key, value in settings.items())
        points.append((name, shown, point(tried, corpus, nearest)))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        began = fresh.submit(start, folder, plugin).result()
    costs = (name, build_s, build_cpu_s, index_mb, save_s, began.open_s, began.first_ms, began.private_mb)
    return costs, points


def threads(corpus: Corpus, folder: Path) -> Table:
    """FAISS itself, the same questions one at a time, in turns with one and with two OpenMP threads."""
    found: dict[str, Callable[[FloatMatrix], object]] = {
        "every row (faiss_flat)": lambda one: faiss.knn(one, corpus.vectors, K, metric=faiss.METRIC_INNER_PRODUCT)
    }
    for path in sorted(folder.glob("*/*/*.faiss")):
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        found[f"{path.stem} ({path.parent.parent.name})"] = lambda one, index=index: index.search(one, K)
    rows = []
    for name, search in found.items():
        took: dict[int, float] = {1: 0.0, 2: 0.0}
        for question in corpus.questions[:100]:
            search(question[None, :])  # neither finds the rows in a cache that the other filled
            for number in took:
                with openmp_threads(number):
                    took[number] += timed(lambda search=search, question=question: search(question[None, :]))[0]
        rows.append((name, took[1] * 10, took[2] * 10, took[2] / took[1]))
    return Table("One query, one or two OpenMP threads", ("search", "one, ms", "two, ms", "two / one"), tuple(rows))


def cold_start(corpus: Corpus, folder: Path) -> Table:
    """A node's collection from its store: built, and found again."""
    encoder = Hashing(DIMENSION, 64)
    store = PassageStore.open(folder / "passages.sqlite", encoder.identity)
    with progress("filling a store") as told:
        for first in range(0, len(corpus.vectors), 1000):
            vectors = corpus.vectors[first : first + 1000]
            drafts = [PassageDraft("", "", at, at + 1, "x" * 400) for at in range(len(vectors))]
            name = f"document {first:09d}"
            store.put(Document("c", name, name, "", "1", None, (), f"{first:064x}"), drafts, vectors)
            told(first, len(corpus.vectors))
    plugin = PluginConfig(name=DEFAULT)
    saved = SavedGenerations(folder / "c", recipe(plugin, encoder.identity.comparable_with, words=False))
    took = [timed(lambda: Collection.open(store, "c", lambda: INDEXES.build(DEFAULT), saved)) for _ in range(3)]
    store.close()
    size_mb = sum(path.stat().st_size for path in (folder / "c").rglob("*") if path.is_file()) / 1e6
    rows = (
        ("read from the store, built, saved", *took[0]),
        *(("found again: checked, mapped", *one) for one in took[1:]),
    )
    return Table(
        f"Start of a node's collection of {len(corpus.vectors):,} passages, {DEFAULT}",
        ("start", "seconds", "processor seconds"),
        rows,
        note=f"{size_mb:,.0f} MB on {file_system(folder)}, all of it hashed at each start; files in the page cache.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=1_000)
    parser.add_argument("--only", nargs="*", default=INDEXES.names, choices=INDEXES.names)
    parser.add_argument("--medquad", type=Path, metavar="CACHE", help="MedQuAD's passages instead; needs FEDRAG_DATA")
    parser.add_argument("--medquad-documents", type=int, default=sys.maxsize, help="the first so many; default: all")
    parser.add_argument("--no-store", action="store_true", help="leave out the start of a node's collection")
    parser.add_argument("--folder", type=Path, help="where indexes are saved; default: temporary")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    data = os.environ.get("FEDRAG_DATA")
    if chosen.medquad and not data:
        parser.error("--medquad needs FEDRAG_DATA, the folder of the data packages")
    if chosen.medquad:
        corpus = medquad_passages(Path(str(data)), chosen.medquad, chosen.medquad_documents, chosen.questions)
    else:
        corpus = clustered(chosen.rows, chosen.questions, chosen.seed)
    nearest = corpus.nearest()
    costs, points, tables = [], [], []
    with TemporaryDirectory(dir=chosen.folder) as made:
        folder = Path(made)
        for name in chosen.only:
            cost, some = measured(corpus, name, folder / "indexes", nearest)
            costs.append(cost)
            points += some
            print(f"{name}: {some[0][2]}", file=sys.stderr, flush=True)
        tables.append(threads(corpus, folder / "indexes"))
        if not chosen.no_store:
            tables.append(cold_start(corpus, folder))
    print(report(corpus, costs, points, tables, least=0.99 if chosen.medquad else 0.98))


def report(
    corpus: Corpus, costs: Sequence[tuple], points: Sequence[tuple], tables: Sequence[Table], least: float
) -> str:
    figures = [
        Figure("recall@10", f"{name}, {corpus.name}", f"{one.recall:.4f}", f"≥ {least}", one.recall >= least)
        for name, setting, one in points
        if name == DEFAULT and setting == "defaults"
    ]
    figures += [
        Figure("queries/s", f"{name}, one thread", f"{one.per_s:,.0f}", f"≥ {RATE:,}", one.per_s >= RATE)
        for name, setting, one in points
        if name == DEFAULT and setting == "defaults"
    ]
    speeds = Table(
        f"{corpus.name}: recall@10 and questions per second, one thread",
        ("index", "setting", "recall@10", "per second", "per processor second"),
        tuple((name, setting, f"{p.recall:.4f}", round(p.per_s), round(p.per_cpu_s)) for name, setting, p in points),
    )
    spent = Table(
        f"{corpus.name}: what an index costs",
        (
            "index",
            "build s",
            "build, processor s",
            "index file MB",
            "save s",
            "checked and loaded s",
            "first answer ms",
            "private memory MB",
        ),
        tuple((row[0], *(f"{value:,.2f}" for value in row[1:])) for row in costs),
        note="Loaded in a fresh process, whose memory is shown. The vectors themselves, "
        f"{corpus.vectors.nbytes / 1e6:,.0f} MB, are saved and mapped beside each index: part of saving and checking.",
    )
    every = (goals(figures), speeds, spent, *tables)
    return "\n".join([*(table.as_markdown() for table in every), circumstances()])


if __name__ == "__main__":
    main()
