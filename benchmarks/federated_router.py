"""B6: learning whom to ask together: parties add up what came of their questions, and none shows its own.

Parties are processes, each with questions of its own: a few topics each (Dirichlet). A party asked some hospitals per
question, drawn at random, and knows which of them held one of the ten nearest passages. Together they make the table of
the `kmeans` policy:

    cells    weighted k-means of the prototypes that hospitals publish, sent to every party
    key, mask, survivors, seeds      one masked sum of asked, expected and useful, by cell and hospital

so each message is a request of the coordinator and an answer of a party. Bytes are those of both, as JSON on a pipe.

Judged is who holds one of the ten nearest passages, for questions that nobody has learned from: the area under the
curve (AUC) over all pairs of question and hospital, with P(useful) as the score. `Central` is the same counts in the
clear in one process; `a party alone` knows its own questions only; `descriptions alone` has learned nothing. Hospitals
publish few prototypes here: where they publish many, their descriptions tell nearly all that counts can.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from reporting import Figure, Table, circumstances, goals, spread
from thousand_nodes import description, holders
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from topical_vectors import IDENTITY, TopicalWorld, topical_world

from fedrag.core.collection import CollectionDescription
from fedrag.core.masked_sums import MaskedVector, Numbers, RoundKey, Seeds, Survivors
from fedrag.core.protocols import RoutingLimits
from fedrag.core.wire import FloatMatrix, NodeId, Vector, Wire, decode_vector, encode_vector, new_request_id
from fedrag.http.signing import Signer, verify
from fedrag.privacy.masked_sums import SIGNED_AS, Contributor, unmask
from retriever_node.prototypes import prototypes
from router.expectation import stack
from router.learning import Learned, Outcome
from router.policies.kmeans import KMeansRouting, Settings
from router.pooling import counts_of, learned_from

MEANS: Final = IDENTITY.comparable_with
GOAL_AUC, GOAL_ROUNDS, GOAL_BYTES, GOAL_S = 0.99, 10, 1_000_000, 60.0
EXCHANGES: Final = ("cells and key", "masked counts", "survivors", "seeds")
W = TypeVar("W", bound=Wire)


class Begin(Wire):
    """Of one round: the cells, of whom counts are wanted, and by which keys parties are known."""

    round: str
    cells: tuple[Vector, ...]
    hospitals: tuple[NodeId, ...]
    identities: dict[NodeId, str]


class Keys(Wire):
    keys: dict[NodeId, RoundKey]


class Named(Wire):
    survivors: tuple[NodeId, ...]


class Agreed(Wire):
    words: dict[NodeId, Survivors]


@dataclass(frozen=True)
class Log:
    """A party's own questions: `asked[i]` are positions of hospitals, `useful[i]` whether each helped, `promised[i]`
    what its description let expect."""

    queries: FloatMatrix
    asked: npt.NDArray[np.int64]
    useful: npt.NDArray[np.float64]
    promised: npt.NDArray[np.float64]

    def learned(self, cells: FloatMatrix, hospitals: Sequence[NodeId]) -> Learned:
        nothing = np.zeros((len(cells), 0))
        learned = Learned(MEANS, cells, (), nothing, nothing, nothing, len(cells))
        for query, asked, useful, promised in zip(self.queries, self.asked, self.useful, self.promised, strict=True):
            names = [hospitals[at] for at in asked]
            expected, helped = (dict(zip(names, some.tolist(), strict=True)) for some in (promised, useful))
            learned = learned.after(Outcome(query, expected, helped))
        return learned


def party(name: NodeId, log: Log, pipe: Connection) -> None:
    """One process: answers what it is asked, and says at the end how long it has computed."""
    signer = Signer.generate()
    pipe.send_bytes(signer.public_key.encode())
    with threadpool_limits(1):
        started = time.process_time()
        begin = Begin.model_validate_json(pipe.recv_bytes())
        cells = np.stack([decode_vector(one) for one in begin.cells])

        def known(node: NodeId, raw: bytes, signature: str) -> None:
            verify(begin.identities[node], SIGNED_AS, raw, signature)

        contributor = Contributor(name, begin.round, lambda raw: signer.sign(SIGNED_AS, raw), known)
        pipe.send_bytes(contributor.key().model_dump_json().encode())
        counts = counts_of(log.learned(cells, begin.hospitals), begin.hospitals)
        keys = Keys.model_validate_json(pipe.recv_bytes()).keys
        pipe.send_bytes(contributor.mask(counts, keys).model_dump_json().encode())
        survivors = Named.model_validate_json(pipe.recv_bytes()).survivors
        pipe.send_bytes(contributor.survived(survivors).model_dump_json().encode())
        words = Agreed.model_validate_json(pipe.recv_bytes()).words
        pipe.send_bytes(contributor.reveal(words).model_dump_json().encode())
        pipe.send_bytes(repr(time.process_time() - started).encode())


@dataclass
class Learning:
    """What a run of the protocol took; `bytes_by_party` in both directions."""

    total: Numbers
    wall_s: float
    compute_s: list[float]
    coordinator_s: float
    bytes_by_party: dict[NodeId, int] = field(default_factory=dict)


def learn(logs: Mapping[NodeId, Log], cells: FloatMatrix, hospitals: tuple[NodeId, ...]) -> Learning:
    """The whole protocol over real processes, which are there before the clock starts."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name, log in logs.items():
        pipes[name], theirs = context.Pipe()
        process = context.Process(target=party, args=(name, log, theirs), daemon=True)
        process.start()
        processes.append(process)
    identities = {name: pipe.recv_bytes().decode() for name, pipe in pipes.items()}
    crossed = dict.fromkeys(pipes, 0)

    def exchange(request: Callable[[NodeId], Wire], kind: type[W]) -> dict[NodeId, W]:
        for name, pipe in pipes.items():
            raw = request(name).model_dump_json().encode()
            crossed[name] += len(raw)
            pipe.send_bytes(raw)
        answers = {}
        for name, pipe in pipes.items():
            raw = pipe.recv_bytes()
            crossed[name] += len(raw)
            answers[name] = kind.model_validate_json(raw)
        return answers

    began, computed = time.perf_counter(), time.process_time()
    begin = Begin(
        round=new_request_id(),
        cells=tuple(encode_vector(cell) for cell in cells),
        hospitals=hospitals,
        identities=identities,
    )
    keys = exchange(lambda _: begin, RoundKey)
    masked = exchange(lambda _: Keys(keys=keys), MaskedVector)
    survivors = exchange(lambda _: Named(survivors=tuple(sorted(masked))), Survivors)
    seeds = exchange(lambda _: Agreed(words=survivors), Seeds)
    total = unmask(masked, seeds).values
    wall_s, coordinator_s = time.perf_counter() - began, time.process_time() - computed
    compute_s = [float(pipe.recv_bytes()) for pipe in pipes.values()]
    for process in processes:
        process.join(10)
    return Learning(total, wall_s, compute_s, coordinator_s, crossed)


def logs_of(
    world: TopicalWorld, held: npt.NDArray[np.float64], parties: int, asked: int, skew: float
) -> dict[NodeId, Log]:
    """Questions by topic: of each topic a party has a share drawn from Dirichlet(skew)."""
    random = np.random.default_rng(1)
    topics = np.zeros(int(world.subjects.max()) + 1, dtype=np.int64)
    topics[world.subjects] = world.topics
    of = topics[world.asked_about[: len(held)]]
    owners = np.zeros(len(of), dtype=np.int64)
    for topic in np.unique(of):
        shares = random.dirichlet(np.full(parties, skew))
        owners[of == topic] = random.choice(parties, size=int((of == topic).sum()), p=shares)
    made = {}
    for at in range(parties):
        rows = np.flatnonzero(owners == at)
        some = np.stack([random.choice(held.shape[1], size=asked, replace=False) for _ in rows] or [np.arange(asked)])
        useful = np.take_along_axis(held[rows] if len(rows) else held[:1], some, axis=1)
        rows = rows if len(rows) else np.zeros(1, dtype=np.int64)
        promised = np.full(some.shape, 1 / held.shape[1])
        made[f"party-{at:02d}"] = Log(world.questions[rows], some, useful, promised)
    return made


def auc(scores: npt.NDArray[np.float64], labels: npt.NDArray[np.float64]) -> float:
    """Of all pairs, the share in which what is true has the higher score; ties count half."""
    values, inverse, counts = np.unique(scores.ravel(), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    true = labels.ravel() > 0
    positive, negative = int(true.sum()), int((~true).sum())
    return float((ranks[true].sum() - positive * (positive + 1) / 2) / (positive * negative)) if len(values) else 0.5


@dataclass(frozen=True)
class Judge:
    """Questions that nobody learned from."""

    world: TopicalWorld
    described: tuple[CollectionDescription, ...]
    questions: FloatMatrix
    held: npt.NDArray[np.float64]

    def of(self, learned: Learned | None) -> float:
        policy, limits = KMeansRouting(Settings(), learned), RoutingLimits(len(self.world.nodes), 10)
        place = {node: at for at, node in enumerate(self.world.nodes)}
        scores = np.zeros(self.held.shape)
        for row, question in enumerate(self.questions):
            for one in policy.route(question, MEANS, self.described, limits).ranking:
                scores[row, place[one.node]] = one.score
        return auc(scores, self.held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hospitals", type=int, default=32)
    parser.add_argument("--passages", type=int, default=32_000, help="of all hospitals together")
    parser.add_argument("--topics", type=int, default=64)
    parser.add_argument("--prototypes", type=int, default=4, help="of a hospital, at most")
    parser.add_argument("--parties", type=int, default=8)
    parser.add_argument("--questions", type=int, default=4_000, help="of all parties together")
    parser.add_argument("--asked", type=int, default=4, help="hospitals that a party asked per question")
    parser.add_argument("--judged", type=int, default=600, help="further questions")
    parser.add_argument("--skew", type=float, default=0.3, help="of topics over parties, Dirichlet")
    parser.add_argument("--repetitions", type=int, default=3, help="of the protocol")
    chosen = parser.parse_args()
    few: int = chosen.prototypes
    world = topical_world(
        chosen.hospitals,
        chosen.passages,
        chosen.questions + chosen.judged,
        topics=chosen.topics,
        per_subject=6,
        skew=0.1,
        seed=0,
    )
    nearest = holders(world)
    with threadpool_limits(1):
        described = tuple(
            description(
                node, int((world.owners == at).sum()), prototypes(world.vectors[world.owners == at], maximum=few)
            )
            for at, node in enumerate(world.nodes)
        )
    held = np.zeros((len(nearest), chosen.hospitals))
    np.put_along_axis(held, nearest, 1.0, axis=1)
    logs = logs_of(world, held[: chosen.questions], chosen.parties, chosen.asked, chosen.skew)
    published = stack(described, MEANS, IDENTITY.dimension)
    with threadpool_limits(1):
        started = time.process_time()
        cells = Learned.beginning(MEANS, published.vectors, published.masses).centres
        cells_s = time.process_time() - started
    runs = [learn(logs, cells, world.nodes) for _ in range(chosen.repetitions)]
    judge = Judge(world, described, world.questions[chosen.questions :], held[chosen.questions :])
    with threadpool_limits(1):
        federated = judge.of(learned_from(runs[-1].total, len(logs), MEANS, cells, world.nodes))
        pooled = sum(counts_of(log.learned(cells, world.nodes), world.nodes) for log in logs.values())
        central = judge.of(learned_from(pooled, len(logs), MEANS, cells, world.nodes))
        alone = [judge.of(log.learned(cells, world.nodes)) for log in logs.values()]
        untaught = judge.of(None)
    print(report(chosen, runs, cells_s, federated, central, alone, untaught))


def report(
    chosen: argparse.Namespace,
    runs: Sequence[Learning],
    cells_s: float,
    federated: float,
    central: float,
    alone: Sequence[float],
    untaught: float,
) -> str:
    largest = max(max(run.bytes_by_party.values()) for run in runs)
    compute = [cells_s + run.coordinator_s + sum(run.compute_s) for run in runs]
    figures = [
        Figure("B6", "AUC / central's", f"{federated / central:.4f}", f"≥ {GOAL_AUC}", federated >= GOAL_AUC * central),
        Figure("B6", "exchanges of the coordinator with every party", str(len(EXCHANGES)), f"≤ {GOAL_ROUNDS}", True),
        Figure("B6", "bytes per party, both ways, most", f"{largest:,}", f"≤ {GOAL_BYTES:,}", largest <= GOAL_BYTES),
        Figure(
            "B6",
            "seconds of compute, all parties and the coordinator",
            spread(compute),
            f"≤ {GOAL_S:.0f}",
            statistics.median(compute) <= GOAL_S,
        ),
    ]
    quality = Table(
        f"Who holds what is nearest: {chosen.judged} questions, {chosen.hospitals} hospitals",
        ("learned by", "AUC"),
        (
            ("all parties, counts in the clear (central)", f"{central:.4f}"),
            ("all parties, masked sum (federated)", f"{federated:.4f}"),
            (f"a party alone, mean of {len(alone)}", f"{statistics.fmean(alone):.4f}"),
            ("a party alone, worst and best", f"{min(alone):.4f} to {max(alone):.4f}"),
            ("nobody: descriptions alone", f"{untaught:.4f}"),
        ),
        note=f"{chosen.questions:,} questions of {chosen.parties} parties, {chosen.asked} hospitals asked each, up to "
        f"{chosen.prototypes} prototypes of a hospital.",
    )
    took = Table(
        "What it took",
        ("", "value"),
        (
            ("exchanges", ", ".join(EXCHANGES)),
            ("wall time over real processes, s", spread([run.wall_s for run in runs])),
            ("of it in the coordinator, s of compute", spread([run.coordinator_s for run in runs])),
            ("a party, s of compute, most", spread([max(run.compute_s) for run in runs])),
            ("making the cells, s of compute", f"{cells_s:.3f}"),
        ),
    )
    return "\n".join([goals(figures).as_markdown(), quality.as_markdown(), took.as_markdown(), circumstances()])


if __name__ == "__main__":
    main()
