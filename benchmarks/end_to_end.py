"""B1: retrieval end to end, as a multiple of one flat search over all passages in one process.

Four hospital processes with 25,000 passages each (384 numbers each, `faiss_hnsw`, class `public`) and a coordinator
process on loopback; one asker, one question after the other, over HTTP with an API key. Everything that protects is
on: signed requests and responses, asker tokens, sealed handles, quotas, audit flushed to disk, and TLS 1.3 with
certificates on both sides between coordinator and hospitals. The yardstick is FAISS `IndexFlatIP` on one thread over
the same 100,000 vectors, for as many results, in this process; all take turns within each repetition.

What counts: from the request leaving the client to the parsed answer with its evidence, less the stages `encode` (the
embedding) and `reason` (which begins when the evidence is complete), as the answer's own timings give them. The
encoder is `hashing`, so that no model is needed. The stage `evidence` stays in although it encodes sentences to find
conflicts.

Broadcast is the headline, for it searches all that the flat index searches; the router's choice, and both without
TLS, are printed beside it. The share of the flat search's passages among the evidence shows that they do the same
work.
"""

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import faiss
import numpy as np
from large_federation import DIMENSION, encoder, fill, home_of, large_federation, start, texts_of
from reporting import Cell, Figure, Table, circumstances, file_system, goals, spread
from topical_texts import questions

from fedrag.client import Client
from fedrag.core.answer import Answer
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import FloatVector, ReleaseClass
from fedrag.evaluation.baselines.central_exact import CentralExact
from fedrag.local_federation import LocalFederation
from fedrag.terminal import progress
from retriever_node.config import NodeConfig
from retriever_node.openmp import openmp_threads
from retriever_node.policy import file as policy_file
from retriever_node.policy.written import CAUTIOUS

GOAL: Final = 0.5
HOSPITALS: Final = 4
PASSAGES: Final = 12
"""Of evidence, the coordinator's default."""
ROUTINGS: Final = ("broadcast", "prototypes")
NOT_RETRIEVAL: Final = frozenset({"encode", "reason"})
FLAT: Final = "flat search in process, one thread"
HEADLINE: Final = "broadcast, signed, TLS 1.3"
OUTSIDE: Final = "API: HTTP, validation, answer as JSON, client"


@dataclass
class Series:
    """One way to find passages: per repetition the median in milliseconds, and its ratio to the flat search's; per
    question the stages, the share of the flat search's passages that it found, and how many hospitals were asked."""

    medians: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    found: list[float] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def turn(self, milliseconds: Sequence[float], flat_ms: float) -> None:
        self.medians.append(statistics.median(milliseconds))
        self.ratios.append(self.medians[-1] / flat_ms)

    def question(self, answer: Answer, stages: Mapping[str, float], exact: set[str]) -> None:
        texts = {passage.passage.text for passage in answer.evidence.passages}
        self.found.append(len(texts & exact) / len(exact))
        self.asked.append(answer.budget.nodes_asked)
        for stage, milliseconds in stages.items():
            self.stages.setdefault(stage, []).append(milliseconds)


class Flat:
    """The same passages in one flat index."""

    def __init__(self, federation: LocalFederation) -> None:
        homes = [home_of(federation, number) for number in range(HOSPITALS)]
        held = CentralExact.over([(home.folder.name, home.passages) for home in homes], encoder())
        self._texts = [passage.text for passage in held.passages]
        self._index = faiss.IndexFlatIP(DIMENSION)
        self._index.add(np.ascontiguousarray(held.vectors))

    def search(self, vector: FloatVector, k: int) -> tuple[float, set[str]]:
        """Milliseconds, and the texts found."""
        with openmp_threads(1):
            started = time.perf_counter()
            _, rows = self._index.search(vector[None, :], k)
            elapsed_ms = (time.perf_counter() - started) * 1000
        return elapsed_ms, {self._texts[int(row)] for row in rows[0]}


def timed(client: Client, question: str, routing: str) -> tuple[Answer, dict[str, float]]:
    """An answer, and the milliseconds of each stage of retrieval."""
    request = AskRequest(question=Question(text=question), routing=routing, passages=PASSAGES)
    started = time.perf_counter()
    answer = client.ask(request)
    elapsed_ms = (time.perf_counter() - started) * 1000
    stages = {one.stage: one.elapsed_ms for one in answer.timings}
    outside = elapsed_ms - sum(stages.values())
    return answer, {name: took for name, took in stages.items() if name not in NOT_RETRIEVAL} | {OUTSIDE: outside}


def measure(
    client: Client, flat: Flat, asked: Sequence[str], repetitions: int, security: str, series: dict[str, Series]
) -> None:
    vectors = encoder().encode_queries(list(asked))
    with progress(f"asking ({security})") as told:
        for turn in range(repetitions + 1):  # the first warms up and does not count
            told(turn, repetitions + 1)
            took: dict[str, list[float]] = {FLAT: []}
            for question, vector in zip(asked, vectors, strict=True):
                answers = {f"{routing}, {security}": timed(client, question, routing) for routing in ROUTINGS}
                exact_ms, exact = flat.search(vector, PASSAGES)
                took[FLAT].append(exact_ms)
                for name, (answer, stages) in answers.items():
                    took.setdefault(name, []).append(sum(stages.values()))
                    if turn:
                        series.setdefault(name, Series()).question(answer, stages, exact)
            for name, milliseconds in took.items() if turn else ():
                series.setdefault(name, Series()).turn(milliseconds, statistics.median(took[FLAT]))
        told(repetitions + 1, repetitions + 1)


def patient_row() -> str:
    """What becomes of class `patient`, as a new node's policy has it."""
    cautious = policy_file.parse(CAUTIOUS.encode(), NodeConfig(node="node", name="Node"), Path("policy.toml"))
    if cautious.releases("records", ReleaseClass.PATIENT):
        return "not measured here; a new node's policy releases it"
    return "not applicable: a new node's policy describes and offers nothing; with a rule of its own not measured here"


def report(series: Mapping[str, Series], size: int, kind: str) -> str:
    headline = series[HEADLINE]
    ratio = statistics.median(headline.ratios)
    what = f"p50 retrieval end to end / flat search, {HOSPITALS} × {size:,}"
    figure = Figure("B1", what, spread(headline.ratios), f"≤ {GOAL}", ratio <= GOAL)
    rows: list[tuple[Cell, ...]] = []
    for name, one in series.items():
        work = (statistics.fmean(one.found), statistics.fmean(one.asked)) if one.found else ("–", "–")
        rows.append((name, spread(one.medians), spread(one.ratios), *work))
    rows.append(("class `patient`", patient_row(), "–", "–", "–"))
    whole = Table(
        f"{HOSPITALS} hospitals × {size:,} passages, class `public`, one asker",
        ("retrieval", "p50 ms", "ratio to flat", "flat's passages among the evidence", "hospitals asked"),
        tuple(rows),
        note=f"Medians of {len(headline.medians)} repetitions, least and most. The hospitals' files are on {kind}. "
        "All hospitals hold the same topics, so there is next to nothing for a router to save.",
    )
    secured = [name for name in series if name != FLAT]
    stages = Table(
        "Where the time goes: p50 ms of each stage",
        ("stage", *secured),
        tuple(
            (stage, *(statistics.median(series[name].stages[stage]) for name in secured)) for stage in headline.stages
        ),
        note="`encode` and `reason` are left out of every figure. `releases` includes the merge.",
    )
    return "\n".join([goals([figure]).as_markdown(), whole.as_markdown(), stages.as_markdown(), circumstances()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=25_000, help="per hospital")
    parser.add_argument("--questions", type=int, default=30, help="per repetition")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, help="where the hospitals' files lie; a disk that flushes. Default: temporary"
    )
    chosen = parser.parse_args()
    series = {FLAT: Series()}
    with TemporaryDirectory(dir=chosen.folder) as folder:
        with large_federation(Path(folder), HOSPITALS) as federation:
            with progress("filling stores") as told:
                told(0, 1)
                fill([home_of(federation, number) for number in range(HOSPITALS)], chosen.passages)
                told(1, 1)
            flat = Flat(federation)
            texts = [text for number in range(HOSPITALS) for text in texts_of(number, chosen.passages)]
            asked = list(questions(texts, chosen.questions, seed=1))
            for security, tls in (("signed, TLS 1.3", True), ("signed", False)):
                with progress(f"starting hospitals ({security})") as told:
                    told(0, 1)
                    start(federation, tls=tls)
                    told(1, 1)
                with closing(federation.client()) as client:
                    measure(client, flat, asked, chosen.repetitions, security, series)
                federation.stop()
        kind = file_system(Path(folder))
    print(report(series, chosen.passages, kind))


if __name__ == "__main__":
    main()
