"""B4: routing among 16 to 1,000 hospitals: whom to ask, how long deciding takes, what knowing them costs.

Synthetic federations (see topical_vectors.py): 100,000 passages on 400 topics. `Ten homes`: a topic lives in ten
hospitals, however many there are, with shares from Dirichlet(1). At the largest size also two harder ones, in which
every hospital may hold some of a topic: `long tail`, with shares from Dirichlet(0.01), and `thin everywhere`,
Dirichlet(0.1). There many hospitals hold fewer passages on a topic than a prototype must have (`below the floor`): no
description can speak of them. Descriptions are the product's own, up to 32 prototypes.

Recall is that of the ten passages most similar to a question, found by exact search over everything. A federation of
exact indexes finds each of them that lies at a hospital which was asked, so who holds them is all that has to be known.

The oracle knows: it asks the fewest hospitals with a mean recall of 0.95, those that hold most for their question
first. `Set in hindsight`: `mixture` with the `coverage`, of six, that asks fewest at recall 0.95. Nothing is learned
here: there are descriptions alone. The rows below ask the same number of hospitals whatever the question, the smallest
that reaches 0.95: the first of a policy's own ranking; those whose nearest prototype is nearest; by popularity, those
that held most for the other half of the questions.

Router time is a whole decision of the policy with all descriptions at hand, as the coordinator makes it; the row of 32
prototypes is the largest catalogue, made up. Merging: ten offers of every hospital, with sketches, ten winners.
"""

import argparse
import base64
import statistics
import time
import tracemalloc
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean
from typing import Final

import numpy as np
from reporting import Figure, Table, circumstances, goals, spread
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from topical_vectors import IDENTITY, Positions, TopicalWorld, topical_world

from aggregator.methods import MERGE_METHODS
from fedrag.core.collection import CollectionDescription, Prototype, RoutingDecision
from fedrag.core.exchange import Offer, Similarity, Sketch
from fedrag.core.protocols import NodeOffer, RoutingLimits, RoutingPolicy
from fedrag.core.wire import FloatMatrix, FloatVector, ReleaseClass, decode_vector, encode_vector
from fedrag.terminal import progress
from retriever_node.indexes import INDEXES
from retriever_node.prototypes import MINIMUM_MEMBERS, prototypes
from router.policies import ROUTING_POLICIES
from router.policies.mixture import MixtureRouting, Settings

K: Final = 10
RECALL: Final = 0.95
OF_ORACLE: Final = 2.0
ROUTER_MS: Final = 1.0
TOPICS: Final = 400
PER_SUBJECT: Final = 6
PROTOTYPES: Final = 32
HOMES: Final = 10
EVEN: Final = 1.0
LONG_TAIL: Final = 0.01
THIN: Final = 0.1
TIMED: Final = 60
"""Questions of a repetition, where decisions are timed."""
SHIPPED: Final = "mixture, as shipped"
BEFORE: Final = "prototypes, as shipped"
PRIOR: Final = "popularity prior"
RANKING: Final = "mixture, the first of its ranking"
RANKING_BEFORE: Final = "prototypes, the first of its ranking"
MATCH: Final = "nearest prototype"
ORACLE: Final = "oracle"
FULL: Final = "32 prototypes each"
COVERAGES: Final = (0.7, 0.8, 0.85, 0.95, 0.98, 0.99)
_DESCRIBED_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)

Descriptions = tuple[CollectionDescription, ...]


@dataclass(frozen=True)
class Chosen:
    """One way to choose hospitals: the mean recall and number over the questions."""

    recall: float
    nodes: float


def describe(node: str, vectors: FloatMatrix) -> CollectionDescription:
    with threadpool_limits(1):  # k-means of small matrices; two threads only get in each other's way
        made = prototypes(vectors, maximum=PROTOTYPES)
    return description(node, len(vectors), made)


def description(node: str, passages: int, made: tuple[Prototype, ...]) -> CollectionDescription:
    return CollectionDescription(
        node=node,
        collection="documents",
        version=1,
        encoder=IDENTITY,
        release_class=ReleaseClass.PUBLIC,
        passages=passages,
        prototypes=made,
        described_at=_DESCRIBED_AT,
    )


def describe_all(world: TopicalWorld) -> Descriptions:
    held = [world.vectors[world.owners == at] for at in range(len(world.nodes))]
    with ProcessPoolExecutor(2) as pool, progress(f"describing {len(held)} hospitals") as told:
        made = []
        for one in pool.map(describe, world.nodes, held, chunksize=4):
            made.append(one)
            told(len(made), len(held))
    return tuple(made)


def unseen(world: TopicalWorld) -> float:
    """Share of passages on a topic of which their hospital has too few for a prototype."""
    _, group, sizes = np.unique(world.owners * TOPICS + world.topics, return_inverse=True, return_counts=True)
    return float((sizes[group] < MINIMUM_MEMBERS).mean())


def holders(world: TopicalWorld) -> Positions:
    """(questions, K): the hospital of each of the nearest passages."""
    exact = INDEXES.build("faiss_flat")
    exact.build(world.vectors)
    return world.owners[exact.search(world.questions, K).positions]


def oracle(holding: Positions) -> Chosen:
    """Gains are whole and asking costs the same everywhere, so the largest gains first is the best there is."""
    gains = sorted((count for row in holding.tolist() for count in Counter(row).values()), reverse=True)
    wanted = RECALL * holding.size
    number = int(np.searchsorted(np.cumsum(gains), wanted - 1e-9)) + 1
    return Chosen(sum(gains[:number]) / holding.size, number / len(holding))


def first_of(orders: Sequence[Positions], holding: Positions) -> Chosen:
    """`orders[q]`: the hospitals, best first. Asked are the first so many, as few as are enough, of every question."""
    place = np.empty(orders[0].size, dtype=np.int64)
    places = np.empty_like(holding)
    for at, order in enumerate(orders):
        place[order] = np.arange(order.size)
        places[at] = place[holding[at]]
    size = int(np.sort(places.ravel())[int(np.ceil(RECALL * places.size)) - 1]) + 1
    return Chosen(float((places < size).mean()), size)


def prior(holding: Positions, nodes: int) -> list[Positions]:
    """Each half of the questions is asked with what was learned from the other."""
    halves = [np.argsort(-np.bincount(holding[at::2].ravel(), minlength=nodes), kind="stable") for at in (1, 0)]
    return [halves[at % 2] for at in range(len(holding))]


def best_match(world: TopicalWorld, described: Descriptions) -> list[Positions]:
    """Hospitals by their prototype that is nearest to the question; mass and spread do not count."""
    vectors = np.stack([decode_vector(one.vector) for node in described for one in node.prototypes])
    starts = np.cumsum([0, *(len(node.prototypes) for node in described[:-1])])
    nearest = np.maximum.reduceat(world.questions @ vectors.T, starts, axis=1)
    return list(np.argsort(-nearest, axis=1, kind="stable"))


def routed(policy: RoutingPolicy, world: TopicalWorld, described: Descriptions) -> list[RoutingDecision]:
    with threadpool_limits(1):
        return [decide(policy, question, described) for question in world.questions]


def selected(decisions: Sequence[RoutingDecision], world: TopicalWorld, holding: Positions) -> Chosen:
    at = {node: place for place, node in enumerate(world.nodes)}
    asked = [[at[node] for node in decision.selected] for decision in decisions]
    recalls = [float(np.isin(row, some).mean()) for row, some in zip(holding, asked, strict=True)]
    return Chosen(fmean(recalls), fmean(len(some) for some in asked))


def ranked(decisions: Sequence[RoutingDecision], world: TopicalWorld) -> list[Positions]:
    at = {node: place for place, node in enumerate(world.nodes)}
    return [np.array([at[one.node] for one in decision.ranking]) for decision in decisions]


def decide(policy: RoutingPolicy, question: FloatVector, described: Descriptions) -> RoutingDecision:
    limits = RoutingLimits(maximum_nodes=len(described), passages=K)
    return policy.route(question, IDENTITY.comparable_with, described, limits)


def router_ms(described: Descriptions, questions: FloatMatrix, repetitions: int) -> list[list[float]]:
    """Milliseconds of every decision, by repetition; the first, which unpacks the descriptions, does not count."""
    policy = ROUTING_POLICIES.build("mixture")
    decide(policy, questions[0], described)
    took: list[list[float]] = []
    for _ in range(repetitions):
        took.append([])
        for question in questions:
            started = time.perf_counter()
            decide(policy, question, described)
            took[-1].append((time.perf_counter() - started) * 1000)
    return took


def prepare_ms(described: Descriptions) -> tuple[float, float]:
    """What the first question after a change would wait for, if nothing were prepared: all hospitals described, and one
    of them anew."""
    policy, took = MixtureRouting(Settings()), []
    anew = (described[0].model_copy(update={"version": 2}), *described[1:])
    for some in (described, anew):
        started = time.perf_counter()
        with threadpool_limits(1):
            policy.prepare(some, IDENTITY.comparable_with, IDENTITY.dimension)
        took.append((time.perf_counter() - started) * 1000)
    return took[0], took[1]


def full_catalogue(world: TopicalWorld, random: np.random.Generator) -> Descriptions:
    """As many hospitals, each with all its 32 prototypes: means of passages drawn at random."""
    made = []
    for node in world.nodes:
        rows = world.vectors[random.integers(len(world.vectors), size=PROTOTYPES)]
        some = tuple(Prototype(vector=encode_vector(0.6 * row), mass=10, spread=0.06) for row in rows)
        made.append(description(node, 10 * PROTOTYPES, some))
    return tuple(made)


def merge_ms(nodes: Sequence[str], random: np.random.Generator, repetitions: int) -> list[float]:
    pool = [
        NodeOffer(node, _offer(rank, float(similarity), random))
        for node in nodes
        for rank, similarity in enumerate(np.sort(random.random(K))[::-1], start=1)
    ]
    method, took = MERGE_METHODS.build("comparable"), []
    for _ in range(repetitions):
        started = time.perf_counter()
        method.merge(pool, K)
        took.append((time.perf_counter() - started) * 1000)
    return took


def _offer(rank: int, similarity: float, random: np.random.Generator) -> Offer:
    sketch = Sketch(shingles=base64.b64encode(random.bytes(128)).decode(), facts=random.bytes(32).hex())
    compared = Similarity(value=similarity, comparable_with=IDENTITY.comparable_with)
    handle = base64.urlsafe_b64encode(random.bytes(69)).decode()
    return Offer(handle=handle, rank=rank, probability=similarity, similarity=compared, sketch=sketch)


def memory_bytes(described: Descriptions) -> int:
    """What descriptions read from the wire and the router's stacked prototypes hold in memory."""
    raw = [one.model_dump_json().encode() for one in described]
    tracemalloc.start()
    policy = ROUTING_POLICIES.build("mixture")
    kept = tuple(CollectionDescription.model_validate_json(one) for one in raw)
    decide(policy, np.eye(1, IDENTITY.dimension, dtype=np.float32)[0], kept)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


@dataclass(frozen=True)
class Federation:
    """What was measured of one federation."""

    title: str
    nodes: int
    chosen: Mapping[str, Chosen]
    unseen: float
    prototypes: float
    description_bytes: float
    memory_bytes: int
    router_ms: Mapping[str, list[list[float]]]
    merge_ms: list[float]
    prepare_ms: Mapping[str, tuple[float, float]]


def measure(
    nodes: int, skew: float, homes: int | None, title: str, passages: int, questions: int, repetitions: int
) -> Federation:
    world = topical_world(
        nodes, passages, questions, topics=TOPICS, per_subject=PER_SUBJECT, skew=skew, seed=nodes, homes=homes
    )
    described, holding = describe_all(world), holders(world)
    random = np.random.default_rng(nodes)
    settings = {
        f"set in hindsight: coverage {coverage}": {"coverage": coverage, "told": nodes} for coverage in COVERAGES
    }
    shipped = routed(ROUTING_POLICIES.build("mixture", {"told": nodes}), world, described)
    before = routed(ROUTING_POLICIES.build("prototypes"), world, described)
    ways = {
        name: selected(routed(ROUTING_POLICIES.build("mixture", chosen), world, described), world, holding)
        for name, chosen in settings.items()
    }
    enough = [name for name in settings if ways[name].recall >= RECALL]
    best = min(enough, key=lambda name: ways[name].nodes, default=None)
    catalogues = {"as described": described, FULL: full_catalogue(world, random)}
    return Federation(
        title=title,
        nodes=nodes,
        chosen={
            SHIPPED: selected(shipped, world, holding),
            **({best: ways[best]} if best else {}),
            BEFORE: selected(before, world, holding),
            RANKING: first_of(ranked(shipped, world), holding),
            RANKING_BEFORE: first_of(ranked(before, world), holding),
            MATCH: first_of(best_match(world, described), holding),
            PRIOR: first_of(prior(holding, nodes), holding),
            ORACLE: oracle(holding),
        },
        unseen=unseen(world),
        prototypes=fmean(len(one.prototypes) for one in described),
        description_bytes=fmean(len(one.model_dump_json()) for one in described),
        memory_bytes=memory_bytes(described),
        router_ms={name: router_ms(some, world.questions[:TIMED], repetitions) for name, some in catalogues.items()},
        merge_ms=merge_ms(world.nodes, random, 3 * repetitions),
        prepare_ms={name: prepare_ms(some) for name, some in catalogues.items()},
    )


def report(made: Sequence[Federation]) -> str:
    contacts = Table(
        "Hospitals asked, mean over questions",
        ("federation", "hospitals", "chosen by", "recall@10", "asked", "of the oracle's"),
        tuple(
            (one.title, one.nodes, name, chosen.recall, chosen.nodes, chosen.nodes / one.chosen[ORACLE].nodes)
            for one in made
            for name, chosen in one.chosen.items()
        ),
    )
    times = Table(
        "One routing decision",
        ("federation", "hospitals", "catalogue", "p50 ms", "p99 ms", "prepared, ms: all", "one anew"),
        tuple(
            (
                one.title,
                one.nodes,
                name,
                *(spread(percentiles(took, share)) for share in (50, 99)),
                *one.prepare_ms[name],
            )
            for one in made
            for name, took in one.router_ms.items()
        ),
        note=f"Of {TIMED} questions, median over repetitions, least and most. Prepared: once after descriptions have "
        "changed, beside the questions.",
    )
    sizes = Table(
        "What knowing them costs, and merging",
        (
            "federation",
            "hospitals",
            "passages below the floor",
            "prototypes each",
            "description, bytes",
            "catalogue in memory, MB",
            "merge ms",
        ),
        tuple(
            (
                one.title,
                one.nodes,
                one.unseen,
                one.prototypes,
                f"{one.description_bytes:,.0f}",
                one.memory_bytes / 1e6,
                spread(one.merge_ms),
            )
            for one in made
        ),
        note="Merge: ten offers of every hospital. Memory: descriptions as objects, and the prototypes as the router "
        "stacks them.",
    )
    tables = [goals(figures(made)), contacts, times, sizes]
    return "\n".join([*(table.as_markdown() for table in tables), circumstances()])


def figures(made: Sequence[Federation]) -> list[Figure]:
    largest = max(one.nodes for one in made)
    result = []
    for one in made:
        if one.nodes != largest:
            continue
        for name in (way for way in one.chosen if way not in (RANKING, RANKING_BEFORE, MATCH, PRIOR, ORACLE)):
            chosen = one.chosen[name]
            ratio = chosen.nodes / one.chosen[ORACLE].nodes
            what = f"{largest:,} hospitals, {one.title}, {name}: hospitals asked / the oracle's at recall {RECALL}"
            holds = ratio <= OF_ORACLE and chosen.recall >= RECALL
            shown = f"{ratio:.2f} at recall {chosen.recall:.3f}"
            result.append(Figure("B4", what, shown, f"≤ {OF_ORACLE:.0f} at recall ≥ {RECALL}", holds))
    name, took = FULL, next(one for one in made if one.nodes == largest)
    p50 = percentiles(took.router_ms[name], 50)
    what = f"one routing decision among {largest:,} hospitals, {name}, p50 ms"
    result.append(Figure("B4", what, spread(p50), f"≤ {ROUTER_MS:.0f}", statistics.median(p50) <= ROUTER_MS))
    return result


def percentiles(took: Sequence[Sequence[float]], share: float) -> list[float]:
    return [float(np.percentile(some, share)) for some in took]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64, 256, 1_000], help="numbers of hospitals")
    parser.add_argument("--passages", type=int, default=100_000, help="of each federation, all hospitals together")
    parser.add_argument("--questions", type=int, default=150)
    parser.add_argument("--repetitions", type=int, default=5, help="of what is timed")
    chosen = parser.parse_args()
    worlds: list[tuple[int, float, int | None, str]] = [
        (size, EVEN, HOMES, "ten homes") for size in sorted(chosen.sizes)
    ]
    worlds += [(max(chosen.sizes), LONG_TAIL, None, "long tail"), (max(chosen.sizes), THIN, None, "thin everywhere")]
    made = [measure(*world, chosen.passages, chosen.questions, chosen.repetitions) for world in worlds]
    print(report(made))


if __name__ == "__main__":
    main()
