"""What a signature and TLS cost per request to a hospital, each as a ratio to the plain request of the same run.

One node of 2,000 passages (hashing encoder, exact index) on loopback, asked for twelve offers by one caller, one
request after the other. `signed` is the product off TLS, `signed, TLS` the product as hospitals run it. A node
without a pinned coordinator answers unsigned requests; that is the baseline.
"""

import argparse
import asyncio
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

import structlog
import uvicorn
from reporting import Figure, Table, circumstances, goals

from fedrag.core.config import PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import OfferRequest
from fedrag.core.wire import ReleaseClass, new_request_id
from fedrag.encoders import ENCODERS
from fedrag.http.client import RemoteNode, http_client
from fedrag.http.serving import address_of, listen
from fedrag.http.signing import Signer
from fedrag.http.tls import LiveCertificate, client_context, leaf_certificate, root_certificate, server_context
from retriever_node.assemble import assemble, open_store
from retriever_node.config import CollectionConfig, CoordinatorConfig, NodeConfig
from retriever_node.home import NodeHome, create_node
from retriever_node.ingest import ingest
from retriever_node.service import create_app

PASSAGES = 2_000
COORDINATOR = Signer.generate()


@dataclass(frozen=True)
class Served:
    """A node that listens, and a client of it."""

    name: str
    remote: RemoteNode


def make_node(folder: Path, *, pinned: bool) -> NodeHome:
    source = folder / "documents"
    source.mkdir(parents=True)
    for number in range(PASSAGES):
        text = f"Protocol {number} on topic {number % 97}: give {number % 31} mg of drug {number % 53}."
        (source / f"{number}.md").write_text(f"# D{number}\n\n## S\n{text}\n")
    home = NodeHome(folder / "home")
    config = NodeConfig(
        node="n",
        name="N",
        encoder=PluginConfig(name="hashing"),
        index=PluginConfig(name="faiss_flat"),
        collections=(CollectionConfig(id="d", folder=source, release_class=ReleaseClass.PROTOCOL),),
        coordinators=(CoordinatorConfig(id="c", public_key=COORDINATOR.public_key),) if pinned else (),
    )
    create_node(home, config)
    encoder = ENCODERS.build("hashing")
    store = open_store(home, encoder)
    ingest(source, "d", store, encoder)
    store.close()
    return home


@contextmanager
def serving(name: str, folder: Path, *, pinned: bool, tls: bool) -> Iterator[Served]:
    node = assemble(make_node(folder, pinned=pinned))
    now_s = time.time()
    leaf = LiveCertificate(
        folder / "n.pem", make=lambda now: leaf_certificate(node.signer, "n", ("127.0.0.1",), now, client=False)
    )
    own = LiveCertificate(
        folder / "c.pem", make=lambda now: leaf_certificate(COORDINATOR, "c", ("127.0.0.1",), now, client=True)
    )
    server_tls = server_context(leaf, (root_certificate(COORDINATOR, "c", now_s),)) if tls else None
    client_tls = client_context(root_certificate(node.signer, "n", now_s), own) if tls else None
    config = uvicorn.Config(
        create_app(node), log_config=None, ssl_context_factory=(lambda *_: server_tls) if tls else None
    )
    server, listening = uvicorn.Server(config), listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    url = address_of(listening, tls=tls)
    remote = RemoteNode("n", url, node.signer.public_key, "c", COORDINATOR, http_client(tls=client_tls))
    try:
        yield Served(name, remote)
    finally:
        server.should_exit = True
        thread.join()
        node.store.close()
        node.state.close()


def offer_request() -> OfferRequest:
    return OfferRequest(
        request_id=new_request_id(),
        coordinator="c",
        node="n",
        vector=None,
        comparable_with="",
        text="protocol on topic 7",
        k=12,
        deadline_ms=5_000,
    )


async def per_request_ms(served: Served, requests: int) -> float:
    """Median over kept-alive requests."""
    took = []
    for _ in range(requests):
        started = time.perf_counter()
        await served.remote.offers(offer_request(), Deadline.after_ms(5_000))
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


async def first_request_ms(served: Served, connections: int) -> float:
    """Median with a new connection for each request: handshake included."""
    took = []
    for _ in range(connections):
        for connection in list(served.remote.client._transport._pool.connections):
            await connection.aclose()
        started = time.perf_counter()
        await served.remote.offers(offer_request(), Deadline.after_ms(5_000))
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


async def measure(served: list[Served], repetitions: int, requests: int) -> Table:
    for one in served:
        await per_request_ms(one, 50)
    kept: dict[str, list[float]] = {one.name: [] for one in served}
    new: dict[str, list[float]] = {one.name: [] for one in served}
    for _ in range(repetitions):
        for one in served:
            kept[one.name].append(await per_request_ms(one, requests))
            new[one.name].append(await first_request_ms(one, requests // 10))
    rows = []
    for one in served:
        ratios = sorted(mine / plain for mine, plain in zip(kept[one.name], kept[served[0].name], strict=True))
        rows.append(
            (
                one.name,
                statistics.median(kept[one.name]),
                statistics.median(ratios),
                f"{ratios[0]:.2f}-{ratios[-1]:.2f}",
                statistics.median(new[one.name]),
            )
        )
    columns = ("request", "median ms", "ratio to plain", "ratio, least-most", "median ms on a new connection")
    for one in served:
        await one.remote.client.aclose()
    return Table(f"Cost per request, {repetitions} repetitions of {requests}", columns, tuple(rows))


@contextmanager
def logging_to(file: TextIO) -> Iterator[None]:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file))
    yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300, help="per variant and repetition")
    parser.add_argument("--repetitions", type=int, default=5)
    chosen = parser.parse_args()
    with (
        Path(os.devnull).open("w") as nowhere,  # the nodes' log costs what it costs, and is not mixed into the tables
        logging_to(nowhere),
        TemporaryDirectory() as folder,
        serving("plain, unsigned", Path(folder) / "a", pinned=False, tls=False) as plain,
        serving("signed", Path(folder) / "b", pinned=True, tls=False) as signed,
        serving("signed, TLS 1.3 mutual", Path(folder) / "c", pinned=True, tls=True) as secured,
    ):
        table = asyncio.run(measure([plain, signed, secured], chosen.repetitions, chosen.requests))
    figures = [
        Figure("wire", f"request {row[0]} / plain, p50", f"{row[2]:.3f} ({row[3]})", "printed", None)
        for row in table.rows[1:]
    ]
    print(goals(figures).as_markdown())
    print(table.as_markdown())
    print(circumstances())


if __name__ == "__main__":
    main()
