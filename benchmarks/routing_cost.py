"""B2 and B3: what routing saves at equal recall, and what federating costs in recall.

Two federations. `MedQuAD`: 1,061 questions that name a condition by a synonym, over the documents of nine NIH
sources, each a hospital; read from the folder that FEDRAG_DATA names, vectors by MiniLM, made once and kept in
`--cache`. `Synthetic`: hospitals with topics of their own (see topical_vectors.py), of each question's subject about
six passages are relevant.

Everything is the product's own part, in one process: index, prototypes, router, merge and wire values; hospitals are
no processes here. A hospital makes 20 offers and ten passages win, as with the coordinator's own proportions.

B2 counts, per question: hospitals asked; messages (one for the offers of each of them, one for the releases of each
that won); bytes of the offers and of the requests for them, as they are on the wire. The winners' text is left out:
all send ten passages. The oracle is the smallest set of hospitals with the broadcast's recall, so questions for which
the broadcast finds nothing relevant are left out of B2: there the oracle asks nobody. As shipped, the router has
learned nothing yet and goes by descriptions. `Taught`: after the questions of the other half were put to every
hospital, it knows whose passages among the first ten were relevant. `Set in hindsight`: `mixture` with that
`coverage`, of nine, that asks fewest and keeps 0.95 of the broadcast's recall. The fixed numbers of hospitals, the
smallest that keep it: those whose nearest prototype is nearest, and by popularity those that held most of what the
other half of the questions wanted.

B3 counts all questions: recall@10 of what is relevant, divided by that of one exact index over all passages.
"""

import argparse
import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from reporting import Figure, Table, circumstances, goals
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from topical_vectors import IDENTITY, topical_world

from fedrag.core.collection import EncoderIdentity
from fedrag.core.exchange import OfferRequest
from fedrag.core.identity import Asker
from fedrag.core.protocols import NodeOffer, RoutingLimits, RoutingPolicy
from fedrag.core.sketch import sketch_of
from fedrag.core.wire import FloatMatrix, FloatVector, NodeId, decode_vector, encode_vector
from fedrag.encoders import ENCODERS
from fedrag.evaluation.baselines.node_choice import fewest, popularity_prior
from fedrag.evaluation.corpus import node_id
from fedrag.evaluation.run import records
from fedrag.evaluation.simulation import SimulatedFederation, wire_bytes
from fedrag.evaluation.vectors import CachedVectors
from fedrag.http.signing import Signer
from fedrag.http.tokens import DevelopmentIssuer
from fedrag.terminal import progress
from retriever_node.handles import HandleSealer, Recipient, SealedPassage
from retriever_node.indexes import INDEXES
from router.expectation import stack
from router.learning import Learned
from router.policies import ROUTING_POLICIES
from router.policies.mixture import MixtureRouting, Settings

K: Final = 10
OFFERS: Final = 2 * K
EQUAL: Final = 0.95
OF_ORACLE: Final = 1.25
COVERAGES: Final = (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
FIXED: Final = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64)
"""Sizes of sets of hospitals that are asked whatever the question."""
CENTRAL: Final = "one exact index over everything"
BROADCAST: Final = "broadcast, flat indexes"
GRAPHS: Final = "broadcast, a graph (HNSW) at every hospital"
SHIPPED: Final = "mixture, as shipped"
TAUGHT: Final = "mixture, taught by the other half"
BEFORE: Final = "prototypes, as shipped"
HINDSIGHT: Final = "mixture, set in hindsight: coverage"
NEAREST: Final = "nearest prototype, always the first"
PRIOR: Final = "popularity prior, always the first"
ORACLE: Final = "oracle: fewest hospitals of equal recall"


@dataclass(frozen=True)
class Case:
    """`owners[i]` holds passage i; `relevant[q]` are positions of passages. `name` begins its tables' titles."""

    name: str
    owners: tuple[NodeId, ...]
    vectors: FloatMatrix
    questions: FloatMatrix
    relevant: tuple[frozenset[int], ...]
    encoder: EncoderIdentity


@dataclass(frozen=True)
class Cost:
    """Of one question asked one way, or the mean of many. `recall` is recall@10."""

    recall: float
    nodes: float = 0
    messages: float = 0
    wire_bytes: float = 0


Costs = Mapping[str, Sequence[Cost]]


class Federated:
    """One case as a federation of the product's parts, and the ways to ask it."""

    def __init__(self, case: Case) -> None:
        self._case = case
        with threadpool_limits(1):  # k-means of small matrices; two threads only get in each other's way
            self.flat = SimulatedFederation.of(case.owners, case.vectors, case.encoder)
        self.graphs = _with_graphs(self.flat, case.vectors)
        self.central = INDEXES.build("faiss_flat")
        self.central.build(case.vectors)
        self.policies: dict[str, RoutingPolicy] = {
            SHIPPED: ROUTING_POLICIES.build("mixture"),
            BEFORE: ROUTING_POLICIES.build("prototypes"),
            **{f"{HINDSIGHT} {one}": ROUTING_POLICIES.build("mixture", {"coverage": one}) for one in COVERAGES},
        }
        self._taught = [self._teach(parity) for parity in (0, 1)]
        self._priors = [_prior(case, parity) for parity in (0, 1)]
        self._prototypes = {
            node: np.stack([decode_vector(one.vector) for one in held.description.prototypes] or [0 * case.vectors[0]])
            for node, held in self.flat.nodes.items()
        }
        self._request_bytes = _request_bytes(case)

    def _teach(self, parity: int) -> RoutingPolicy:
        """For questions of this parity, by those of the other."""
        case, means = self._case, self._case.encoder.comparable_with
        described = [node.description for _, node in sorted(self.flat.nodes.items())]
        policy = MixtureRouting(Settings(exploration=0))
        published = stack(described, means, case.encoder.dimension)
        learned = Learned.beginning(means, published.vectors, published.masses)
        for at in range(1 - parity, len(case.questions), 2):
            ten = self.central.search(case.questions[at][None, :], K).positions[0]
            helped = {case.owners[position] for position in ten.tolist() if position in case.relevant[at]}
            useful = {node: float(node in helped) for node in self.flat.nodes}
            learned = learned.after(policy.outcome(case.questions[at], means, described, useful))
        return policy.informed_by(learned)

    def ask(self, at: int) -> dict[str, Cost]:
        """What question number `at` costs and finds, every way."""
        query, relevant = self._case.questions[at], self._case.relevant[at]
        offered = {node: self.flat.offers(node, query, OFFERS) for node in self.flat.nodes}
        bytes_of = {node: self._request_bytes + _offer_bytes(made) for node, made in offered.items()}
        owners = self._case.owners

        def asked(nodes: Sequence[NodeId]) -> Cost:
            won = self.flat.merge([one for node in nodes for one in offered[node]], K)
            messages = len(nodes) + len({owners[position] for position in won})
            return Cost(_recall(won, relevant), len(nodes), messages, sum(bytes_of[node] for node in nodes))

        everyone = asked(tuple(offered))
        holders = {owners[position]: 1.0 for position in relevant}
        exact = self.central.search(query[None, :], K).positions[0]
        graphs = [one for node in self.graphs.nodes for one in self.graphs.offers(node, query, OFFERS)]
        nearest = sorted(offered, key=lambda node: -float(np.max(self._prototypes[node] @ query)))
        orders = {NEAREST: nearest, PRIOR: self._priors[at % 2]}
        policies = self.policies | {TAUGHT: self._taught[at % 2]}
        found = {name: asked(_routed(policy, self.flat, query)) for name, policy in policies.items()}
        return {
            CENTRAL: Cost(_recall(exact, relevant)),
            BROADCAST: everyone,
            GRAPHS: replace(everyone, recall=_recall(self.graphs.merge(graphs, K), relevant)),
            **found,
            **{
                f"{name} {size}": asked(order[:size])
                for name, order in orders.items()
                for size in FIXED
                if size <= len(offered)
            },
            ORACLE: asked(fewest(holders, lambda nodes: asked(nodes).recall, everyone.recall)),
        }


def _routed(policy: RoutingPolicy, federation: SimulatedFederation, query: FloatVector) -> tuple[NodeId, ...]:
    described = [node.description for _, node in sorted(federation.nodes.items())]
    limits = RoutingLimits(maximum_nodes=len(described), passages=K)
    return policy.route(query, federation.encoder.comparable_with, described, limits).selected


def _with_graphs(federation: SimulatedFederation, vectors: FloatMatrix) -> SimulatedFederation:
    """The same hospitals, each with a graph, however few its passages are."""
    nodes = {}
    for name, node in federation.nodes.items():
        index = INDEXES.build("faiss_hnsw", {"exact_below": 0})
        index.build(vectors[list(node.rows)])
        nodes[name] = replace(node, index=index)
    return replace(federation, nodes=nodes)


def _recall(won: Sequence[int], relevant: frozenset[int]) -> float:
    return len(relevant.intersection(int(position) for position in won)) / len(relevant) if relevant else 0.0


def _offer_bytes(made: Sequence[NodeOffer]) -> int:
    """The simulation's offers carry shorter handles and no sketch: made up for here."""
    return wire_bytes(made) + len(made) * _MISSING_BYTES


def _missing_bytes() -> int:
    sealed = HandleSealer(bytes(32)).seal(SealedPassage("c", 1, 1, "p", 1), Recipient("a", "p", "c", "r"))
    return len(sealed) - 64 + len(sketch_of("any text").model_dump_json()) - len("null")


_MISSING_BYTES: Final = _missing_bytes()


def _request_bytes(case: Case) -> int:
    issuer = DevelopmentIssuer("benchmark-development-issuer", Signer.generate(), secret=bytes(32))
    request = OfferRequest(
        request_id="0" * 32,
        coordinator="benchmark",
        node=case.owners[0],
        vector=encode_vector(case.questions[0]),
        comparable_with=case.encoder.comparable_with,
        text="x" * 60,
        k=OFFERS,
        deadline_ms=3_000,
        token=issuer.token(Asker(name="clinician"), case.owners[0]),
    )
    return len(request.model_dump_json().encode())


def _prior(case: Case, parity: int) -> tuple[NodeId, ...]:
    """For questions of this parity, learned from those of the other."""
    relevance = [Counter(case.owners[position] for position in wanted) for wanted in case.relevant[1 - parity :: 2]]
    return popularity_prior(relevance, sorted(set(case.owners)))


def synthetic(nodes: int, passages: int, questions: int, topics: int, seed: int) -> Case:
    world = topical_world(nodes, passages, questions, topics=topics, per_subject=6, skew=0.1, seed=seed)
    about: dict[int, list[int]] = {}
    for position, subject in enumerate(world.subjects.tolist()):
        about.setdefault(subject, []).append(position)
    return Case(
        name=f"Synthetic, {nodes} hospitals, {passages:,} passages, {topics} topics by Dirichlet(0.1)",
        owners=tuple(world.nodes[at] for at in world.owners),
        vectors=world.vectors,
        questions=world.questions,
        relevant=tuple(frozenset(about[subject]) for subject in world.asked_about.tolist()),
        encoder=IDENTITY,
    )


def medquad(data: Path, cache: Path, limit: int) -> Case:
    """A document's vector is that of its question alone, which finds far better."""
    with gzip.open(data / "medquad_liveqa" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = [one for one in map(json.loads, lines) if one["has_answer"]]
    queries = records(data / "medquad_crossnode" / "queries_dev.jsonl")[:limit]
    at = {one["doc_id"]: position for position, one in enumerate(documents)}
    relevant: dict[str, set[int]] = {}
    for one in records(data / "medquad_crossnode" / "qrels_dev.jsonl"):
        if int(one["grade"]) > 0:
            relevant.setdefault(one["query_id"], set()).add(at[one["doc_id"]])
    encoder = ENCODERS.build("minilm")
    cached = CachedVectors(cache, encoder, progress)
    owners = tuple(node_id(str(one["node"])) for one in documents)
    return Case(
        name=f"MedQuAD, {len(set(owners))} sources, {len(documents):,} documents",
        owners=owners,
        vectors=cached.passages([str(one["question"]) for one in documents], "encoding documents"),
        questions=cached.queries([str(one["text"]) for one in queries]),
        relevant=tuple(frozenset(relevant.get(one["query_id"], ())) for one in queries),
        encoder=encoder.identity,
    )


def measure(case: Case) -> Costs:
    federated = Federated(case)
    costs: dict[str, list[Cost]] = {}
    with progress(f"asking: {case.name}") as told:
        for at in range(len(case.questions)):
            for name, cost in federated.ask(at).items():
                costs.setdefault(name, []).append(cost)
            told(at + 1, len(case.questions))
    return costs


def report(case: Case, costs: Costs) -> tuple[list[Figure], list[Table]]:
    judged = [at for at, cost in enumerate(costs[BROADCAST]) if cost.recall > 0]
    means = {name: _mean([made[at] for at in judged]) for name, made in costs.items()}
    hindsight, nearest, prior = (_cheapest(means, beginning) for beginning in (HINDSIGHT, NEAREST, PRIOR))
    shown = [name for name in (BROADCAST, SHIPPED, TAUGHT, hindsight, BEFORE, nearest, prior, ORACLE) if name]
    price = Table(
        f"{case.name}: what {len(judged)} questions cost on average",
        (
            "asked",
            "recall@10 / broadcast's",
            "hospitals",
            "messages",
            "bytes",
            "of broadcast's: hospitals",
            "messages ",
            "bytes ",
        ),
        tuple(
            (
                name,
                means[name].recall / means[BROADCAST].recall,
                means[name].nodes,
                means[name].messages,
                f"{means[name].wire_bytes:,.0f}",
                *(mine / theirs for mine, theirs in zip(_priced(means[name]), _priced(means[BROADCAST]), strict=True)),
            )
            for name in shown
        ),
        note=f"Left out: {len(case.questions) - len(judged)} questions for which the broadcast finds nothing relevant.",
    )
    whole = {name: fmean(cost.recall for cost in made) for name, made in costs.items()}
    kept = {name: whole[name] / whole[CENTRAL] for name in (BROADCAST, GRAPHS, SHIPPED)}
    loss = Table(
        f"{case.name}: recall@10 of all {len(case.questions)} questions",
        ("system", "recall@10", "of central exact's"),
        tuple((name, whole[name], whole[name] / whole[CENTRAL]) for name in (CENTRAL, BROADCAST, GRAPHS, SHIPPED)),
    )
    return [*_price_figures(case, means, hindsight), *_loss_figures(case, kept)], [price, loss]


def _price_figures(case: Case, means: Mapping[str, Cost], hindsight: str | None) -> list[Figure]:
    place, oracle = case.name.split(",")[0], _priced(means[ORACLE])
    figures = []
    for name, label in ((SHIPPED, "as shipped"), (TAUGHT, "taught"), (hindsight, "set in hindsight")):
        if name is None:
            continue
        ratios = [mine / theirs for mine, theirs in zip(_priced(means[name]), oracle, strict=True)]
        kept = means[name].recall / means[BROADCAST].recall
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        holds = max(ratios) <= OF_ORACLE and _equal(means[name], means[BROADCAST])
        what = f"{place}, {label}: hospitals, messages, bytes / the oracle's, at recall {kept:.3f} of broadcast's"
        figures.append(Figure("B2", what, shown, f"≤ {OF_ORACLE} at recall ≥ {EQUAL}", holds))
    return figures


def _loss_figures(case: Case, kept: Mapping[str, float]) -> list[Figure]:
    place = case.name.split(",")[0]
    bars = ((BROADCAST, "flat broadcast", 1.0, "1.000"), (GRAPHS, "HNSW broadcast", 0.99, "≥ 0.99"))
    return [
        Figure(
            "B3", f"{place}, {label}: recall@10 / central exact", f"{kept[name]:.3f}", goal, kept[name] >= least - 1e-12
        )
        for name, label, least, goal in (*bars, (SHIPPED, "routed", EQUAL, f"≥ {EQUAL}"))
    ]


def _cheapest(means: Mapping[str, Cost], beginning: str) -> str | None:
    """Of the ways with this beginning the one that asks fewest at equal recall."""
    equal = [name for name in means if name.startswith(beginning) and _equal(means[name], means[BROADCAST])]
    return min(equal, key=lambda name: means[name].nodes, default=None)


def _equal(one: Cost, broadcast: Cost) -> bool:
    return one.recall >= EQUAL * broadcast.recall


def _priced(cost: Cost) -> tuple[float, float, float]:
    return cost.nodes, cost.messages, cost.wire_bytes


def _mean(costs: Sequence[Cost]) -> Cost:
    return Cost(*(fmean(values) for values in zip(*map(astuple, costs), strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=64, help="hospitals of the synthetic federation")
    parser.add_argument("--passages", type=int, default=32_000, help="of the synthetic federation")
    parser.add_argument("--questions", type=int, default=300, help="of the synthetic federation")
    parser.add_argument("--topics", type=int, default=32, help="of the synthetic federation")
    parser.add_argument("--medquad-questions", type=int, default=1_061, help="0 leaves MedQuAD out")
    parser.add_argument("--cache", type=Path, help="where vectors are kept; without it they are made each time")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    data = os.environ.get("FEDRAG_DATA")
    figures: list[Figure] = []
    tables: list[Table] = []
    with TemporaryDirectory() as folder:
        cases: list[Callable[[], Case]] = [
            lambda: synthetic(chosen.nodes, chosen.passages, chosen.questions, chosen.topics, chosen.seed)
        ]
        if data and chosen.medquad_questions:
            cases.insert(0, lambda: medquad(Path(data), chosen.cache or Path(folder), chosen.medquad_questions))
        for make in cases:
            case = make()
            made = report(case, measure(case))
            figures += made[0]
            tables += made[1]
    figures.sort(key=lambda figure: figure.id)
    print("\n".join([goals(figures).as_markdown(), *(table.as_markdown() for table in tables)]))
    if not data:
        print("MedQuAD: not measured, FEDRAG_DATA is not set.\n")
    print(circumstances())


if __name__ == "__main__":
    main()
