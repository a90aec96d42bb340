"""Which language model to ask, learned from logs in which each question was put to one model only.

Questions belong to parties by subject (Dirichlet), and each party mostly asks models of its own liking (Dirichlet), as
in Federate-the-Router. A router is judged on questions of the fold that nobody has learned from, at LAMBDAS: the area
under the curve of accuracy over cost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix, Name, NodeId
from fedrag.evaluation.contenders import FOLDS, fold_of
from fedrag.evaluation.masked_learning import EXCHANGES, Learning, learn
from fedrag.evaluation.metrics.accuracy_cost import Curve, area, areas
from fedrag.evaluation.pictures import curves
from fedrag.evaluation.report import Cell, Findings, Picture, Table, mean
from fedrag.evaluation.run import Run
from fedrag.model_learning import GLOBAL, Log, counted, personal
from reasoner.model_choice import Doubles, Expected, ModelTable
from router.groups import weighted_k_means

PARTIES: Final = 10
JOINING: Final = 3
SKEW: Final = 0.6
STRONG_SKEW: Final = 0.03
LIKING: Final = 0.45
"""Of parties for models, Dirichlet."""
CALIBRATION: Final = 0.1
LAMBDAS: Final = np.geomspace(1e-4, 1e5, 100)
"""The dearest model costs 1 on average. Of Federate-the-Router: 1e-2 to 1e7, where it costs about a hundredth."""
NEIGHBOURS: Final = 40
FEDERATED: Final = "fedrag: federated, masked sums"
CENTRAL: Final = "central: the same logs in one place"
NEAREST: Final = f"central: {NEIGHBOURS} nearest questions of each model"
ALONE: Final = "a party alone"
COIN: Final = "single models, by a coin between two"
SINGLE: Final = "best single model for each budget"
RANDOM: Final = "random"
ORACLE: Final = "oracle"
RIVALS: Final = (SINGLE, COIN, CENTRAL)
ALONE_OWN: Final = "its own log alone"
MIXED: Final = "mixture, by calibration error"
PERSONAL: Final = "fedrag: own sums on everybody's"

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ModelTask:
    """`right` float64 (questions, models) 0 or 1, `cost` in any one unit. A subject only says whose a question is."""

    name: str
    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    texts: tuple[str, ...]
    models: tuple[Name, ...]
    right: Doubles
    cost: Doubles
    unit: str


@dataclass(frozen=True, slots=True)
class Logs:
    """`owner` and `asked` int64 (questions,): whose a question is, and which model was asked."""

    task: ModelTask
    vectors: FloatMatrix
    comparable_with: str
    folds: Rows
    owner: Rows
    asked: Rows

    def of(self, rows: Rows, asked: Rows | None = None) -> Log:
        models = self.asked[rows] if asked is None else asked
        return Log(
            self.comparable_with,
            self.vectors[rows],
            tuple(self.task.models[at] for at in models.tolist()),
            self.task.right[rows, models],
            self.task.cost[rows, models],
        )

    def parties(self, rows: Rows) -> dict[NodeId, Log]:
        return {f"party-{one}": self.of(rows[self.owner[rows] == one]) for one in range(PARTIES)}

    def train(self, fold: int) -> Rows:
        return np.flatnonzero(self.folds != fold)

    def test(self, fold: int) -> Rows:
        return np.flatnonzero(self.folds == fold)


def logs_of(task: ModelTask, vectors: FloatMatrix, comparable_with: str, skew: float, seed: int) -> Logs:
    random = np.random.default_rng(seed)
    subjects = np.array(task.subjects)
    owner, asked = (np.zeros(len(task.ids), dtype=np.int64) for _ in range(2))
    for subject in sorted(set(task.subjects)):
        rows = np.flatnonzero(subjects == subject)
        owner[rows] = random.choice(PARTIES, size=len(rows), p=random.dirichlet(np.full(PARTIES, skew)))
    for party in range(PARTIES):
        rows = np.flatnonzero(owner == party)
        liking = random.dirichlet(np.full(len(task.models), LIKING))
        asked[rows] = random.choice(len(task.models), size=len(rows), p=liking)
    folds = np.array([fold_of(one) for one in task.ids])
    return Logs(task, vectors, comparable_with, folds, owner, asked)


def measure(task: ModelTask, run: Run, encoder: Encoder) -> Findings:
    task = replace(task, cost=task.cost / task.cost.mean(axis=0).max())
    vectors, means = run.vectors(encoder).queries(task.texts), encoder.identity.comparable_with
    mild, strong = (logs_of(task, vectors, means, skew, run.seed) for skew in (SKEW, STRONG_SKEW))
    learned = [learn(mild.parties(mild.train(fold)), task.models) for fold in range(FOLDS)]
    whole, pictured = _everyone(mild, learned, run.seed)
    return Findings(
        (
            _singles(task),
            whole,
            *(_own(logs, name, run.seed) for logs, name in ((mild, SKEW), (strong, STRONG_SKEW))),
            _newcomers(mild, learned, run.seed),
            _took(learned),
        ),
        (pictured,),
    )


def decided(task: ModelTask, rows: Rows, expected: Expected) -> Curve:
    """What the models chosen for these questions came to, at every λ."""
    choice = np.stack([expected.order(weight)[:, 0] for weight in LAMBDAS.tolist()], axis=1)
    return Curve(
        np.take_along_axis(task.right[rows], choice, axis=1), np.take_along_axis(task.cost[rows], choice, axis=1)
    )


def over_folds(logs: Logs, expected: Callable[[int, Rows], Expected]) -> Curve:
    """`expected(fold, rows)`: of the questions of one fold, by what was learned from the others."""
    shape = (len(logs.task.ids), len(LAMBDAS))
    right, cost = np.zeros(shape), np.zeros(shape)
    for fold in range(FOLDS):
        rows = logs.test(fold)
        right[rows], cost[rows] = decided(logs.task, rows, expected(fold, rows))
    return Curve(right, cost)


def _everyone(logs: Logs, learned: Sequence[Learning], seed: int) -> tuple[Table, Picture]:
    task = logs.task
    central = [_central(logs, logs.train(fold)) for fold in range(FOLDS)]
    made = {
        FEDERATED: over_folds(logs, lambda fold, rows: learned[fold].table.expected(logs.vectors[rows])),
        CENTRAL: over_folds(logs, lambda fold, rows: central[fold].expected(logs.vectors[rows])),
        NEAREST: over_folds(logs, lambda fold, rows: _nearest(logs, logs.train(fold), rows)),
        SINGLE: Curve(task.right, task.cost),
        COIN: Curve(task.right, task.cost),
        RANDOM: Curve(task.right.mean(axis=1, keepdims=True), task.cost.mean(axis=1, keepdims=True)),
        ORACLE: decided(task, np.arange(len(task.ids)), Expected(task.right, task.cost)),
    }
    drawn = areas(made, task.right, task.cost, seed, stairs=(SINGLE,))
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            drawn[name].value,
            *(("" if name == rival else str(drawn[name].minus(drawn[rival]))) for rival in RIVALS),
            *_at_its_best(curve),
        )
        for name, curve in made.items()
    ]
    alone = [area(_alone(logs, one), task.right, task.cost) for one in range(PARTIES)]
    rows[3:3] = [
        (f"{ALONE}: {what}", value, *("",) * (len(RIVALS) + 2))
        for what, value in (("mean", mean(alone)), ("worst", min(alone)), ("best", max(alone)))
    ]
    return Table(
        f"{task.name}: area under accuracy over cost, {len(task.ids)} questions of all parties in five folds",
        ("router", "area", *(f"minus {rival}" for rival in RIVALS), "accuracy at its best", "cost there"),
        tuple(rows),
        note="Area: of the non-decreasing upper hull over all λ, from the cheapest model's mean cost to the dearest's, "
        "as a share of that range; every curve may also ask the cheapest. Intervals: 95 %, questions drawn anew.",
    ), _picture(task, {name: made[name] for name in (FEDERATED, CENTRAL, COIN, RANDOM, ORACLE)})


def _own(logs: Logs, skew: float, seed: int) -> Table:
    """Every party's own questions, decided by what it has."""
    task = logs.task
    made: dict[str, dict[int, Expected]] = {name: {} for name in (FEDERATED, ALONE_OWN, MIXED, PERSONAL)}
    for fold in range(FOLDS):
        train, test = logs.train(fold), logs.test(fold)
        everybody = learn(logs.parties(train), task.models).table
        expected = {name: Expected(*np.zeros((2, len(test), len(task.models)))) for name in made}
        for party in range(PARTIES):
            log = logs.of(train[logs.owner[train] == party])
            mine = np.flatnonzero(logs.owner[test] == party)
            queries = logs.vectors[test[mine]]
            alone = _table(log, task.models)
            own = personal(counted(log, everybody.centres, task.models), everybody)
            for name, said in (
                (FEDERATED, everybody.expected(queries)),
                (ALONE_OWN, alone.expected(queries)),
                (MIXED, _mixed(everybody, alone, log, queries)),
                (PERSONAL, own.expected(queries)),
            ):
                expected[name].accuracy[mine], expected[name].cost[mine] = said
        for name, said in expected.items():
            made[name][fold] = said
    found = {name: over_folds(logs, lambda fold, _, by=by: by[fold]) for name, by in made.items()}  # type: ignore[misc]
    drawn = areas(found, task.right, task.cost, seed)
    rows = tuple(
        (
            name,
            one.value,
            "" if name == ALONE_OWN else str(one.minus(drawn[ALONE_OWN])),
            "" if name == FEDERATED else str(one.minus(drawn[FEDERATED])),
        )
        for name, one in drawn.items()
    )
    sizes = np.bincount(logs.owner, minlength=PARTIES)
    return Table(
        f"{task.name}: each party's own questions, skew {skew}",
        ("router", "area", f"minus {ALONE_OWN}", f"minus {FEDERATED}"),
        rows,
        note=f"Questions of a party: {', '.join(map(str, sorted(sizes.tolist())))}. The smaller the skew's number, the "
        "fewer parties share a subject.",
    )


def _newcomers(logs: Logs, learned: Sequence[Learning], seed: int) -> Table:
    """A model that comes later, and parties that do."""
    task = logs.task
    new = int(np.argmax(task.right.mean(axis=0)))
    others = tuple(model for at, model in enumerate(task.models) if at != new)
    kept = [at for at in range(len(task.models)) if at != new]
    without, calibrated, before, joined = [], [], [], []
    random = np.random.default_rng(seed)
    for fold in range(FOLDS):
        train = logs.train(fold)
        old = learn(logs.parties(train[logs.asked[train] != new]), others).table
        drawn = np.sort(random.choice(train, size=round(CALIBRATION * len(train)), replace=False))
        without.append(old)
        calibrated.append(old.plus(counted(logs.of(drawn, np.full(len(drawn), new)), old.centres, task.models)))
        first = train[logs.owner[train] < PARTIES - JOINING]
        early = learn({k: v for k, v in logs.parties(first).items() if len(v.models)}, task.models).table
        late = logs.of(train[logs.owner[train] >= PARTIES - JOINING])
        before.append(early)
        joined.append(early.plus(counted(late, early.centres, task.models)))
    start = [one.table for one in learned]

    def curve(tables: Sequence[ModelTable], models: Sequence[int]) -> Curve:
        def expected(fold: int, rows: Rows) -> Expected:
            some = tables[fold].expected(logs.vectors[rows])
            worst = Expected(np.full(task.right[rows].shape, -np.inf), np.zeros(task.cost[rows].shape))
            worst.accuracy[:, models], worst.cost[:, models] = some
            return worst

        return over_folds(logs, expected)

    every = list(range(len(task.models)))
    order = [*kept, new]
    models = areas(
        {
            "without it": curve(without, kept),
            f"with it, of {CALIBRATION:.0%} of questions": curve(calibrated, order),
            "with it from the start": curve(start, every),
        },
        task.right,
        task.cost,
        seed,
    )
    late_rows = np.flatnonzero(logs.owner >= PARTIES - JOINING)
    parties = areas(
        {
            name: curve(tables, every).of(late_rows)
            for name, tables in (
                ("before they came", before),
                ("their sums added", joined),
                ("there from the start", start),
            )
        },
        task.right[late_rows],
        task.cost[late_rows],
        seed,
    )
    rows: list[tuple[Cell, ...]] = []
    for what, drawn_areas in (
        (f"new model {task.models[new]}, all questions", models),
        (f"{JOINING} new parties, their {len(late_rows)} questions", parties),
    ):
        base = next(iter(drawn_areas.values()))
        for name, one in drawn_areas.items():
            rows.append((what, name, one.value, "" if one is base else str(one.minus(base))))
    return Table(f"{task.name}: what comes later", ("what", "router", "area", "minus the first"), tuple(rows))


def _took(learned: Sequence[Learning]) -> Table:
    return Table(
        f"What federated learning took, {PARTIES} parties",
        ("figure", "value"),
        (
            ("rounds of learning", 1),
            (f"exchanges with every party: {', '.join(EXCHANGES)}", len(EXCHANGES)),
            ("bytes per party, both ways, most", max(max(one.sent.values()) for one in learned)),
            ("seconds of everyone together, mean of the folds", mean([one.seconds for one in learned])),
        ),
        note="Bytes of JSON, the table that every party gets included. Seconds without encoding, in one process.",
    )


def _singles(task: ModelTask) -> Table:
    return Table(
        f"{task.name}: the models, {len(task.ids)} questions",
        ("model", "accuracy", "cost, of the dearest's"),
        tuple(
            (model, float(right), float(cost))
            for model, right, cost in zip(task.models, task.right.mean(axis=0), task.cost.mean(axis=0), strict=True)
        ),
        note=f"Cost: {task.unit}.",
    )


def _central(logs: Logs, train: Rows) -> ModelTable:
    return _table(logs.of(train), logs.task.models)


def _table(log: Log, models: Sequence[Name]) -> ModelTable:
    centres = weighted_k_means(log.vectors, np.ones(len(log.vectors)), GLOBAL)
    return counted(log, centres, models)


def _alone(logs: Logs, party: int) -> Curve:
    """One party's own router, on everybody's questions."""

    def expected(fold: int, rows: Rows) -> Expected:
        train = logs.train(fold)
        return _central(logs, train[logs.owner[train] == party]).expected(logs.vectors[rows])

    return over_folds(logs, expected)


def _mixed(everybody: ModelTable, alone: ModelTable, log: Log, queries: FloatMatrix) -> Expected:
    """Of Federate-the-Router: for every model the two estimates weigh by the inverse of their mean absolute error on
    the party's own questions."""
    (accuracy, cost), (own_accuracy, own_cost) = everybody.expected(queries), alone.expected(queries)
    said, own = everybody.expected(log.vectors).accuracy, alone.expected(log.vectors).accuracy
    weights = np.full(len(everybody.models), 0.5)
    for at, model in enumerate(everybody.models):
        rows = [row for row, asked in enumerate(log.models) if asked == model]
        if rows:
            errors = [float(np.abs(one[rows, at] - log.right[rows]).mean()) for one in (said, own)]
            weights[at] = errors[1] / sum(errors) if sum(errors) else 0.5
    return Expected(
        weights * accuracy + (1 - weights) * own_accuracy,
        weights * cost + (1 - weights) * own_cost,
    )


def _nearest(logs: Logs, train: Rows, rows: Rows) -> Expected:
    task = logs.task
    accuracy, cost = np.zeros((2, len(rows), len(task.models)))
    for model in range(len(task.models)):
        seen = train[logs.asked[train] == model]
        if not len(seen):
            continue
        near = np.argsort(-(logs.vectors[rows] @ logs.vectors[seen].T), axis=1, kind="stable")[:, :NEIGHBOURS]
        accuracy[:, model] = task.right[seen, model][near].mean(axis=1)
        cost[:, model] = task.cost[seen, model][near].mean(axis=1)
    return Expected(accuracy, cost)


def _at_its_best(curve: Curve) -> tuple[float, float]:
    """Its highest mean accuracy over λ, and the mean cost of it."""
    right, cost = curve.right.mean(axis=0), curve.cost.mean(axis=0)
    best = int(np.lexsort((cost, -right))[0])
    return float(right[best]), float(cost[best])


def _picture(task: ModelTask, made: Mapping[str, Curve]) -> Picture:
    lines = {name: curve.points(task.right, task.cost) for name, curve in made.items()}
    return curves(f"{task.name}: accuracy over mean cost", "cost, of the dearest model's", "accuracy", lines)
