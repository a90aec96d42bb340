"""Resource selection from descriptions alone: which sources to ask, judged by a graded relevance of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from fedrag.core.collection import CollectionDescription, EncoderIdentity
from fedrag.core.protocols import Encoder, RoutingLimits, RoutingPolicy
from fedrag.core.wire import ReleaseClass
from fedrag.evaluation.baselines.central_bm25 import CentralBM25
from fedrag.evaluation.baselines.node_choice import popularity_prior
from fedrag.evaluation.baselines.tfidf_neighbours import TfidfNeighbours
from fedrag.evaluation.contenders import fold_of
from fedrag.evaluation.metrics.bootstrap import holm, paired_difference
from fedrag.evaluation.metrics.gain_share import gain_share
from fedrag.evaluation.metrics.ndcg import ndcg
from fedrag.evaluation.pictures import curves
from fedrag.evaluation.report import Cell, Findings, Picture, Table, mean
from fedrag.evaluation.run import Run
from router.learning import Learned
from router.policies.mixture import MixtureRouting, Settings

PRODUCT: Final = "fedrag: mixture, learned"
"""By split: what it learned comes from the other folds, or from the other origins."""
WORDS: Final = "fedrag: mixture, descriptions read as text, nothing learned"
SPLITS: Final = ("five folds", "leave origin out")
RANDOM: Final = "random, mean of 20"
_DRAWS: Final = 20
_NEIGHBOURS: Final = 20
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
        texts = {task.sources[name]: vector for name, vector in zip(self._names, self._described, strict=True)}
        self._policy = MixtureRouting(Settings(exploration=0, told=len(self._names)), texts=texts)
        self._encoder = encoder.identity
        self._collections = [_description(name, task.sources[name], encoder.identity) for name in self._names]
        self._random = np.random.default_rng(run.seed)
        self._learned: dict[tuple[str, str], _Learned] = {}

    def orders(self, request: Request) -> dict[str, tuple[str, ...]]:
        row = self._row[request.id]
        similarity = self._described @ self._asked[row]
        lexical = [self._names[at] for at, score in self._words.scored(request.text, len(self._names)) if score > 0]
        made = {
            WORDS: self._routed(self._policy, row),
            "constant: best on average of these very requests": self._fitted("all", "").prior,
            "BM25 on descriptions": tuple(dict.fromkeys((*lexical, *self._names))),
            "MiniLM on descriptions": tuple(self._names[at] for at in np.argsort(-similarity, kind="stable")),
        }
        for split, key in zip(SPLITS, (str(fold_of(request.id)), request.origin), strict=True):
            learned = self._fitted(split, key)
            made[f"{PRODUCT}, {split}"] = self._routed(learned.policy, row)
            made[f"popularity prior, {split}"] = learned.prior
            made[f"TF-IDF neighbours and prior, {split}"] = learned.tfidf.ranking(request.text)
            made[f"MiniLM neighbours, {split}"] = self._nearest(row, learned)
        return made

    def random_orders(self) -> list[tuple[str, ...]]:
        return [tuple(self._random.permutation(self._names).tolist()) for _ in range(_DRAWS)]

    def _routed(self, policy: RoutingPolicy, row: int) -> tuple[str, ...]:
        limits = RoutingLimits(maximum_nodes=len(self._names), passages=10)
        decision = policy.route(self._asked[row], self._encoder.comparable_with, self._collections, limits)
        named = {one.node: name for one, name in zip(self._collections, self._names, strict=True)}
        return tuple(named[one.node] for one in decision.ranking)

    def _taught(self, past: Sequence[Request]) -> MixtureRouting:
        """The product after these requests were put to every source; its cells are theirs, for there are no prototypes.
        How much a source helped is its relevance, of the largest there was."""
        rows = [self._row[one.id] for one in past]
        means, most = self._encoder.comparable_with, max((max(one.relevance.values()) for one in past), default=0) or 1
        learned = Learned.beginning(means, self._asked[rows], np.ones(len(rows)))
        nodes = {name: one.node for one, name in zip(self._collections, self._names, strict=True)}
        for row, request in zip(rows, past, strict=True):
            helped = {nodes[name]: request.relevance.get(name, 0) / most for name in self._names}
            learned = learned.after(self._policy.outcome(self._asked[row], means, self._collections, helped))
        return self._policy.informed_by(learned)

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
                self._taught(past),
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
    policy: MixtureRouting
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
    tables = (_table(results, task), _differences(results, run))
    return Findings(tables, (_picture(results, len(task.sources)),), task.notes)


def _figures(order: Sequence[str], request: Request) -> dict[str, float]:
    figures = {f"nDCG@{k}": ndcg(order, request.relevance, k) for k in (1, 5, 10)}
    return figures | {
        f"nP@{k}": gain_share(order, request.relevance, k) for k in range(1, max(5, len(request.relevance)) + 1)
    }


def _table(results: Sequence[Mapping[str, Any]], task: SelectionTask) -> Table:
    names = list(results[0]) if results else []
    return Table(
        f"Selection among {len(task.sources)} sources, {len(results)} requests",
        ("method", *FIGURES),
        tuple((name, *(mean([float(one[name][figure]) for one in results]) for figure in FIGURES)) for name in names),
    )


def _differences(results: Sequence[Mapping[str, Any]], run: Run) -> Table:
    """The product, with what it learned on each split, minus every method that learned on the same split or not at
    all."""
    names = list(results[0]) if results else []
    pairs = [
        (split, name)
        for split in SPLITS
        for name in names
        if not name.startswith(PRODUCT) and not any(name.endswith(other) for other in SPLITS if other != split)
    ]
    judged = ("nDCG@1", "nDCG@5")
    made = {
        (split, name, figure): paired_difference(
            [float(one[f"{PRODUCT}, {split}"][figure]) for one in results],
            [float(one[name][figure]) for one in results],
            run.seed,
        )
        for split, name in pairs
        for figure in judged
    }
    adjusted = dict(zip(made, holm([one.p for one in made.values()]), strict=True))
    rows: list[tuple[Cell, ...]] = []
    for split, name in pairs:
        cells = [(str(made[split, name, one]), f"{adjusted[split, name, one]:.3f}") for one in judged]
        rows.append((split, name, *cells[0], *cells[1]))
    return Table(
        f"`{PRODUCT}` minus the others",
        ("it learned by", "method", "nDCG@1", "p (Holm)", "nDCG@5", "p (Holm) "),
        tuple(rows),
        note="95 % paired bootstrap over requests; p after Holm over the table.",
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
