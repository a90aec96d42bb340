"""B8: p99 with one of four hospitals stalled / healthy p99, and availability with three of four down.

Four node processes and a coordinator on loopback, questions one after the other. Stalled: SIGSTOP, so that its port
takes connections and never answers. Down: SIGKILL. An answer counts as available when it came with HTTP 200 and cites
evidence.
"""

import argparse
import contextlib
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from reporting import Figure, Table, circumstances, goals
from small_federation import ASKED, small_federation

from fedrag.client import Client
from fedrag.core.errors import FedragError
from fedrag.local_federation import LocalFederation


def ask(client: Client, questions: int) -> tuple[list[float], int]:
    """Milliseconds of each question, and how many were answered with evidence."""
    took, available = [], 0
    for _ in range(questions):
        started = time.perf_counter()
        with contextlib.suppress(FedragError):
            available += bool(client.ask(ASKED).evidence.passages)
        took.append((time.perf_counter() - started) * 1000)
    return took, available


def run(federation: LocalFederation, questions: int) -> list[tuple[str, list[float], int]]:
    federation.create()
    federation.ingest(lambda _done, _all: None)
    federation.start()
    phases = []
    with federation.client() as client:
        ask(client, 20)
        phases.append(("healthy", *ask(client, questions)))
        federation.pause("hospital-0")
        phases.append(("one of four stalled", *ask(client, questions)))
        for name in ("hospital-1", "hospital-2"):
            federation.kill(name)
        phases.append(("one stalled, two killed", *ask(client, questions)))
    return phases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=400, help="per phase")
    parser.add_argument("--deadline-ms", type=int, default=3_000)
    chosen = parser.parse_args()
    with (
        TemporaryDirectory() as folder,
        small_federation(Path(folder), 4, chosen.deadline_ms) as federation,
    ):
        phases = run(federation, chosen.questions)
    healthy_ms = float(np.percentile(phases[0][1], 99))
    rows = tuple(
        (
            name,
            float(np.median(took)),
            float(np.percentile(took, 99)),
            float(np.percentile(took, 99)) / healthy_ms,
            max(took),
            f"{available} of {len(took)}",
        )
        for name, took, available in phases
    )
    (_, stalled, _), (_, down, available) = phases[1:]
    slowest = max(*stalled, *down) / chosen.deadline_ms
    ratio = float(np.percentile(stalled, 99)) / healthy_ms
    figures = [
        Figure("B8", "p99 with one of four stalled / healthy p99", f"{ratio:.2f}", "printed", None),
        Figure("B8", "slowest question / deadline", f"{slowest:.2f}", "≤ 1.1", slowest <= 1.1),
        Figure(
            "B8", "answered with three of four down", f"{available / len(down):.1%}", "100 %", available == len(down)
        ),
    ]
    print(goals(figures).as_markdown())
    columns = ("phase", "p50 ms", "p99 ms", "p99 / healthy p99", "slowest ms", "answered with evidence")
    print(Table(f"B8, deadline {chosen.deadline_ms} ms", columns, rows).as_markdown())
    print(circumstances())


if __name__ == "__main__":
    main()
