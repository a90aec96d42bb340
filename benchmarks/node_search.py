"""B1b: one search at a hospital over HTTP, as a multiple of the same search by a direct call of its index.

A node process with 25,000 passages (384 numbers each, hashing encoder, `faiss_hnsw`) on loopback, asked for offers by
one caller, one request after the other, over one connection that is kept. The request is what a coordinator sends:
vector and text of the question, an asker's token, a signature; the node checks both, searches, seals handles, writes
an audit line, flushes it to disk and signs its answer. The direct call is the same index over the same vectors, in
this process.

The rows take the price apart: the same node with its memory on a file system that flushes nothing (`--memory`), a node
that has pinned no coordinator and so checks no signature, and the node's own work without HTTP. All are asked in turns
within each repetition; every ratio is to the direct calls of its own repetition.
"""

import argparse
import asyncio
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from large_federation import COLLECTION, COORDINATOR, encoder, fill, home_of, large_federation, texts_of
from reporting import Figure, Table, circumstances, file_system, goals, spread
from topical_texts import questions

from fedrag.core.config import load_toml, write_toml
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import OfferRequest
from fedrag.core.identity import Asker, Purpose
from fedrag.core.wire import FloatVector, encode_vector, new_request_id
from fedrag.home import open_config, open_issuer
from fedrag.http.client import RemoteNode, http_client
from fedrag.http.signing import Signer
from fedrag.http.tokens import DevelopmentIssuer
from fedrag.local_federation import LocalFederation
from fedrag.terminal import progress
from retriever_node.assemble import assemble
from retriever_node.config import NodeConfig
from retriever_node.home import NodeHome
from retriever_node.indexes import INDEXES

T = TypeVar("T")
GOAL: Final = 25.0
NODE: Final = "hospital-0"
SHIPPED: Final = "over HTTP, as shipped"
DIRECT: Final = "index, direct call"
INSIDE: Final = "the node's own work, without HTTP"
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where Linux keeps files in memory; only looked for


@dataclass(frozen=True)
class Served:
    """A node process that listens, and what a coordinator needs to ask it."""

    remote: RemoteNode
    issuer: DevelopmentIssuer

    def request(self, question: str, vector: FloatVector, k: int) -> OfferRequest:
        asker = Asker(name="clinician", purpose=Purpose.TREATMENT)
        return OfferRequest(
            request_id=new_request_id(),
            coordinator=COORDINATOR,
            node=NODE,
            vector=encode_vector(vector),
            comparable_with=encoder().identity.comparable_with,
            text=question,
            k=k,
            deadline_ms=10_000,
            token=self.issuer.token(asker, NODE),
        )


def served(federation: LocalFederation) -> Served:
    """Starts the federation's one node."""
    (member,) = federation.start_nodes()
    signer = Signer.load(federation.home.signing_key)
    remote = RemoteNode(NODE, member.urls[0], member.public_key, COORDINATOR, signer, http_client())
    issuer = open_issuer(federation.home, open_config(federation.home))
    if issuer is None:
        raise SystemExit("the federation has no issuer of asker tokens")
    return Served(remote, issuer)


def copied(passages: Path, folder: Path, *, pinned: bool) -> LocalFederation:
    """A federation of one node that holds these passages."""
    federation = large_federation(folder, 1)
    home = home_of(federation, 0)
    shutil.copyfile(passages, home.passages)
    if not pinned:
        config = load_toml(home.config, NodeConfig)
        write_toml(home.config, config.model_copy(update={"coordinators": ()}))
    return federation


def direct_ms(call: Callable[[T], object], items: Iterable[T]) -> float:
    took = []
    for item in items:
        started = time.perf_counter()
        call(item)
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


async def http_ms(node: Served, requests: Sequence[OfferRequest]) -> float:
    took = []
    for request in requests:
        started = time.perf_counter()
        await node.remote.offers(request, Deadline.after_ms(10_000))
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


async def measure(
    nodes: Mapping[str, Served], home: NodeHome, asked: Sequence[str], k: int, repetitions: int
) -> dict[str, list[float]]:
    """Median milliseconds of every way to search, one per repetition; `home` is that of the shipped node."""
    inside = assemble(home)
    vectors = encoder().encode_queries(list(asked))
    index = INDEXES.build("faiss_hnsw")
    index.build(inside.store.vectors(COLLECTION)[1])

    def requests(node: Served) -> list[OfferRequest]:
        return [node.request(question, vector, k) for question, vector in zip(asked, vectors, strict=True)]

    took: dict[str, list[float]] = {}
    with progress("searching") as told:
        for turn in range(repetitions + 1):  # the first warms up and does not count
            made = {
                DIRECT: direct_ms(lambda vector: index.search(vector[None, :], k), vectors),
                INSIDE: direct_ms(lambda one: inside.offers(one, Deadline.after_ms(10_000)), requests(nodes[SHIPPED])),
            }
            for name, node in nodes.items():
                made[name] = await http_ms(node, requests(node))
            for name, milliseconds in made.items() if turn else ():
                took.setdefault(name, []).append(milliseconds)
            told(turn, repetitions)
    for node in nodes.values():
        await node.remote.client.aclose()
    inside.store.close()
    inside.state.close()
    return took


def report(took: Mapping[str, Sequence[float]], passages: int, k: int, flushed: str) -> str:
    ratios = {
        name: [mine / direct for mine, direct in zip(values, took[DIRECT], strict=True)]
        for name, values in took.items()
    }
    ratio = statistics.median(ratios[SHIPPED])
    figure = Figure(
        "B1b", "node search over HTTP / direct HNSW call, p50", spread(ratios[SHIPPED]), f"≤ {GOAL:.0f}", ratio <= GOAL
    )
    rows = tuple((name, spread(values), spread(ratios[name])) for name, values in took.items())
    columns = ("search", "p50 ms", "ratio to direct call")
    table = Table(
        f"One search among {passages:,} passages, {k} results, one caller",
        columns,
        rows,
        note=f"Medians of {len(took[DIRECT])} repetitions, least and most. The shipped node's files are on {flushed}.",
    )
    return "\n".join([goals([figure]).as_markdown(), table.as_markdown(), circumstances()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=25_000)
    parser.add_argument("--requests", type=int, default=150, help="per way to search and repetition")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("-k", type=int, default=24, help="offers asked for; the coordinator's default is 24")
    parser.add_argument(
        "--folder", type=Path, help="where the nodes' files lie; a disk that flushes. Default: temporary"
    )
    parser.add_argument("--memory", type=Path, default=MEMORY, help="a folder on a file system in memory")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        disk = Path(stack.enter_context(TemporaryDirectory(dir=chosen.folder)))
        whole = large_federation(disk / "shipped", 1)
        fill([home_of(whole, 0)], chosen.passages, workers=1)
        passages = home_of(whole, 0).passages
        federations = {SHIPPED: whole}
        if chosen.memory.is_dir():
            memory = Path(stack.enter_context(TemporaryDirectory(dir=chosen.memory)))
            name = f"over HTTP, its files on {file_system(memory)}: no flush"
            federations[name] = copied(passages, memory / "federation", pinned=True)
        federations["over HTTP, no signature asked for"] = copied(passages, disk / "unpinned", pinned=False)
        with progress("starting nodes") as told:
            nodes = {}
            for done, (name, federation) in enumerate(federations.items()):
                told(done, len(federations))
                nodes[name] = served(stack.enter_context(federation))
            told(len(federations), len(federations))
        asked = list(questions(texts_of(0, chosen.passages), chosen.requests, seed=1))
        took = asyncio.run(measure(nodes, home_of(whole, 0), asked, chosen.k, chosen.repetitions))
        flushed = file_system(disk)
    print(report(took, chosen.passages, chosen.k, flushed))


if __name__ == "__main__":
    main()
