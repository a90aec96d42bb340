"""The ledger and the audit log under many askers at once, in several processes that are killed: latency, violations.

Each release is what a node does before text leaves: one transaction that charges the passages and writes the audit
line. Askers repeat themselves, share a coordinator, a project and a collection, and ask for more than their quotas.

    latency       askers as threads of one process, alone and together, with a flush for each and with group commit
    violations    processes with a share of the askers each are killed with SIGKILL at random moments, again and again

A violation: a quota that was exceeded; an acknowledged release without its charges or its line; a line without its
charges or charges without a line; a chain that is broken. Exits with 1 on any.
"""

import argparse
import json
import os
import random
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from reporting import Figure, Table, circumstances, file_system, goals, spread

from fedrag.core.errors import FedragError, QuotaExceeded
from retriever_node import audit, group_commit, ledger
from retriever_node.config import QuotaConfig
from retriever_node.handles import Recipient
from retriever_node.ledger import Allowance, Disclosure
from retriever_node.policy import PassageQuota
from retriever_node.state import NodeState

COLLECTION: Final = "records"
PASSAGES: Final = 1_000
PER_REQUEST: Final = 3
NOW_S: Final = 1_767_000_000.0
ROOMY: Final = QuotaConfig(
    passages_per_asker_per_day=1_000_000, passages_per_coordinator_per_day=1_000_000, passages_per_request=50
)
TIGHT: Final = QuotaConfig(passages_per_request=3, passages_per_asker_per_day=24, passages_per_coordinator_per_day=600)
GRANTED: Final = PassageQuota(per_project_per_day=500, per_day=700, per_asker_per_30_days=24, share_per_30_days=0.02)
Key = tuple[str, str, int]
"""Asker, request, passage."""


@dataclass(frozen=True)
class Acknowledged:
    """What a process was told is on disk: it would have sent the text now."""

    asker: str
    request: str
    passages: tuple[int, ...]
    head: str


def release(state: NodeState, asker: str, request: str, passages: Sequence[int], quota: QuotaConfig) -> str:
    """As the node does it; the head that the receipt would hold."""
    recipient = Recipient(asker, "treatment", "hub", request, "study")
    allowed = {COLLECTION: Allowance(GRANTED, PASSAGES)} if quota is TIGHT else {}
    with state.transaction() as connection:
        disclosures = [Disclosure(COLLECTION, passage, 100) for passage in passages]
        ledger.charge(connection, recipient, disclosures, quota, NOW_S, allowed)
        event = audit.AuditEvent(
            audit.timestamp(NOW_S), "release", request, asker, "treatment", "hub", passages=tuple(passages)
        )
        return audit.append(connection, event)


def latencies(path: Path, askers: int, requests: int) -> tuple[list[float], float, float]:
    """Milliseconds of each release, releases a second, releases a flush."""
    commits = 0

    def saw(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    def asks(number: int) -> list[float]:
        took = []
        for turn in range(requests):
            began = time.perf_counter()
            release(state, f"asker{number}", f"{number}-{turn}", range(turn, turn + PER_REQUEST), ROOMY)
            took.append((time.perf_counter() - began) * 1000)
        return took

    with closing(NodeState(path)) as state, ThreadPoolExecutor(askers) as pool:
        state._connection.set_trace_callback(saw)
        began = time.perf_counter()
        took = [one for each in pool.map(asks, range(askers)) for one in each]
        elapsed_s = time.perf_counter() - began
        state._connection.set_trace_callback(None)
    return took, len(took) / elapsed_s, len(took) / max(1, commits)


def work(path: Path, told: int, askers: Iterable[int], requests: int, seed: int) -> None:
    """A process with these askers; every acknowledged release is a line in the file `told`, which outlives it."""

    def asks(number: int) -> None:
        chance = random.Random(f"{seed} {number}")  # noqa: S311 - not for secrets
        for turn in range(requests):
            # Requests come again, here and at other processes: the same passages, to be charged once.
            request = f"{number % 32}-{chance.randrange(12)}"
            passages = random.Random(request).sample(range(40), PER_REQUEST)  # noqa: S311
            try:
                head = release(state, f"asker{number % 32}", request, passages, TIGHT)
            except QuotaExceeded:
                continue
            except FedragError:
                time.sleep(0.01 * (turn % 3))
                continue
            os.write(told, (json.dumps([f"asker{number % 32}", request, passages, head]) + "\n").encode())

    with closing(NodeState(path)) as state, ThreadPoolExecutor(64) as pool:
        list(pool.map(asks, askers))


def killed(folder: Path, processes: int, askers: int, requests: int, rounds: int, seed: int) -> tuple[int, int]:
    """How many processes were killed, how many ended by themselves."""
    chance, kills, ended = random.Random(seed), 0, 0  # noqa: S311 - not for secrets
    path, told = folder / "state.sqlite", os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for turn in range(rounds):
        children = []
        for process in range(processes):
            child = os.fork()
            if child == 0:
                try:
                    work(path, told, range(process, askers, processes), requests, seed + turn)
                finally:
                    os._exit(0)
            children.append(child)
        for child in children:
            time.sleep(chance.uniform(0.02, 0.15))
            os.kill(child, signal.SIGKILL)
        for child in children:
            _, status = os.waitpid(child, 0)
            kills += os.WIFSIGNALED(status)
            ended += not os.WIFSIGNALED(status)
    os.close(told)
    return kills, ended


def acknowledged(folder: Path) -> list[Acknowledged]:
    lines = (folder / "acknowledged").read_text(encoding="utf-8").splitlines()
    return [Acknowledged(one[0], one[1], tuple(one[2]), one[3]) for one in map(json.loads, lines)]


def violations(folder: Path) -> list[str]:
    """What does not hold, in words; looked at as the next process to start would find it."""
    with closing(NodeState(folder / "state.sqlite")) as state, state.reading() as connection:
        charges: list[Key] = [
            (asker, request, int(passage))
            for asker, request, passage in connection.execute("SELECT asker, request_id, passage FROM charges")
        ]
        try:
            entries = list(audit.entries(connection))
        except FedragError as error:
            return [error.code]
    found = [f"{what} was given {given}" for what, given, most in _given(charges) if given > most]
    written: dict[str, Key] = {}
    lines: set[Key] = set()
    for entry in entries:
        event = json.loads(entry.line)
        written[entry.head] = (event["asker"], event["request_id"], 0)
        lines |= {(event["asker"], event["request_id"], passage) for passage in event["passages"]}
    found += [f"charged without a line: {one}" for one in set(charges) - lines]
    found += [f"a line without its charge: {one}" for one in lines - set(charges)]
    for one in acknowledged(folder):
        if written.get(one.head) != (one.asker, one.request, 0):
            found.append(f"acknowledged and not in the log: {one.request}")
        if not {(one.asker, one.request, passage) for passage in one.passages} <= set(charges):
            found.append(f"acknowledged and not charged: {one.request}")
    return found


def _given(charges: Sequence[Key]) -> Iterable[tuple[str, int, float]]:
    """What was given, how much, of how much at most."""
    for asker, given in Counter(asker for asker, _, _ in charges).items():
        yield asker, given, min(TIGHT.passages_per_asker_per_day, GRANTED.per_asker_per_30_days or 0)
        distinct = len({passage for who, _, passage in charges if who == asker})
        yield f"{asker}'s share", distinct, PASSAGES * (GRANTED.share_per_30_days or 0)
    for request, given in Counter((asker, request) for asker, request, _ in charges).items():
        yield str(request), given, TIGHT.passages_per_request
    most = min(TIGHT.passages_per_coordinator_per_day, GRANTED.per_project_per_day or 0, GRANTED.per_day or 0)
    yield "the coordinator", len(charges), most


def latency_table(folder: Path, askers: int, requests: int) -> tuple[Table, float]:
    """And how many times as fast the slowest percent of many askers is with group commit as without."""
    rows, slowest = [], {}
    together = group_commit.MAXIMUM_GROUP
    for many, grouped in ((1, True), (askers, False), (askers, True)):
        group_commit.MAXIMUM_GROUP = together if grouped else 1  # type: ignore[misc]
        took, rate, shared = latencies(folder / f"{many}-{grouped}.sqlite", many, requests)
        cuts = statistics.quantiles(took, n=100)
        slowest[many, grouped] = cuts[98]
        rows.append((many, "shared" if grouped else "each", *(cuts[at - 1] for at in (50, 95, 99)), rate, shared))
    group_commit.MAXIMUM_GROUP = together  # type: ignore[misc]
    columns = ("askers at once", "flush", "p50 ms", "p95 ms", "p99 ms", "releases/s", "releases a flush")
    note = f"{requests} releases of {PER_REQUEST} passages each per asker; files on {file_system(folder)}."
    table = Table("Releases written before they are sent", columns, tuple(rows), note)
    return table, slowest[askers, False] / slowest[askers, True]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--askers", type=int, default=64)
    parser.add_argument("--requests", type=int, default=50, help="per asker, for latencies")
    parser.add_argument("--processes", type=int, default=4, help="on one file, to be killed")
    parser.add_argument("--rounds", type=int, default=25, help="of killing them all")
    parser.add_argument("--repetitions", type=int, default=3, help="of latencies")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where the files lie; a disk that flushes")
    chosen = parser.parse_args()
    with TemporaryDirectory(dir=chosen.folder) as made:
        folder = Path(made)
        kills, _ = killed(folder, chosen.processes, chosen.askers, 200, chosen.rounds, chosen.seed)
        found, told = violations(folder), len(acknowledged(folder))
        tables, gains = [], []
        for turn in range(chosen.repetitions):
            place = folder / str(turn)
            place.mkdir()
            table, gain = latency_table(place, chosen.askers, chosen.requests)
            tables.append(table)
            gains.append(gain)
    figures = [
        Figure("ledger", f"violations, {kills} processes killed, {told:,} releases", str(len(found)), "0", not found),
        Figure("ledger", f"p99 of {chosen.askers} askers, a flush each / shared", spread(gains), "printed", None),
    ]
    print(goals(figures).as_markdown())
    print(tables[-1].as_markdown())
    print(circumstances())
    print("\n".join(found[:10]), file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
