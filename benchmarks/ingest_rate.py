"""B5: passages per second of an ingest, as a share of what the encoder alone does with the same texts.

An ingest reads the folder, cuts documents into passages, embeds them, writes each document in one transaction that is
flushed to disk, fits the calibration, and the node then builds its index. The encoder alone gets the very same texts
in batches of the same size, in this process, with as many threads: all cores, or `--threads`. The same ingest with
redaction makes and keeps the redacted form of every passage as well. The three take turns, each repetition with a fresh
store.

Documents are generated English of the length that health pages have (about 170 words, one to three sections), or
those of MedQuAD (`--medquad`, with FEDRAG_DATA). The encoder is `minilm`: run `fedrag setup` once. The goal is meant
for 5,000 documents (`--documents 5000`, about half an hour); the calibration, at most 100 questions to a collection,
weighs the more the fewer documents there are.

The second table takes the ingest apart. Much of it happens at the same time, so the parts together are longer than
the whole; the row that counts is the time in which the encoder had nothing to do. Nothing is written to the audit log
by an ingest today, so that costs nothing here.
"""

import argparse
import gzip
import json
import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

import numpy as np
from reporting import Figure, Table, circumstances, file_system, goals, spread

from fedrag.core.collection import EncoderIdentity
from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix
from fedrag.encoders import ENCODERS
from fedrag.redaction import pattern_detector
from fedrag.terminal import progress
from retriever_node.collection import Collection
from retriever_node.documents import Document, PassageDraft
from retriever_node.indexes import INDEXES
from retriever_node.ingest import BATCH, ingest
from retriever_node.passages import embedding_text, split
from retriever_node.readers import read_folder
from retriever_node.redaction import Redaction
from retriever_node.store import PassageStore

GOAL: Final = 0.85
COLLECTION: Final = "d"
CALIBRATION: Final = "embed for the calibration"
EMBEDDING: Final = "embed passages"
WRITING: Final = "write documents, flushed"
AT_REST: Final = "the encoder is at rest"
_ENGLISH: Final = """
the a of and to in for with is are may be can when before after every patient patients treatment dose daily blood
pressure heart kidney liver lung risk test result symptoms signs pain fever infection bleeding swelling doctor nurse
clinic hospital medicine tablet injection weeks months years children adults older people pregnancy surgery diet
exercise smoking alcohol diabetes asthma stroke cancer anemia disease disorder chronic acute severe mild common rare
cause causes caused increase reduce level levels sodium potassium glucose insulin oxygen antibiotic vaccine allergy
reaction history family genetic cells tissue muscle nerve brain skin bone joint stomach weight fluid urine breathing
sleep
"""
_WORDS: Final = tuple(_ENGLISH.split())


class Stopwatch:
    """Seconds by name. What several threads do at the same time counts once."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._under_way: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        with self._lock:
            if not self._under_way.get(name):
                self._since[name] = time.perf_counter()
            self._under_way[name] = self._under_way.get(name, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[name] -= 1
                if not self._under_way[name]:
                    self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - self._since[name]


@dataclass
class WatchedEncoder:
    """An encoder that notes how long it works, and for what."""

    encoder: Encoder
    watch: Stopwatch
    embedding: str = EMBEDDING

    @property
    def identity(self) -> EncoderIdentity:
        return self.encoder.identity

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        with self.watch.part(CALIBRATION):
            return self.encoder.encode_queries(texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        with self.watch.part(self.embedding):
            return self.encoder.encode_passages(texts)

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        with self.watch.part("count tokens, to cut passages that fit"):
            return self.encoder.token_spans(text)


class WatchedStore(PassageStore):
    """A store that notes how long it writes. `checkpoint` ends the writing of documents: what is embedded later is for
    the calibration."""

    watch: Stopwatch
    watched_encoder: WatchedEncoder

    def put(
        self,
        document: Document,
        passages: Sequence[PassageDraft],
        vectors: FloatMatrix,
        *,
        ingested_sha256: str | None = None,
    ) -> None:
        with self.watch.part(WRITING):
            super().put(document, passages, vectors, ingested_sha256=ingested_sha256)

    def checkpoint(self) -> bool:
        with self.watch.part(WRITING):
            whole = super().checkpoint()
        self.watched_encoder.embedding = CALIBRATION
        return whole


@dataclass(frozen=True)
class Ingested:
    """`redacted`: passages that have a redacted form at the end."""

    passages: int
    redacted: int
    seconds: float
    parts: dict[str, float]


@dataclass(frozen=True)
class Measured:
    """Seconds of the encoder alone, and ingests without and with redaction, a turn each; the file system's kind."""

    alone: list[float]
    plain: list[Ingested]
    redacted: list[Ingested]
    file_system: str


def ingested(source: Path, home: Path, encoder: Encoder, redaction: Redaction | None) -> Ingested:
    """A whole ingest into a fresh store, index included."""
    watch = Stopwatch()
    watched = WatchedEncoder(encoder, watch)
    store = WatchedStore.open(home / "passages.sqlite", encoder.identity)
    if not isinstance(store, WatchedStore):
        raise SystemExit("the store is not watched")
    store.watch, store.watched_encoder = watch, watched
    started = time.perf_counter()
    report = ingest(source, COLLECTION, store, watched, redaction=redaction)
    with watch.part("build the index"):
        Collection.open(store, COLLECTION, lambda: INDEXES.build("faiss_hnsw"))
    seconds = time.perf_counter() - started
    made = report.passages - store.count_unredacted(COLLECTION, redaction.version if redaction else "none")
    store.close()
    at_rest = seconds - watch.seconds[EMBEDDING] - watch.seconds.get(CALIBRATION, 0.0)
    return Ingested(report.passages, made, seconds, {**watch.seconds, AT_REST: at_rest})


def encoded_s(texts: Sequence[str], encoder: Encoder) -> float:
    """The encoder alone, in the batches of an ingest."""
    started = time.perf_counter()
    for first in range(0, len(texts), BATCH):
        encoder.encode_passages(texts[first : first + BATCH])
    return time.perf_counter() - started


def texts_of(source: Path, encoder: Encoder) -> list[str]:
    """What an ingest embeds, in its order."""
    documents = [item for item in read_folder(source, COLLECTION) if isinstance(item, Document)]
    return [embedding_text(draft, encoder) for document in documents for draft in split(document, encoder)]


def generate(folder: Path, documents: int, seed: int) -> None:
    """Files of Markdown."""
    random = np.random.default_rng(seed)
    for number in range(documents):
        lines = [f"# {_sentence(random, 5)}"]
        for _ in range(int(random.integers(1, 4))):
            lines.append(f"\n## {_sentence(random, 3)}")
            lines.append(" ".join(_sentence(random, 15) + "." for _ in range(int(random.integers(2, 9)))))
        (folder / f"{number:05d}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _sentence(random: np.random.Generator, words: int) -> str:
    return " ".join(random.choice(_WORDS, size=words)).capitalize()


def medquad(folder: Path, data: Path, documents: int) -> None:
    """One file of JSON Lines: the first documents that have an answer."""
    with gzip.open(data / "medquad_liveqa" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        answered = (one for one in map(json.loads, lines) if one["has_answer"])
        some = [one for one, _ in zip(answered, range(documents), strict=False)]
    records = [{"id": one["doc_id"], "title": one["question"], "text": one["answer"]} for one in some]
    (folder / "medquad.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")


def measure(source: Path, repetitions: int, threads: int, place: Path | None) -> Measured:
    encoder = ENCODERS.build("minilm", {"threads": threads})
    texts = texts_of(source, encoder)
    encoded_s(texts[:BATCH], encoder)
    measured = Measured([], [], [], file_system(place or Path(gettempdir())))
    with progress(f"{len(texts)} passages, {repetitions} times alone, ingested, redacted") as told:
        for turn in range(repetitions):
            told(3 * turn, 3 * repetitions)
            measured.alone.append(encoded_s(texts, encoder))
            for redaction, runs in ((None, measured.plain), (Redaction(pattern_detector()), measured.redacted)):
                told(3 * turn + 1 + (redaction is not None), 3 * repetitions)
                with TemporaryDirectory(dir=place) as home:
                    run = ingested(source, Path(home), encoder, redaction)
                if (run.passages, run.redacted) != (len(texts), len(texts) if redaction else 0):
                    raise SystemExit(f"{run.passages} passages, {run.redacted} of them redacted, not {len(texts)}")
                runs.append(run)
        told(3 * repetitions, 3 * repetitions)
    return measured


def report(measured: Measured, documents: int, threads: int) -> str:
    runs, alone = measured.plain, measured.alone
    passages = runs[0].passages
    shares, with_redaction = (
        [encoder_s / run.seconds for run, encoder_s in zip(some, alone, strict=True)]
        for some in (runs, measured.redacted)
    )
    holds = statistics.median(shares) >= GOAL
    figures = [
        Figure(
            "B5",
            f"ingest / encoder alone, passages per second, {documents:,} documents",
            spread(shares),
            f"≥ {GOAL}",
            holds,
        ),
        Figure("B5", "the same with redaction", spread(with_redaction), "printed", None),
    ]
    rates = Table(
        f"{documents:,} documents, {passages:,} passages, {threads} encoder thread{'s' * (threads > 1)}",
        ("what", "passages per second", "seconds"),
        (
            ("encoder alone", spread([passages / seconds for seconds in alone]), spread(alone)),
            *(
                (what, spread([passages / run.seconds for run in some]), spread([run.seconds for run in some]))
                for what, some in (("ingest", runs), ("ingest with redaction", measured.redacted))
            ),
        ),
        note=f"Medians of {len(runs)} repetitions, least and most. The store is on {measured.file_system}.",
    )
    parts = Table(
        "Where an ingest's time goes",
        ("part", "share", "ms per passage"),
        tuple(
            (
                part,
                statistics.median(run.parts[part] / run.seconds for run in runs),
                statistics.median(run.parts[part] for run in runs) * 1000 / passages,
            )
            for part in sorted(runs[0].parts, key=lambda part: -runs[0].parts[part])
        ),
    )
    return "\n".join([goals(figures).as_markdown(), rates.as_markdown(), parts.as_markdown(), circumstances()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--medquad", action="store_true", help="MedQuAD's documents instead of generated ones")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the encoder, in both")
    parser.add_argument("--folder", type=Path, help="where the store lies; a disk that flushes. Default: temporary")
    chosen = parser.parse_args()
    data = os.environ.get("FEDRAG_DATA")
    if chosen.medquad and not data:
        parser.error("--medquad needs FEDRAG_DATA, the folder of the data packages")
    with TemporaryDirectory() as folder:
        if chosen.medquad:
            medquad(Path(folder), Path(str(data)), chosen.documents)
        else:
            generate(Path(folder), chosen.documents, seed=0)
        measured = measure(Path(folder), chosen.repetitions, chosen.threads, chosen.folder)
    print(report(measured, chosen.documents, chosen.threads))


if __name__ == "__main__":
    main()
