"""Whom to ask: recall against the number of hospitals asked, for the product's router and every baseline.

Hospitals search exactly and their offers are merged by similarity, so what a set of hospitals finds is known as soon as
every hospital's best passages are. What a method learns, it learns from the questions of the other four folds: for the
product that is which of the hospitals' passages among the first ten were relevant, when all were asked.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedrag.core.collection import EncoderIdentity
from fedrag.core.protocols import Encoder, RoutingLimits
from fedrag.core.wire import FloatMatrix, FloatVector
from fedrag.evaluation.baselines.node_choice import constant_set, fewest, popularity_prior
from fedrag.evaluation.baselines.ragroute import RagRoute
from fedrag.evaluation.baselines.tfidf_neighbours import TfidfNeighbours
from fedrag.evaluation.contenders import FOLDS, LEARNED_FROM, LEARNED_UP_TO, K, fold_of
from fedrag.evaluation.corpus import Corpus, Query
from fedrag.evaluation.metrics.bootstrap import holm, paired_difference
from fedrag.evaluation.pictures import curves
from fedrag.evaluation.report import Cell, Findings, Picture, Table, mean
from fedrag.evaluation.retrieval import RetrievalTask
from fedrag.evaluation.run import Run
from fedrag.evaluation.simulation import SimulatedFederation
from fedrag.evaluation.splits import lay_out
from router.choosing import fewest as fewest_of
from router.expectation import stack
from router.groups import weighted_k_means
from router.learning import Learned, Outcome
from router.policies.kmeans import KMeansRouting
from router.policies.kmeans import Settings as CellSettings
from router.policies.mixture import MixtureRouting, Settings

PRODUCT: Final = "fedrag: mixture, learned"
UNTAUGHT: Final = "fedrag: mixture, descriptions alone"
PROTOTYPES: Final = "fedrag: prototypes"
CELLS: Final = "fedrag: kmeans, learned"
PADDED: Final = "fedrag: mixture, learned, padded to"
ORACLE: Final = "oracle: fewest of equal recall"
BROADCAST: Final = "broadcast"
EQUAL: Final = 0.95
SETS_UP_TO: Final = 12
"""Hospitals, of which every set is tried as a constant choice."""
EVERY_UP_TO: Final = 16
TOPICS: Final = 12
"""Of the questions, which an observer of contacts tries to name."""
COVERAGES: Final = tuple(round(0.5 + 0.02 * step, 2) for step in range(25))
Scores = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fold:
    """What was learned from the questions of the other folds."""

    mixture: MixtureRouting
    kmeans: KMeansRouting
    prior: tuple[str, ...]
    constants: tuple[tuple[str, ...], ...]
    tfidf: TfidfNeighbours
    ragroute: RagRoute | None


class RoutingContenders:
    """Every way to order the hospitals of one laid-out corpus, for one question at a time."""

    def __init__(self, corpus: Corpus, encoder: EncoderIdentity, seed: int) -> None:
        self._corpus, self._seed, self._encoder = corpus, seed, encoder
        owners = np.array(corpus.owners)
        self.nodes = tuple(sorted(set(corpus.owners)))
        self._rows = {node: np.flatnonzero(owners == node) for node in self.nodes}
        self._owner = np.searchsorted(self.nodes, owners)
        self._federation = SimulatedFederation.of(corpus.owners, corpus.vectors, encoder)
        self._described = tuple(self._federation.nodes[node].description for node in self.nodes)
        self._centroids = np.stack([corpus.vectors[self._rows[node]].mean(axis=0) for node in self.nodes])
        self._relevance = corpus.relevance()
        self._row = {query.id: row for row, query in enumerate(corpus.queries)}
        self._stands_for = [document.stands_for for document in corpus.documents]
        self._untaught = MixtureRouting(Settings(exploration=0, told=len(self.nodes)))
        self._topics = weighted_k_means(corpus.asked, np.ones(len(corpus.asked)), TOPICS)
        self._outcomes: dict[int, Outcome] = {}
        self._folds: dict[int, Fold] = {}

    def line_up(self, query: Query) -> dict[str, object]:
        row = self._row[query.id]
        vector, fold = self._corpus.asked[row], self.fold(fold_of(query.group or query.id))
        found = Found(self, vector, self._corpus.grades.get(query.id, {}))
        everything = found.recall(self.nodes)
        limits = RoutingLimits(len(self.nodes), K)
        decisions = {
            name: policy.route(vector, self._encoder.comparable_with, self._described, limits)
            for name, policy in {
                PRODUCT: fold.mixture,
                UNTAUGHT: self._untaught,
                PROTOTYPES: self._federation.policies["prototypes"],
                CELLS: fold.kmeans,
            }.items()
        }
        orders = {name: tuple(one.node for one in decision.ranking) for name, decision in decisions.items()}
        nearest = np.argsort(-(self._centroids @ vector), kind="stable")
        orders |= {
            "one centroid each": tuple(self.nodes[at] for at in nearest),
            "TF-IDF neighbours": fold.tfidf.ranking(query.text),
            "popularity prior": fold.prior,
            **({"RAGRoute": fold.ragroute.ranking(vector)} if fold.ragroute else {}),
            ORACLE: fewest(self._relevance[row], found.recall, everything),
        }
        chosen = {name: decision.selected for name, decision in decisions.items()} | {ORACLE: orders[ORACLE]}
        chosen |= {"RAGRoute": fold.ragroute.selected(vector)} if fold.ragroute else {}
        padded = {f"{PADDED} {number}": self._padded(fold.mixture, vector, number) for number in self._paddings()}
        promised = np.array([one.probability for one in decisions[PRODUCT].ranking])
        drawn = {
            name: [found.recall(order[:number]) for number in steps_of(len(self.nodes))]
            for name, order in orders.items()
        }
        if fold.constants:
            drawn["best constant set"] = [found.recall(nodes) for nodes in fold.constants]
        return {
            "fold": fold_of(query.group or query.id),
            "broadcast": everything,
            "curves": drawn,
            "chosen": {name: (found.recall(nodes), len(nodes)) for name, nodes in (chosen | padded).items()},
            "topic": int(np.argmax(self._topics @ vector)),
            "contacts": {
                name: [int(node in nodes) for node in self.nodes]
                for name, nodes in ({name: one.selected for name, one in decisions.items()} | padded).items()
            },
            "covering": [
                (found.recall(orders[PRODUCT][:number]), number)
                for number in (fewest_of(promised, coverage) for coverage in COVERAGES)
            ],
        }

    def _paddings(self) -> tuple[int, ...]:
        """A half and three quarters of the hospitals."""
        return tuple(sorted({max(1, len(self.nodes) // 2), max(1, 3 * len(self.nodes) // 4)}))

    def _padded(self, policy: MixtureRouting, vector: FloatVector, number: int) -> tuple[str, ...]:
        settings = Settings(exploration=0, told=len(self.nodes), padded=number)
        limits = RoutingLimits(len(self.nodes), K)
        padding = policy.set_to(settings)
        return padding.route(vector, self._encoder.comparable_with, self._described, limits).selected

    def fold(self, number: int) -> Fold:
        if number not in self._folds:
            self._folds[number] = self._learned_without(number)
        return self._folds[number]

    def _learned_without(self, fold: int) -> Fold:
        corpus, nodes = self._corpus, self.nodes
        rows = [row for row, query in enumerate(corpus.queries) if fold_of(query.group or query.id) != fold]
        past = [self._relevance[row] for row in rows]
        learnable = len(nodes) <= LEARNED_UP_TO and len(rows) * len(nodes) >= LEARNED_FROM
        learned = self._learned_from(rows)
        return Fold(
            mixture=self._untaught.informed_by(learned),
            kmeans=KMeansRouting(CellSettings()).informed_by(learned),
            prior=popularity_prior(past, nodes),
            constants=_constants(past, nodes),
            tfidf=TfidfNeighbours([corpus.queries[row].text for row in rows], past, nodes),
            ragroute=self._ragroute(rows) if learnable else None,
        )

    def _learned_from(self, rows: Sequence[int]) -> Learned:
        """What the product knows after these questions: cells from the prototypes, counts from which hospitals'
        passages among the first ten were relevant."""
        means = self._encoder.comparable_with
        published = stack(self._described, means, self._encoder.dimension)
        learned = Learned.beginning(means, published.vectors, published.masses)
        for row in rows:
            learned = learned.after(self._outcome(row))
        return learned

    def _outcome(self, row: int) -> Outcome:
        """Of one question that was put to everybody."""
        if row not in self._outcomes:
            query, vector = self._corpus.queries[row], self._corpus.asked[row]
            helped = Found(self, vector, self._corpus.grades.get(query.id, {})).useful()
            means = self._encoder.comparable_with
            self._outcomes[row] = self._untaught.outcome(vector, means, self._described, helped)
        return self._outcomes[row]

    def _ragroute(self, rows: Sequence[int]) -> RagRoute:
        asked, vectors = self._corpus.asked[rows], self._corpus.vectors
        owners = np.array(self._corpus.owners)
        best = np.argpartition(-(asked @ vectors.T), min(K, len(vectors) - 1), axis=1)[:, :K]
        holding = [frozenset(owners[row].tolist()) for row in best]
        return RagRoute(asked, holding, self.nodes, self._centroids, self._seed)

    def nearest(self, vector: FloatVector) -> tuple[FloatMatrix, npt.NDArray[np.int64]]:
        """Similarity to every passage, and the positions of each hospital's first K together."""
        similarity = self._corpus.vectors @ vector
        best = []
        for rows in self._rows.values():
            held = similarity[rows]
            first = np.argpartition(-held, min(K, len(held)) - 1)[:K]
            best.append(rows[first])
        positions = np.concatenate(best)
        return similarity, positions[np.lexsort((positions, -similarity[positions]))]

    def owners_of(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self._owner[positions]

    def documents(self, positions: npt.NDArray[np.int64]) -> list[str]:
        return [self._stands_for[position] for position in positions]


class Found:
    """What any set of hospitals finds for one question."""

    def __init__(self, contenders: RoutingContenders, vector: FloatVector, grades: Mapping[str, int]) -> None:
        _, positions = contenders.nearest(vector)
        self._owners = contenders.owners_of(positions)
        self._documents = contenders.documents(positions)
        self._relevant = {document for document, grade in grades.items() if grade > 0}
        self._nodes = contenders.nodes
        self._place = {node: at for at, node in enumerate(contenders.nodes)}
        self._known: dict[frozenset[str], float] = {}

    def recall(self, nodes: Sequence[str]) -> float:
        """Recall@K of their merged result."""
        asked = frozenset(nodes)
        if asked not in self._known:
            ten = self._ten(asked)
            hit = {self._documents[at] for at in ten} & self._relevant
            self._known[asked] = len(hit) / len(self._relevant) if self._relevant else 0.0
        return self._known[asked]

    def useful(self) -> dict[str, float]:
        """Every hospital, asked together with all others: 1 where a passage of it among the ten is relevant."""
        hits = Counter(
            int(self._owners[at]) for at in self._ten(frozenset(self._nodes)) if self._documents[at] in self._relevant
        )
        return {node: float(hits[at] > 0) for at, node in enumerate(self._nodes)}

    def _ten(self, asked: frozenset[str]) -> list[int]:
        places = [self._place[node] for node in asked]
        return [int(at) for at in np.flatnonzero(np.isin(self._owners, places))[:K]]


def steps_of(hospitals: int) -> tuple[int, ...]:
    """Numbers of hospitals asked that are looked at: every one, of many 1, 2, 4, 8, …"""
    if hospitals <= EVERY_UP_TO:
        return tuple(range(1, hospitals + 1))
    return tuple(2**power for power in range(hospitals.bit_length()))


def measure(task: RetrievalTask, run: Run, encoder: Encoder) -> Findings:
    """Two tables of recall by number of hospitals, one of what was chosen; the curves."""
    cached = run.vectors(encoder)
    encoded = cached.passages([document.embedded for document in task.documents], "encoding documents")
    asked = cached.queries([query.text for query in task.queries])
    documents, vectors = lay_out(task.documents, encoded, run.split, run.nodes, run.seed)
    corpus = Corpus(documents, vectors, task.queries, asked, task.grades)
    built: list[RoutingContenders] = []

    def one(query: Query) -> Mapping[str, object]:
        if not built:
            built.append(RoutingContenders(corpus, encoder.identity, run.seed))
        return built[0].line_up(query)

    results = list(run.recorded(task.suite, task.queries, "routing", one).values())
    return findings(results, len(set(corpus.owners)), run.seed)


def findings(results: Sequence[Scores], hospitals: int, seed: int) -> Findings:
    steps = steps_of(hospitals)
    return Findings(
        (
            _recalls(results, steps),
            _differences(results, steps, hospitals, seed),
            _contacts(results, hospitals, seed),
            _leakage(results, hospitals),
        ),
        (_picture(results, steps),),
        (
            """Routing: exact search and merging by similarity, so that only the choice of hospitals differs. What \
methods learn comes from the other four of five folds; the product's experience is that of its own broadcast to the \
hospitals there, with counts in the cells of the prototypes they publish.""",
        ),
    )


def _methods(results: Sequence[Scores]) -> list[str]:
    return list(results[0]["curves"]) if results else []


def _column(results: Sequence[Scores], name: str, at: int) -> list[float]:
    """Of every question, recall with the number of hospitals that is step `at`."""
    return [float(one["curves"][name][at]) for one in results]


def _recalls(results: Sequence[Scores], steps: Sequence[int]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (name, *(mean(_column(results, name, at)) for at in range(len(steps)))) for name in _methods(results)
    ]
    everyone = mean([float(one["broadcast"]) for one in results])
    return Table(
        f"Recall@{K} with the first so many hospitals of each order, {len(results)} questions",
        ("order", *(str(number) for number in steps)),
        tuple(rows),
        note=f"Broadcast: {everyone:.3f}. The oracle stops where it has that.",
    )


def _differences(results: Sequence[Scores], steps: Sequence[int], hospitals: int, seed: int) -> Table:
    """Up to half of the hospitals: beyond it there is next to nothing left to choose."""
    steps = [number for number in steps if number <= max(1, hospitals // 2)]
    others = [name for name in _methods(results) if name not in (PRODUCT, ORACLE)]
    pairs = [(name, at) for name in others for at in range(len(steps))]
    made = {
        (name, at): paired_difference(_column(results, PRODUCT, at), _column(results, name, at), seed)
        for name, at in pairs
    }
    adjusted = dict(zip(pairs, holm([made[pair].p for pair in pairs]), strict=True))
    rows: list[tuple[Cell, ...]] = [
        (name, *(f"{made[name, at]}, p {adjusted[name, at]:.3f}" for at in range(len(steps)))) for name in others
    ]
    return Table(
        f"`{PRODUCT}` minus the others",
        ("order", *(str(number) for number in steps)),
        tuple(rows),
        note="Of recall at that number of hospitals; 95 % paired bootstrap over questions, p after Holm over all.",
    )


def _contacts(results: Sequence[Scores], hospitals: int, seed: int) -> Table:
    """Of the questions for which broadcast finds something: of the others the oracle asks nobody."""
    judged = [one for one in results if float(one["broadcast"]) > 0]
    everyone = [float(one["broadcast"]) for one in judged]
    fewest_nodes = mean([float(one["chosen"][ORACLE][1]) for one in judged]) or 1.0
    ways: dict[str, list[tuple[float, float]]] = {
        name: [(float(one["chosen"][name][0]), float(one["chosen"][name][1])) for one in judged]
        for name in (list(judged[0]["chosen"]) if judged else [])
    }
    ways[BROADCAST] = [(one, float(hospitals)) for one in everyone]
    if judged:
        ways[f"{PRODUCT}, coverage for {EQUAL} chosen on the other folds"] = _tuned(judged)
    rows: list[tuple[Cell, ...]] = []
    for name, made in ways.items():
        recalls, asked = ([float(value) for value in column] for column in zip(*made, strict=True))
        rows.append(
            (
                name,
                mean(recalls) / (mean(everyone) or 1.0),
                mean(asked),
                mean(asked) / fewest_nodes,
                str(paired_difference(recalls, everyone, seed)),
            )
        )
    return Table(
        f"Whom each method asks by itself, {len(judged)} questions for which broadcast finds something relevant",
        ("method", f"R@{K} / broadcast's", "hospitals", "of the oracle's", "recall minus broadcast's"),
        tuple(rows),
    )


def _leakage(results: Sequence[Scores], hospitals: int) -> Table:
    """An observer of connections, who knows for the questions of the other folds who was asked and what the topic was,
    names the likeliest topic: naive Bayes over who is asked and who is not."""
    topics = np.array([int(one["topic"]) for one in results], dtype=np.int64)
    folds = np.array([int(one["fold"]) for one in results], dtype=np.int64)
    seen = {
        name: np.array([one["contacts"][name] for one in results], dtype=np.float64).reshape(len(results), hospitals)
        for name in (results[0]["contacts"] if results else ())
    }
    seen[BROADCAST] = np.ones((len(results), hospitals))
    rows: list[tuple[Cell, ...]] = []
    for name, contacts in seen.items():
        named = topics_named(contacts, topics, folds)
        rows.append((name, mean((named == topics).astype(float).tolist()), float(contacts.sum(axis=1).mean())))
    return Table(
        f"What who is asked tells of the question: its topic, one of {TOPICS}, named by an observer of connections",
        ("method", "topics named right", "hospitals asked"),
        tuple(rows),
        note="Broadcast: the commonest topic is always named. Topics are groups of the questions' vectors.",
    )


def topics_named(
    contacts: npt.NDArray[np.float64], topics: npt.NDArray[np.int64], folds: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Of every question, from the other folds' contacts (questions, hospitals) and topics."""
    named = np.zeros(len(topics), dtype=np.int64)
    for fold in np.unique(folds):
        past, now = folds != fold, folds == fold
        scores = np.full((int(now.sum()), TOPICS), -np.inf)
        for topic in np.unique(topics[past]):
            held = contacts[past & (topics == topic)]
            asked = (held.sum(axis=0) + 1) / (len(held) + 2)
            likely = contacts[now] @ np.log(asked) + (1 - contacts[now]) @ np.log(1 - asked)
            scores[:, topic] = likely + np.log(len(held))
        named[now] = np.argmax(scores, axis=1)
    return named


def _tuned(judged: Sequence[Scores]) -> list[tuple[float, float]]:
    """Recall and number of hospitals of every question at the coverage that kept EQUAL of broadcast's recall with the
    fewest hospitals on the other folds; at the largest where none did."""

    def of(one: Scores, at: int) -> tuple[float, float]:
        found, number = one["covering"][at]
        return float(found), float(number)

    chosen = {}
    for fold in range(FOLDS):
        others = [one for one in judged if one["fold"] != fold]
        wanted = EQUAL * mean([float(one["broadcast"]) for one in others])
        enough = [at for at in range(len(COVERAGES)) if mean([of(one, at)[0] for one in others]) >= wanted]
        chosen[fold] = min(enough, default=len(COVERAGES) - 1)
    return [of(one, chosen[int(one["fold"])]) for one in judged]


def _picture(results: Sequence[Scores], steps: Sequence[int]) -> Picture:
    lines = {
        name: [(float(number), mean(_column(results, name, at))) for at, number in enumerate(steps)]
        for name in _methods(results)
    }
    return curves("Recall against hospitals asked, by whom to ask first", "hospitals asked", f"recall@{K}", lines)


def _constants(past: Sequence[Mapping[str, float]], nodes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The best set of each size; none for many hospitals, which have too many sets."""
    return (
        tuple(constant_set(past, nodes, size) for size in range(1, len(nodes) + 1)) if len(nodes) <= SETS_UP_TO else ()
    )
