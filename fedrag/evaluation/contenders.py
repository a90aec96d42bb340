"""Every system of a retrieval table, for one question at a time: the product's own parts, and all baselines.

All see the same vectors and the same node lists. What a baseline learns, it learns from the four folds that neither
the question nor another one of its group is in.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.collection import EncoderIdentity
from fedrag.core.protocols import NodeOffer
from fedrag.core.wire import FloatVector
from fedrag.evaluation.baselines.central_bm25 import CentralBM25
from fedrag.evaluation.baselines.cori_selection import CoriSelection
from fedrag.evaluation.baselines.merging import MERGES, Lists, cori, raw_score, rrf
from fedrag.evaluation.baselines.node_bm25 import NodeBM25
from fedrag.evaluation.baselines.node_choice import constant_set, fewest, holders, largest, popularity_prior
from fedrag.evaluation.baselines.ragroute import RagRoute
from fedrag.evaluation.baselines.tfidf_neighbours import TfidfNeighbours
from fedrag.evaluation.corpus import Corpus, Query, originals
from fedrag.evaluation.metrics.recall import recall
from fedrag.evaluation.simulation import SimulatedFederation, position_of, wire_bytes
from retriever_node.lexical import Terms
from retriever_node.terms import PublicTerms, terms_of

FOLDS: Final = 5
K: Final = 10
DEPTH: Final = 100
OFFERS: Final = 2 * K
"""Per hospital, as the coordinator asks: two per passage wanted."""
CONSTANTS_UP_TO: Final = 16
"""Hospitals; beyond it there are too many sets to try."""
LEARNED_UP_TO: Final = 64
"""Hospitals; beyond it RAGRoute's features do not fit into memory (its one-hot grows with their number)."""
LEARNED_FROM: Final = 20
"""Pairs of question and hospital; with fewer there is nothing to learn from and RAGRoute has no row."""
CURVE_UP_TO: Final = 64
RANKED: Final = ("mixture", "prototypes")
"""Routing policies whose whole ranking is drawn."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """One system's result for one question; `asked` are the hospitals that took part."""

    ranking: list[str]
    asked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """What was learned from the questions of the other folds."""

    prior: tuple[str, ...]
    constants: Mapping[int, tuple[str, ...]]
    tfidf: TfidfNeighbours
    ragroute: RagRoute | None


@dataclass(frozen=True, slots=True)
class Lineup:
    """`systems` by name; `offer_bytes` by hospital; `curves`: recall with the first `steps` hospitals of every way to
    order them."""

    systems: Mapping[str, Retrieved]
    offer_bytes: Mapping[str, int]
    steps: tuple[int, ...]
    curves: Mapping[str, list[float]]


def fold_of(query_id: str) -> int:
    return int(hashlib.sha256(query_id.encode()).hexdigest()[:8], 16) % FOLDS


def _fold_of(query: Query) -> int:
    return fold_of(query.group or query.id)


class Contenders:
    """`folding`: near-duplicates are folded by the product's sketches."""

    def __init__(
        self,
        corpus: Corpus,
        encoder: EncoderIdentity,
        *,
        folding: bool,
        seed: int,
        vocabulary: Sequence[str] | None = None,
    ) -> None:
        lexical = [document.lexical for document in corpus.documents]
        self._corpus = corpus
        self._seed = seed
        self._ids = [document.id for document in corpus.documents]
        self._stands_for = {document.id: document.stands_for for document in corpus.documents}
        self._owners = corpus.owners
        self._nodes = tuple(sorted(set(self._owners)))
        self._row = {query.id: row for row, query in enumerate(corpus.queries)}
        self._relevance = corpus.relevance()
        sketched = lexical if folding else None
        worded = [(terms_of(document.title), terms_of(document.text)) for document in corpus.documents]
        self._federation = SimulatedFederation.of(
            self._owners, corpus.vectors, encoder, worded=worded, sketched=sketched
        )
        self._shared = self._federation.counting_together()
        self._public = self._federation.counting_together(PublicTerms.of(vocabulary)) if vocabulary else None
        self._central = SimulatedFederation.of(["everything"] * len(worded), corpus.vectors, encoder, worded=worded)
        self._central_bm25 = CentralBM25(lexical)
        self._node_bm25 = NodeBM25(self._owners, self._ids, lexical)
        self._cori = CoriSelection(self._owners, lexical)
        self._folds: dict[int, Fold] = {}

    def line_up(self, query: Query) -> Lineup:
        row = self._row[query.id]
        vector, relevant, fold = self._corpus.asked[row], self._relevance[row], self._fold(_fold_of(query))
        offered = {node: self._federation.offers(node, vector, DEPTH) for node in self._nodes}
        words = self._node_bm25.search(query.text, DEPTH)
        routed = {name: self._federation.route(vector, name, K) for name in self._federation.policies}
        grades = self._corpus.grades.get(query.id, {})

        def merged(nodes: Sequence[str], depth: int = DEPTH) -> list[str]:
            pool = [one for node in nodes for one in offered[node][:depth]]
            return [self._ids[position] for position in self._federation.merge(pool, depth)]

        def found(nodes: Sequence[str]) -> float:
            return recall(originals(merged(nodes, OFFERS), self._stands_for), grades, K)

        orders = {
            **{f"fedrag: {name}": tuple(one.node for one in routed[name].ranking) for name in RANKED},
            "popularity prior": fold.prior,
            "TF-IDF neighbours": fold.tfidf.ranking(query.text),
            **({"RAGRoute": fold.ragroute.ranking(vector)} if fold.ragroute else {}),
            "oracle: fewest": fewest(relevant, found, found(self._nodes)),
        }
        number = max(1, len(routed["mixture"].selected))
        chosen = {
            **{f"fedrag: {name}": decision.selected for name, decision in routed.items()},
            "oracle: fewest hospitals of equal recall": orders["oracle: fewest"],
            "oracle: every hospital that holds some": holders(relevant),
            **({"RAGRoute": fold.ragroute.selected(vector)} if fold.ragroute else {}),
            "popularity prior, as many as fedrag": fold.prior[:number],
            "TF-IDF neighbours, as many as fedrag": orders["TF-IDF neighbours"][:number],
            "constant: the largest": largest(Counter(self._owners))[:1],
            **{f"constant: best {size}": nodes for size, nodes in fold.constants.items()},
        }
        central = self._exact(vector)
        return Lineup(
            systems={
                "central exact": Retrieved(central, self._nodes),
                **{name: Retrieved(merged(nodes), nodes) for name, nodes in chosen.items()},
                **self._worded(query.text, vector, routed["mixture"].selected),
                **self._merges("dense", scores_of(offered, self._ids), query.text),
                **self._lexical(query.text, words, central, holders(relevant)),
            },
            offer_bytes={node: wire_bytes(made[:OFFERS]) for node, made in offered.items()},
            steps=self._steps(),
            curves={name: self._curve(order, found) for name, order in orders.items()},
        )

    def _fold(self, number: int) -> Fold:
        if number not in self._folds:
            self._folds[number] = self._learned(number)
        return self._folds[number]

    def _learned(self, fold: int) -> Fold:
        corpus, nodes = self._corpus, self._nodes
        rows = [row for row, query in enumerate(corpus.queries) if _fold_of(query) != fold]
        past = [self._relevance[row] for row in rows]
        owners = np.array(self._owners)
        sizes = range(1, 4) if len(nodes) <= CONSTANTS_UP_TO else ()
        learnable = len(nodes) <= LEARNED_UP_TO and len(rows) * len(nodes) >= LEARNED_FROM
        return Fold(
            prior=popularity_prior(past, nodes),
            constants={size: constant_set(past, nodes, size) for size in sizes},
            tfidf=TfidfNeighbours([corpus.queries[row].text for row in rows], past, nodes),
            ragroute=self._ragroute(rows, owners) if learnable else None,
        )

    def _ragroute(self, rows: Sequence[int], owners: npt.NDArray[np.str_]) -> RagRoute:
        asked, vectors = self._corpus.asked[rows], self._corpus.vectors
        centroids = np.stack([vectors[owners == node].mean(axis=0) for node in self._nodes])
        best = np.argpartition(-(asked @ vectors.T), min(K, len(vectors) - 1), axis=1)[:, :K]
        holding = [frozenset(owners[row].tolist()) for row in best]
        return RagRoute(asked, holding, self._nodes, centroids, self._seed)

    def _worded(self, text: str, vector: FloatVector, routed: Sequence[str]) -> dict[str, Retrieved]:
        """Words and vectors, and words alone: every hospital with its own statistics, with those of all, everything in
        one place; and the hospitals chosen with the counts of the public list, which is what a federation does unless
        told otherwise."""
        asked = terms_of(text)

        def at(nodes: Sequence[str], federation: SimulatedFederation) -> Retrieved:
            made = [one for node in nodes for one in federation.offers(node, vector, DEPTH, asked)]
            return Retrieved([self._ids[position] for position in federation.merge(made, DEPTH)], tuple(nodes))

        counted = {"own statistics": self._federation, "shared statistics": self._shared}
        if self._public is not None:
            counted["shared, public list alone"] = self._public
        central = self._central.offers("everything", vector, DEPTH, asked)
        return {
            "central words and vectors": Retrieved([self._ids[position_of(one.offer)] for one in central], self._nodes),
            "fedrag: words and vectors, as shipped (mixture, public list)": at(
                routed, self._public or self._federation
            ),
            **{f"fedrag: words and vectors, {name}": at(self._nodes, one) for name, one in counted.items()},
            "central BM25 of these terms": Retrieved(self._by_words(asked, self._central), self._nodes),
            **{
                f"fedrag: BM25, {name}": Retrieved(self._by_words(asked, one), self._nodes)
                for name, one in counted.items()
            },
        }

    def _by_words(self, asked: Terms, federation: SimulatedFederation) -> list[str]:
        held = [(one.rows, one.scored.score(asked)) for one in federation.nodes.values() if one.scored]
        rows, scores = (np.concatenate(parts) for parts in zip(*held, strict=True))
        best = np.lexsort((rows, -scores))[:DEPTH]
        return [self._ids[rows[at]] for at in best if scores[at] > 0]

    def _merges(self, kind: str, lists: Lists, text: str) -> dict[str, Retrieved]:
        made = {f"{kind}, {name}": merge(lists, DEPTH) for name, merge in MERGES.items()}
        made[f"{kind}, CORI"] = cori(lists, DEPTH, self._cori.scores(text))
        return {name: Retrieved(ranking, self._nodes) for name, ranking in made.items()}

    def _lexical(
        self, text: str, words: Lists, central: Sequence[str], holding: tuple[str, ...]
    ) -> dict[str, Retrieved]:
        found = [self._ids[at] for at, score in self._central_bm25.scored(text, DEPTH) if score > 0]
        both = {"words": [(one, 0.0) for one in found], "vectors": [(one, 0.0) for one in central]}
        held = {node: words[node] for node in holding}
        return {
            "central BM25": Retrieved(found, self._nodes),
            "central BM25 and exact, RRF": Retrieved(rrf(both, DEPTH), self._nodes),
            "oracle: every hospital that holds some, BM25": Retrieved(raw_score(held, DEPTH), holding),
            **self._merges("BM25", words, text),
        }

    def _steps(self) -> tuple[int, ...]:
        """Every number of hospitals, or with many of them 1, 2, 4, 8, …"""
        number = len(self._nodes)
        if number <= CONSTANTS_UP_TO:
            return tuple(range(1, number + 1))
        return tuple(2**power for power in range(CURVE_UP_TO.bit_length()) if 2**power <= number)

    def _curve(self, order: Sequence[str], found: Callable[[Sequence[str]], float]) -> list[float]:
        """An order that ends early stays where it is."""
        return [found(order[:step]) for step in self._steps()]

    def _exact(self, vector: FloatVector) -> list[str]:
        similarity = self._corpus.vectors @ vector
        best = np.argpartition(-similarity, min(DEPTH, len(similarity) - 1))[:DEPTH]
        return [self._ids[at] for at in best[np.lexsort((best, -similarity[best]))]]


def scores_of(offered: Mapping[str, Sequence[NodeOffer]], ids: Sequence[str]) -> Lists:
    """What merging baselines see of offers; `ids` names corpus positions."""
    return {
        node: [
            (ids[position_of(one.offer)], one.offer.similarity.value if one.offer.similarity else 0.0) for one in made
        ]
        for node, made in offered.items()
    }
