"""Whom to ask: recall against the number of hospitals asked, for the product's router and every baseline.

Hospitals search exactly and their offers are merged by similarity, so what a set of hospitals finds is known as soon as
every hospital's best passages are. What a method learns, it learns from the questions of the other four folds: for the
product that is which of the hospitals' passages among the first ten were relevant, when all were asked.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.collection import EncoderIdentity
from fedrag.core.protocols import Encoder, RoutingLimits
from fedrag.core.wire import FloatMatrix, FloatVector
from fedrag.evaluation.baselines.node_choice import constant_set, fewest, popularity_prior
from fedrag.evaluation.baselines.ragroute import RagRoute
from fedrag.evaluation.baselines.tfidf_neighbours import TfidfNeighbours
from fedrag.evaluation.contenders import LEARNED_FROM, LEARNED_UP_TO, K, fold_of
from fedrag.evaluation.corpus import Corpus, Query
from fedrag.evaluation.report import Findings
from fedrag.evaluation.retrieval import RetrievalTask
from fedrag.evaluation.routing_bound import Known, fitted
from fedrag.evaluation.routing_tables import BOUND, CONSTANTS, COVERAGES, ORACLE, PRODUCT, TOPICS, findings, steps_of
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

UNTAUGHT: Final = "fedrag: mixture, descriptions alone"
PROTOTYPES: Final = "fedrag: prototypes"
CELLS: Final = "fedrag: kmeans, learned"
PADDED: Final = "fedrag: mixture, learned, padded to"
SETS_UP_TO: Final = 12
"""Hospitals, of which every set is tried as a constant choice."""


@dataclass(frozen=True, slots=True)
class Fold:
    """What was learned from the questions of the other folds."""

    mixture: MixtureRouting
    kmeans: KMeansRouting
    prior: tuple[str, ...]
    constants: tuple[tuple[str, ...], ...]
    tfidf: TfidfNeighbours
    ragroute: RagRoute | None
    bounds: Mapping[str, npt.NDArray[np.float64]]


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
        self._known: Known | None = None

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
        covering = {
            name: (orders[name], [one.probability for one in decisions[name].ranking]) for name in (PRODUCT, UNTAUGHT)
        }
        for level, probabilities in fold.bounds.items():
            best = np.argsort(-probabilities[row], kind="stable")
            covering[BOUND + level] = tuple(self.nodes[at] for at in best), probabilities[row][best].tolist()
        drawn = {
            name: [found.recall(order[:number]) for number in steps_of(len(self.nodes))]
            for name, order in orders.items()
        }
        if fold.constants:
            drawn[CONSTANTS] = [found.recall(nodes) for nodes in fold.constants]
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
            "covering": {
                name: [
                    (found.recall(order[:number]), number)
                    for number in (fewest_of(np.array(promised), coverage) for coverage in COVERAGES)
                ]
                for name, (order, promised) in covering.items()
            },
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
            bounds=fitted(self._known_to_all(), fold) if learnable else {},
        )

    def _known_to_all(self) -> Known:
        if self._known is None:
            queries = self._corpus.queries
            useful = [[self._outcome(row).useful[node] for node in self.nodes] for row in range(len(queries))]
            folds = np.array([fold_of(query.group or query.id) for query in queries])
            self._known = Known.of(self._corpus, self._described, np.array(useful), folds)
        return self._known

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


def _constants(past: Sequence[Mapping[str, float]], nodes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The best set of each size; none for many hospitals, which have too many sets."""
    return (
        tuple(constant_set(past, nodes, size) for size in range(1, len(nodes) + 1)) if len(nodes) <= SETS_UP_TO else ()
    )
