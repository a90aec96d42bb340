"""Half of the hospitals search by another encoder: can their offers still be merged into one ranking?

Of the hospitals in order of their names every other one moves to the other encoder, then the others instead; a figure
is the mean of the two, so that no source is always on the same side. Every hospital calibrates itself, by the product's
own fit, to questions made of its own documents. Below stand one ranking with everything under one encoder, and the
product's merge and the baselines over the same offers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aggregator.methods import MERGE_METHODS
from fedrag.core.protocols import Encoder, MergeMethod, NodeOffer
from fedrag.core.wire import FloatMatrix
from fedrag.encoders import ENCODERS
from fedrag.evaluation.baselines.merging import MERGES
from fedrag.evaluation.contenders import DEPTH, OFFERS, K, scores_of
from fedrag.evaluation.corpus import Corpus, Query, originals
from fedrag.evaluation.encoders import Cached, Shortened
from fedrag.evaluation.metrics.bootstrap import holm, paired_difference
from fedrag.evaluation.metrics.ndcg import ndcg
from fedrag.evaluation.report import Cell, Table, mean
from fedrag.evaluation.run import Run
from fedrag.evaluation.simulation import SimulatedFederation, position_of
from retriever_node.passages import Field
from retriever_node.terms import terms_of

LENGTHS: Final = (128, 32)
"""Components that a shortened encoder keeps."""
PRODUCT: Final = "fedrag: comparable"
ALL: Final = "all hospitals on the federation's encoder"
OTHER: Final = "all hospitals on the other"
BASELINES: Final = ("raw score", "z-score", "min-max", "RRF")
WAYS: Final = ("vectors", "words and vectors")
_UNFOLDED: Final = {"near_duplicates": False}

Scores = Mapping[str, Any]
"""nDCG by way of searching, the other encoder, and system, as JSON gives it back."""


class MixedEncoders:
    """`encoders`: the federation's own, then the others, by what they are called in the table; `embed`: the fields of a
    document that are encoded."""

    def __init__(
        self,
        corpus: Corpus,
        encoders: Mapping[str, tuple[Encoder, FloatMatrix, FloatMatrix]],
        embed: Sequence[Field],
    ) -> None:
        worded = [(terms_of(document.title), terms_of(document.text)) for document in corpus.documents]
        self._corpus = corpus
        self._row = {query.id: row for row, query in enumerate(corpus.queries)}
        self._ids = [document.id for document in corpus.documents]
        self._stands_for = {document.id: document.stands_for for document in corpus.documents}
        self._asked = {name: asked for name, (_, _, asked) in encoders.items()}
        first, vectors, _ = next(iter(encoders.values()))
        whole = SimulatedFederation.of(corpus.owners, vectors, first.identity, worded=worded)
        self._federations = {
            name: whole.encoded_by(encoder.identity, vectors).calibrated(corpus.documents, encoder, embed)
            for name, (encoder, vectors, _) in encoders.items()
        }
        self._methods: dict[str, MergeMethod] = {
            PRODUCT: MERGE_METHODS.build("comparable", _UNFOLDED),
            "fedrag: probabilistic, every hospital as likely": MERGE_METHODS.build("probabilistic", _UNFOLDED),
        }

    def scored(self, query: Query) -> Scores:
        """Of every system, over both ways to halve the hospitals."""
        own, *others = self._federations
        nodes = tuple(self._federations[own].nodes)
        scores: dict[str, dict[str, dict[str, float]]] = {}
        for way in WAYS:
            terms = terms_of(query.text) if way == WAYS[1] else []
            offered = {
                (name, node): federation.offers(node, self._asked[name][self._row[query.id]], DEPTH, terms)
                for name, federation in self._federations.items()
                for node in nodes
            }
            scores[way] = {}
            for other in others:
                halved = [
                    self._merged(
                        {node: offered[own if at % 2 == half else other, node] for at, node in enumerate(nodes)}
                    )
                    for half in range(2)
                ]
                alone = {
                    name: self._ranked(self._methods[PRODUCT], {node: offered[used, node] for node in nodes})
                    for name, used in ((ALL, own), (OTHER, other))
                }
                scores[way][other] = {
                    **{name: self._ndcg(query, ranking) for name, ranking in alone.items()},
                    **{name: mean([self._ndcg(query, one[name]) for one in halved]) for name in halved[0]},
                }
        return scores

    def _merged(self, offered: Mapping[str, Sequence[NodeOffer]]) -> dict[str, list[str]]:
        lists = scores_of(offered, self._ids)
        return {
            **{name: self._ranked(method, offered) for name, method in self._methods.items()},
            **{name: MERGES[name](lists, K) for name in BASELINES},
        }

    def _ranked(self, method: MergeMethod, offered: Mapping[str, Sequence[NodeOffer]]) -> list[str]:
        """As the coordinator asks: so many offers of each hospital."""
        pool = [one for made in offered.values() for one in made[:OFFERS]]
        return [self._ids[position_of(winner.offer)] for winner in method.merge(pool, K)]

    def _ndcg(self, query: Query, ranking: Sequence[str]) -> float:
        return ndcg(originals(ranking, self._stands_for), self._corpus.grades.get(query.id, {}), K)


def measure_mixed(suite: str, corpus: Corpus, run: Run, encoder: Encoder, embed: Sequence[Field]) -> tuple[Table, ...]:
    """One table for each way of searching."""
    built: list[MixedEncoders] = []

    def one(query: Query) -> Scores:
        if not built:
            built.append(MixedEncoders(corpus, _encoders(corpus, run, encoder), embed))
        return built[0].scored(query)

    results = list(run.recorded(suite, corpus.queries, "mixed encoders", one).values())
    return tuple(_table(way, results, run) for way in WAYS) if results else ()


def _encoders(corpus: Corpus, run: Run, encoder: Encoder) -> dict[str, tuple[Encoder, FloatMatrix, FloatMatrix]]:
    own = Cached(encoder, run.vectors(encoder))
    hashed = ENCODERS.build("hashing")
    made: dict[str, Encoder] = {
        encoder.identity.name: own,
        **{f"its first {length} components": Shortened(own, length) for length in LENGTHS},
        "hashed words": Cached(hashed, run.vectors(hashed)),
    }
    texts = [document.embedded for document in corpus.documents]
    asked = [query.text for query in corpus.queries]
    return {name: (one, one.encode_passages(texts), one.encode_queries(asked)) for name, one in made.items()}


def _table(way: str, results: Sequence[Scores], run: Run) -> Table:
    others = list(results[0][way])
    systems = list(results[0][way][others[0]])

    def column(other: str, system: str) -> list[float]:
        return [float(made[way][other][system]) for made in results]

    pairs = [(other, system) for other in others for system in systems if system != PRODUCT]
    found = {pair: paired_difference(column(pair[0], PRODUCT), column(*pair), run.seed) for pair in pairs}
    adjusted = dict(zip(found, holm([one.p for one in found.values()]), strict=True))
    rows: list[tuple[Cell, ...]] = []
    for system in systems:
        cells: list[Cell] = [system]
        for other in others:
            cells.append(mean(column(other, system)))
            pair = (other, system)
            cells.append(f"{found[pair]}, p {adjusted[pair]:.3f}" if pair in found else "")
        rows.append(tuple(cells))
    heads = [head for other in others for head in (f"half on {other}", "fedrag above it")]
    return Table(
        f"Mixed encoders, {way}, nDCG@{K}, {len(results)} questions",
        ("system", *heads),
        tuple(rows),
        note=f"Means over both ways to halve the hospitals. fedrag sees the {OFFERS} best of each hospital, the "
        f"baselines {DEPTH}. Differences are `{PRODUCT}` minus system; p after Holm over the table.",
    )
