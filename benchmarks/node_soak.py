"""A node under everything at once: documents come, change and go while eight searchers ask, for two minutes.

A node process on loopback (hashing encoder, `faiss_hnsw`) holds a folder of Markdown files. A writer adds, changes and
deletes files and runs `fedrag-node ingest`, a process of its own, again and again: when that ends, what it did is
acknowledged. Each searcher asks over HTTP for offers and has them released, one search after the other. Every version
of every document has a word that no other has, so a released text tells which version it is.

    ghost     a version that was gone, acknowledged, before the search began, and is offered or released all the same
    missing   a version acknowledged `--patience` seconds before the search began, asked for in its own words, and not
              among the ten best
    error     a search that ended with any error, a warning in the node's log, an ingest that ended with another code

The same searchers first ask the same node while nobody writes; latencies are compared within the run. At the end every
document that is there is asked for once, and `fedrag-node check` reads the store.
"""

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from large_federation import COORDINATOR, ENCODER, encoder, node_config
from node_search import NODE, Served, served
from reporting import Figure, Table, circumstances, file_system, goals
from topical_texts import passages

from fedrag.config import CoordinatorConfig
from fedrag.core.config import PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError
from fedrag.core.exchange import Processor, ProcessorPlace, ReleaseRequest
from fedrag.core.wire import ReleaseClass
from fedrag.local_federation import LocalFederation
from fedrag.terminal import progress
from retriever_node.config import CollectionConfig
from retriever_node.home import NodeHome

K: Final = 10
GOAL_P95: Final = 3.0
"""Of the p95 of searches while documents come and go, as a multiple of the quiet one; two processes share the cores."""
_MARK: Final = re.compile(r"mark\d+x\d+")
_DEADLINE_MS: Final = 20_000
_MODEL: Final = Processor(model="none", place=ProcessorPlace.COORDINATOR)
_TOLD: Final = re.compile(r'"level": "(warning|error|critical)"')


@dataclass
class Version:
    """One text of one document. Times are of the monotonic clock; `leaving_s`: when its file was touched again."""

    mark: str
    path: Path
    text: str
    there_s: float = float("inf")
    leaving_s: float = float("inf")
    gone_s: float = float("inf")
    seen_s: float = float("inf")


@dataclass
class Folder:
    """The documents, and what is known of every version there ever was."""

    place: Path
    random: random.Random
    texts: list[str]
    live: dict[Path, Version] = field(default_factory=dict)
    all: dict[str, Version] = field(default_factory=dict)
    made: int = 0

    def add(self, path: Path | None = None) -> Version:
        """A new file, or a new version of one."""
        number, self.made = self.made, self.made + 1
        path = path or self.place / f"{number:06d}.md"
        mark = f"mark{number}x{self.random.randrange(10**6)}"
        version = Version(mark, path, f"{self.texts[number % len(self.texts)]} {mark}")
        path.write_text(version.text + "\n", encoding="utf-8")
        self.live[path] = self.all[mark] = version
        return version

    def turn(self, number: int) -> tuple[list[Version], list[Version]]:
        """A third comes, a third changes, a third goes; (come, going)."""
        chosen = self.random.sample(sorted(self.live), 2 * number)
        going = [self.live[path] for path in chosen]
        for version in going:
            version.leaving_s = time.monotonic()
        come = [self.add() for _ in range(number)]
        come += [self.add(path) for path in chosen[:number]]
        for path in chosen[number:]:
            path.unlink()
            del self.live[path]
        return come, going


@dataclass
class Counted:
    """One phase: seconds of every search, and what went wrong."""

    offers_s: list[float] = field(default_factory=list)
    releases_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    ghosts: int = 0
    missing: int = 0
    asked_there: int = 0
    asked_gone: int = 0
    ingests: int = 0
    come: int = 0
    gone: int = 0
    ingest_s: list[float] = field(default_factory=list)


class Searchers:
    def __init__(self, node: Served, folder: Folder, patience_s: float, seed: int) -> None:
        self._node, self._folder, self._patience_s = node, folder, patience_s
        self._random = random.Random(seed)  # noqa: S311 - which questions are asked
        self._encoder = encoder()

    async def run(self, counted: Counted, searchers: int, pause_s: float, until: Callable[[], bool]) -> None:
        async def one() -> None:
            while not until():
                await self._search(counted)
                await asyncio.sleep(pause_s)

        await asyncio.gather(*(one() for _ in range(searchers)))

    async def _search(self, counted: Counted) -> None:
        began = time.monotonic()
        version, text = self._chosen(began)
        try:
            released = await self.released(text, counted)
        except FedragError as error:
            counted.errors[error.code] += 1
            return
        self._judge(version, released, began, counted)

    def _chosen(self, now_s: float) -> tuple[Version | None, str]:
        """Half are for what must be there, a quarter for what must be gone, a quarter for what was asked before."""
        kind = self._random.random()
        if kind < 0.5:
            version = self._random.choice(list(self._folder.live.values()))
            return version, version.text
        gone = [one for one in list(self._folder.all.values())[-2_000:] if one.gone_s < now_s] if kind < 0.75 else []
        if gone:
            version = self._random.choice(gone)
            return version, version.text
        return None, " ".join(self._random.choice(self._folder.texts).split()[:12])

    async def released(self, text: str, counted: Counted) -> list[str]:
        """Marks of the versions that the ten best offers released."""
        vector = self._encoder.encode_queries([text])[0]
        request = self._node.request(text, vector, K)
        started = time.perf_counter()
        offers = (await self._node.remote.offers(request, Deadline.after_ms(_DEADLINE_MS))).value.offers
        counted.offers_s.append(time.perf_counter() - started)
        if not offers:
            return []
        wanted = ReleaseRequest(
            request_id=request.request_id,
            coordinator=COORDINATOR,
            node=NODE,
            handles=tuple(one.handle for one in offers),
            processor=_MODEL,
            deadline_ms=_DEADLINE_MS,
            token=request.token,
        )
        started = time.perf_counter()
        release = (await self._node.remote.release(wanted, Deadline.after_ms(_DEADLINE_MS))).value
        counted.releases_s.append(time.perf_counter() - started)
        return [mark for one in release.passages for mark in _MARK.findall(one.text)]

    def _judge(self, asked: Version | None, released: Sequence[str], began_s: float, counted: Counted) -> None:
        now_s = time.monotonic()
        for mark in released:
            version = self._folder.all[mark]
            version.seen_s = min(version.seen_s, now_s)
            counted.ghosts += version.gone_s < began_s
        if asked is None:
            return
        if asked.gone_s < began_s:
            counted.asked_gone += 1
        elif asked.there_s + self._patience_s < began_s and asked.leaving_s > now_s:
            counted.asked_there += 1
            counted.missing += asked.mark not in released


async def write(folder: Folder, home: NodeHome, counted: Counted, number: int, until: Callable[[], bool]) -> None:
    while not until():
        come, going = await asyncio.to_thread(folder.turn, number)
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "retriever_node", "ingest", "--home", str(home.folder), "--json"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        code = await process.wait()
        now_s = time.monotonic()
        if code:
            counted.errors[f"ingest ended with {code}"] += 1
            return
        for version in come:
            version.there_s = now_s
        for version in going:
            version.gone_s = now_s
        counted.ingests += 1
        counted.come += len(come)
        counted.gone += len(going)
        counted.ingest_s.append(now_s - started)


async def phase(
    what: str,
    searching: Searchers,
    seconds: float,
    searchers: int,
    pause_s: float,
    writing: Callable[[Counted, Callable[[], bool]], object] | None,
) -> Counted:
    counted, ends = Counted(), time.monotonic() + seconds

    def over() -> bool:
        return time.monotonic() >= ends

    async def tell() -> None:
        with progress(what) as told:
            while not over():
                told(int(seconds - (ends - time.monotonic())), int(seconds))
                await asyncio.sleep(1)
            told(int(seconds), int(seconds))

    jobs = [searching.run(counted, searchers, pause_s, over), tell()]
    if writing is not None:
        jobs.append(writing(counted, over))  # type: ignore[arg-type]
    await asyncio.gather(*jobs)
    return counted


async def last_look(searching: Searchers, folder: Folder) -> Counted:
    """Every document that is there, and every version that is gone, once."""
    counted = Counted()
    everything = list(folder.all.values())
    with progress("a last look at every version") as told:
        for done, version in enumerate(everything):
            if done % 50 == 0:
                told(done, len(everything))
            began = time.monotonic()
            try:
                marks = await searching.released(version.text, counted)
            except FedragError as error:
                counted.errors[error.code] += 1
                continue
            there = folder.live.get(version.path) is version
            counted.ghosts += any(folder.all[mark].gone_s < began for mark in marks)
            counted.asked_there += there
            counted.asked_gone += not there
            counted.missing += there and version.mark not in marks
        told(len(everything), len(everything))
    return counted


def quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    """p50, p95, p99 in milliseconds."""
    low, high, highest = np.percentile(np.array(values) * 1000, (50, 95, 99))
    return float(low), float(high), float(highest)


def lags(folder: Folder) -> list[float]:
    """Seconds from acknowledged to first seen in any release; only of those that were asked for."""
    return [one.seen_s - one.there_s for one in folder.all.values() if 0 < one.there_s < one.seen_s < float("inf")]


def report(
    quiet: Counted, busy: Counted, last: Counted, folder: Folder, logged: Counter[str], check: str, kind: str
) -> str:
    errors = quiet.errors + busy.errors + last.errors + logged
    ghosts, missing = busy.ghosts + last.ghosts, quiet.missing + busy.missing + last.missing
    ratio = quantiles(busy.offers_s)[1] / quantiles(quiet.offers_s)[1]
    figures = [
        Figure("soak", "errors", str(errors.total()) + (f" {dict(errors)}" if errors else ""), "0", not errors),
        Figure("soak", "ghosts", str(ghosts), "0", ghosts == 0),
        Figure("soak", "acknowledged documents not found", str(missing), "0", missing == 0),
        Figure("soak", "p95 of offers, busy / quiet", f"{ratio:.2f}", f"≤ {GOAL_P95}", ratio <= GOAL_P95),
        Figure("soak", "`fedrag-node check` afterwards", check, "0 problems", check.startswith("0 ")),
    ]
    rows: list[tuple[str | int, ...]] = []
    for name, counted in (("quiet", quiet), ("busy", busy)):
        for what, values in (("offers", counted.offers_s), ("releases", counted.releases_s)):
            rows.append((f"{name}: {what}", len(values), *(f"{one:.1f}" for one in quantiles(values))))
    latency = Table("Latency at the searchers", ("phase", "searches", "p50 ms", "p95 ms", "p99 ms"), tuple(rows))
    seen = lags(folder)
    asked = Table(
        "What was asked",
        ("phase", "for what is there", "missing", "for what is gone", "ghosts", "errors"),
        tuple(
            (name, one.asked_there, one.missing, one.asked_gone, one.ghosts, one.errors.total())
            for name, one in (("quiet", quiet), ("busy", busy), ("last look", last))
        ),
        note=f"{busy.ingests} ingests of {np.median(busy.ingest_s or [0]):.1f} s (median): {busy.come} versions came, "
        f"{busy.gone} went; {len(folder.live):,} documents at the end. From acknowledged to first asked for, of "
        f"{len(seen)} versions: "
        + (
            f"p50 {np.percentile(seen, 50):.1f} s, p95 {np.percentile(seen, 95):.1f} s, most {max(seen):.1f} s. "
            if seen
            else ""
        )
        + f"The node's files are on {kind}.",
    )
    return "\n".join([goals(figures).as_markdown(), latency.as_markdown(), asked.as_markdown(), circumstances()])


def federation_of(folder: Path, documents: Path) -> LocalFederation:
    collection = CollectionConfig(
        id="notes", folder=documents, release_class=ReleaseClass.PUBLIC, reader={"embed": ["text"]}
    )
    config = node_config(0, documents).model_copy(update={"collections": (collection,)})
    coordinator = CoordinatorConfig(coordinator=COORDINATOR, encoder=ENCODER, routing=PluginConfig(name="broadcast"))
    federation = LocalFederation(folder, [config], coordinator)
    federation.create()
    return federation


async def soak(
    federation: LocalFederation, folder: Folder, chosen: argparse.Namespace
) -> tuple[Counted, Counted, Counted]:
    home = NodeHome(federation.folder / "nodes" / NODE)
    node = served(federation)
    searching = Searchers(node, folder, chosen.patience, seed=1)
    pause_s = chosen.pause_ms / 1000

    def writing(counted: Counted, until: Callable[[], bool]) -> object:
        return write(folder, home, counted, chosen.turn, until)

    await phase("warming up", searching, 3, chosen.searchers, pause_s, None)
    quiet = await phase("quiet", searching, chosen.seconds / 4, chosen.searchers, pause_s, None)
    busy = await phase("busy", searching, chosen.seconds, chosen.searchers, pause_s, writing)
    await asyncio.sleep(chosen.patience)
    last = await last_look(searching, folder)
    await node.remote.client.aclose()
    return quiet, busy, last


def checked(home: NodeHome) -> str:
    command = [sys.executable, "-m", "retriever_node", "check", "--home", str(home.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"(\d+) problems", done.stdout)
    return f"{found.group(1)} problems" if found else f"ended with {done.returncode}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="busy; the quiet phase is a quarter of it")
    parser.add_argument("--searchers", type=int, default=8)
    parser.add_argument("--documents", type=int, default=2_000, help="at the beginning")
    parser.add_argument("--turn", type=int, default=20, help="documents added, changed and deleted per ingest, each")
    parser.add_argument("--pause-ms", type=float, default=50.0, help="of a searcher between two searches")
    parser.add_argument(
        "--patience", type=float, default=15.0, help="seconds until an acknowledged document must be found"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the node's files lie; a disk that flushes. Default: temporary"
    )
    chosen = parser.parse_args()
    with TemporaryDirectory(dir=chosen.folder) as place:
        documents = Path(place) / "documents"
        documents.mkdir()
        folder = Folder(documents, random.Random(0), passages(4_000, seed=0))  # noqa: S311 - which documents change
        for version in [folder.add() for _ in range(chosen.documents)]:
            version.there_s = 0.0
        federation = federation_of(Path(place) / "federation", documents)
        with progress("first ingest") as told:
            federation.ingest(told)
        with federation:
            quiet, busy, last = asyncio.run(soak(federation, folder, chosen))
        log = (federation.folder / f"{NODE}.log").read_text(encoding="utf-8")
        logged = Counter(f"logged: {json.loads(line).get('event')}" for line in log.splitlines() if _TOLD.search(line))
        check = checked(NodeHome(federation.folder / "nodes" / NODE))
        kind = file_system(Path(place))
    print(report(quiet, busy, last, folder, logged, check, kind))


if __name__ == "__main__":
    main()
