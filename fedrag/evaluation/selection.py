"""Resource selection from descriptions alone: which sources to ask, judged by a graded relevance of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from fedrag.core.collection import CollectionDescription, EncoderIdentity
from fedrag.core.protocols import Encoder, RoutingLimits
from fedrag.core.wire import ReleaseClass
from fedrag.evaluation.baselines.central_bm25 import CentralBM25
from fedrag.evaluation.baselines.node_choice import popularity_prior
from fedrag.evaluation.baselines.tfidf_neighbours import TfidfNeighbours
from fedrag.evaluation.contenders import fold_of
from fedrag.evaluation.metrics.bootstrap import holm, paired_difference
from fedrag.evaluation.metrics.gain_share import gain_share
from fedrag.evaluation.metrics.ndcg import ndcg
from fedrag.evaluation.pictures import curves
from fedrag.evaluation.report import NOT_BUILT, Cell, Findings, Picture, Table, mean
from fedrag.evaluation.run import Run
from router.policies import ROUTING_POLICIES

PRODUCT: Final = "fedrag: prototypes (none published)"
RANDOM: Final = "random, mean of 20"
_DRAWS: Final = 20
_NEIGHBOURS: Final = 20
MISSING: Final = ("fedrag: descriptions read as text", "fedrag: learned routing")
FIGURES: Final = ("nDCG@1", "nDCG@5", "nDCG@10", "nP@1", "nP@3", "nP@5")


@dataclass(frozen=True, slots=True)
class Request:
    """`relevance[source]` is graded, 0 or more. `origin` only groups requests of one style; no method may see it."""

    id: str
    text: str
    origin: str
    relevance: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SelectionTask:
    """`sources`: name → description."""

    suite: str
    sources: Mapping[str, str]
    requests: tuple[Request, ...]
    notes: tuple[str, ...] = ()


class Selectors:
    """Every way to order the sources, for one request at a time."""

    def __init__(self, task: SelectionTask, run: Run, encoder: Encoder) -> None:
        cached = run.vectors(encoder)
        self._task = task
        self._names = tuple(task.sources)
        self._described = cached.passages([task.sources[name] for name in self._names])
        self._asked = cached.queries([request.text for request in task.requests])
        self._row = {request.id: row for row, request in enumerate(task.requests)}
        self._words = CentralBM25([task.sources[name] for name in self._names])
        self._policy = ROUTING_POLICIES.build("prototypes")
        self._encoder = encoder.identity
        self._collections = [_description(name, task.sources[name], encoder.identity) for name in self._names]
        self._random = np.random.default_rng(run.seed)
        self._learned: dict[tuple[str, str], _Learned] = {}

    def orders(self, request: Request) -> dict[str, tuple[str, ...]]:
        row = self._row[request.id]
        similarity = self._described @ self._asked[row]
        limits = RoutingLimits(maximum_nodes=len(self._names), passages=10)
        decision = self._policy.route(self._asked[row], self._encoder.comparable_with, self._collections, limits)
        named = {one.node: name for one, name in zip(self._collections, self._names, strict=True)}
        lexical = [self._names[at] for at, score in self._words.scored(request.text, len(self._names)) if score > 0]
        made = {
            PRODUCT: tuple(named[one.node] for one in decision.ranking),
            "constant: best on average of these very requests": self._fitted("all", "").prior,
            "BM25 on descriptions": tuple(dict.fromkeys((*lexical, *self._names))),
            "MiniLM on descriptions": tuple(self._names[at] for at in np.argsort(-similarity, kind="stable")),
        }
        for split, key in (("five folds", str(fold_of(request.id))), ("leave origin out", request.origin)):
            learned = self._fitted(split, key)
            made[f"popularity prior, {split}"] = learned.prior
            made[f"TF-IDF neighbours and prior, {split}"] = learned.tfidf.ranking(request.text)
            made[f"MiniLM neighbours, {split}"] = self._nearest(row, learned)
        return made

    def random_orders(self) -> list[tuple[str, ...]]:
        return [tuple(self._random.permutation(self._names).tolist()) for _ in range(_DRAWS)]

    def _fitted(self, split: str, key: str) -> "_Learned":
        if (split, key) not in self._learned:
            belongs: dict[str, Callable[[Request], bool]] = {
                "all": lambda _: True,
                "five folds": lambda one: str(fold_of(one.id)) != key,
                "leave origin out": lambda one: one.origin != key,
            }
            past = [one for one in self._task.requests if belongs[split](one)]
            relevance = [{name: float(grade) for name, grade in one.relevance.items()} for one in past]
            self._learned[split, key] = _Learned(
                tuple(past),
                popularity_prior(relevance, self._names),
                TfidfNeighbours([one.text for one in past], relevance, self._names),
            )
        return self._learned[split, key]

    def _nearest(self, row: int, learned: "_Learned") -> tuple[str, ...]:
        rows = [self._row[one.id] for one in learned.past]
        nearest = np.argsort(-(self._asked[rows] @ self._asked[row]), kind="stable")[:_NEIGHBOURS]
        sums = {name: sum(learned.past[at].relevance.get(name, 0) for at in nearest) for name in self._names}
        return tuple(sorted(self._names, key=lambda name: (-sums[name], name)))


@dataclass(frozen=True, slots=True)
class _Learned:
    past: tuple[Request, ...]
    prior: tuple[str, ...]
    tfidf: TfidfNeighbours


def measure(task: SelectionTask, run: Run, encoder: Encoder) -> Findings:
    built: list[Selectors] = []

    def one(request: Request) -> Mapping[str, object]:
        if not built:
            built.append(Selectors(task, run, encoder))
        draws = [_figures(order, request) for order in built[0].random_orders()]
        averaged = {name: mean([draw[name] for draw in draws]) for name in draws[0]}
        return {RANDOM: averaged} | {name: _figures(order, request) for name, order in built[0].orders(request).items()}

    results = list(run.recorded(task.suite, task.requests, "selection", one).values())
    return Findings((_table(results, task, run),), (_picture(results, len(task.sources)),), task.notes)


def _figures(order: Sequence[str], request: Request) -> dict[str, float]:
    figures = {f"nDCG@{k}": ndcg(order, request.relevance, k) for k in (1, 5, 10)}
    return figures | {
        f"nP@{k}": gain_share(order, request.relevance, k) for k in range(1, max(5, len(request.relevance)) + 1)
    }


def _table(results: Sequence[Mapping[str, Any]], task: SelectionTask, run: Run) -> Table:
    names = list(results[0]) if results else []
    reference = [float(one[PRODUCT]["nDCG@5"]) for one in results]
    differences = {
        name: paired_difference([float(one[name]["nDCG@5"]) for one in results], reference, run.seed)
        for name in names
        if name != PRODUCT
    }
    adjusted = dict(zip(differences, holm([one.p for one in differences.values()]), strict=True))
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        figures = [mean([float(one[name][figure]) for one in results]) for figure in FIGURES]
        verdict = (str(differences[name]), f"{adjusted[name]:.3f}") if name in differences else ("", "")
        rows.append((name, *figures, *verdict))
    rows += [(name, *(NOT_BUILT,) * (len(FIGURES) + 2)) for name in MISSING]
    return Table(
        f"Selection among {len(task.sources)} sources, {len(results)} requests",
        ("method", *FIGURES, "difference of nDCG@5", "p (Holm)"),
        tuple(rows),
        note=f"Differences are method minus `{PRODUCT}`; 95 % paired bootstrap over requests.",
    )


def _picture(results: Sequence[Mapping[str, Any]], sources: int) -> Picture:
    names = list(results[0]) if results else []
    lines = {
        name: [(float(k), mean([float(one[name][f"nP@{k}"]) for one in results])) for k in range(1, sources + 1)]
        for name in names
    }
    return curves("Relevance held by the first k sources, of the best k", "k", "nP@k", lines, y=(0.0, 1.0))


def _description(name: str, text: str, encoder: EncoderIdentity) -> CollectionDescription:
    return CollectionDescription(
        node=name.lower(),
        collection="documents",
        version=1,
        encoder=encoder,
        release_class=ReleaseClass.PUBLIC,
        passages=1,
        text=text,
        described_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
