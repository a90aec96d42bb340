"""Runs the benchmarks and writes benchmarks/RESULTS.md: every figure, its goal beside it, and what is not built.

    python benchmarks/run_all.py                    everything, about half an hour on two cores
    python benchmarks/run_all.py --only B1 B4       these; the other sections of RESULTS.md stay as they are
    python benchmarks/run_all.py --list             what there is
    python benchmarks/run_all.py --quick            small sizes, to see that everything runs; prints, writes nothing

Each benchmark is a program of its own, with its own --help, and prints Markdown; this one runs them one after the
other and puts the sections together. One that ends without a table leaves its section as it was. Run it on a machine
that does nothing else: ratios bear a busy neighbour, milliseconds do not. FEDRAG_DATA names the data packages for
what is measured on MedQuAD; `--cache` keeps its vectors, which take minutes to make.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reporting import GOALS, Figure, Table, goals, libraries, machine

from fedrag import __version__
from fedrag.evaluation.circumstances import product_sha256

FOLDER: Final = Path(__file__).parent
RESULTS: Final = FOLDER / "RESULTS.md"
NOT_BUILT: Final = "not built"


@dataclass(frozen=True)
class Benchmark:
    """`ids` of the goals it measures. Without a script it is not built yet."""

    ids: tuple[str, ...]
    what: str
    goal: str
    script: str = ""
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{', '.join(self.ids)}: {self.what}"


BENCHMARKS: Final = (
    Benchmark(
        ("B1",),
        "retrieval end to end / flat search in process",
        "≤ 0.5",
        "end_to_end.py",
        quick=("--passages", "500", "--questions", "5", "--repetitions", "2"),
    ),
    Benchmark(
        ("B1b",),
        "node search over HTTP / direct HNSW call",
        "≤ 25",
        "node_search.py",
        quick=("--passages", "500", "--requests", "20", "--repetitions", "2"),
    ),
    Benchmark(
        ("B2", "B3"),
        "what routing saves at equal recall; what federating costs in recall",
        "B2 ≤ 1.25 × the oracle's; B3 1.000 flat broadcast, ≥ 0.99 HNSW, ≥ 0.95 routed",
        "routing_cost.py",
        quick=("--nodes", "16", "--passages", "4000", "--questions", "20", "--medquad-questions", "0"),
    ),
    Benchmark(
        ("B4",),
        "routing among 16 to 1,000 hospitals",
        "≤ 2 × the oracle's contacts at recall 0.95; a decision ≤ 1 ms",
        "thousand_nodes.py",
        quick=("--sizes", "16", "64", "--passages", "6400", "--questions", "20", "--repetitions", "2"),
    ),
    Benchmark(
        ("merge",),
        "the global merge / a plain sort of the same offers",
        "1,000 hospitals × 10 offers ≤ 1 ms",
        "merging.py",
        quick=("--sizes", "8", "100", "--repetitions", "5"),
    ),
    Benchmark(
        ("B5",),
        "ingest / encoder alone, passages per second",
        "≥ 0.85 without redaction",
        "ingest_rate.py",
        quick=("--documents", "20", "--repetitions", "1"),
    ),
    Benchmark(
        ("indexes",),
        "every index against exact search, 100,000 clustered vectors",
        "faiss_hnsw: recall@10 ≥ 0.98, ≥ 1,000 queries/s on one thread",
        "vector_indexes.py",
        quick=("--rows", "12000", "--questions", "50"),
    ),
    Benchmark(
        ("kill",),
        "a node's process killed at 250 points of its work",
        "every acknowledged document there, no deleted one, the node starts",
        "kill_sweep.py",
        quick=("--per-phase", "3", "--moments", "1", "--documents", "8"),
    ),
    Benchmark(
        ("soak",),
        "ingest, deletes and 8 searchers at once, two minutes",
        "0 errors, 0 ghosts, 0 missing; p95 ≤ 3 × quiet",
        "node_soak.py",
        quick=("--seconds", "20", "--documents", "300", "--turn", "5"),
    ),
    Benchmark(
        ("fuzz",),
        "hostile files",
        "all as they should, ≤ 1,000 MiB, ≤ 120 s",
        "ingest_fuzzing.py",
        quick=("--scale", "0.1"),
    ),
    Benchmark(
        ("calibration",),
        "predicted and real relevance on MedQuAD",
        "ECE ≤ 0.1, Brier below the base rate's, monotone",
        "calibration_error.py",
        quick=("--questions", "50", "--documents", "100"),
    ),
    Benchmark(
        ("found", "leaks"),
        "conditions and medications by a plain question; identifiers in what leaves",
        "1; 0",
        "findability.py",
        quick=("--patients", "2"),
    ),
    Benchmark(
        ("counts",),
        "counts of patients: error and intervals by epsilon, questions until budgets are spent",
        "median error ≤ 0.02 at hospitals of thousands; ≥ 0.95 of true numbers inside their interval",
        "population_counts.py",
        quick=("--draws", "3"),
    ),
    Benchmark(
        ("reliability",),
        "planted reliability of 8 hospitals found from feedback on 200 questions",
        "Spearman ≥ 0.95, mean over seeds, where votes or citations are judged; with 20 % adversaries printed",
        "source_reliability.py",
        quick=("--seeds", "2"),
    ),
    Benchmark(
        ("B6",),
        "federated learning of the router",
        "≤ 10 rounds, ≤ 1 MB per node, ≤ 60 s of compute, to 99 % of central AUC",
        "federated_router.py",
        quick=("--hospitals", "8", "--passages", "2000", "--questions", "200", "--judged", "50", "--repetitions", "1"),
    ),
    Benchmark(
        ("B7",),
        "latency and bytes with each privacy mechanism / without",
        "offers ≤ 1.5; ledger and audit ≤ 1.2; all controls ≤ 2",
        "privacy_cost.py",
        quick=("--passages", "500", "--questions", "5", "--repetitions", "2"),
    ),
    Benchmark(
        ("ledger",),
        "64 askers at once, processes killed a hundred times",
        "0 violations",
        "ledger_concurrency.py",
        quick=("--requests", "10", "--rounds", "3", "--repetitions", "1"),
    ),
    Benchmark(
        ("B8",),
        "one of four hospitals stalled, three of four down",
        "p99 bound by the deadline; 100 % available",
        "stalled_node.py",
        quick=("--questions", "20"),
    ),
    Benchmark(
        ("faults",),
        "13 faults, 0 to 7 of 8 hospitals",
        "100 % within the deadline and a tenth, evidence exact",
        "fault_matrix.py",
    ),
    Benchmark(
        ("dead",),
        "questions that touch a dead hospital",
        "≤ 1 % after the first minute",
        "dead_node_share.py",
        quick=("--seconds", "70", "--per-second", "2"),
    ),
    Benchmark(
        ("wire",),
        "what a signature and TLS cost per request",
        "printed",
        "request_cost.py",
        quick=("--requests", "30", "--repetitions", "2"),
    ),
)


def run(benchmark: Benchmark, more: Sequence[str]) -> str | None:
    """Its section; None where it printed no table. Progress goes to standard error as it comes."""
    command = [sys.executable, f"{FOLDER.name}/{benchmark.script}", *benchmark.arguments, *more]
    print(f"{benchmark.title}", file=sys.stderr)
    started = time.monotonic()
    done = subprocess.run(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.monotonic() - started
    print(f"  ended with {done.returncode} after {seconds:.0f} s", file=sys.stderr)
    if "### " not in done.stdout:
        return None
    ended = f"; ended with status {done.returncode}" if done.returncode else ""
    made = f"{datetime.now(UTC):%Y-%m-%d}, {seconds:.0f} s{ended}; product source {product_sha256()[:12]}"
    tables = done.stdout[done.stdout.index("### ") :]
    return f"Goal: {benchmark.goal}. Measured {made}.\n\n{tables.strip()}\n"


def sections(text: str) -> dict[str, str]:
    """Title → body of every section of an earlier RESULTS.md that holds results."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    found = zip(parts[1::2], parts[2::2], strict=True)
    return {title: body.strip() + "\n" for title, body in found if "### " in body}


def figures(section: str) -> list[Figure]:
    """The rows of a section's table of goals."""
    _, _, behind = section.partition(f"### {GOALS}\n")
    rows = [line for line in behind.split("\n### ")[0].splitlines() if line.startswith("| ")][2:]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    verdicts = {"holds": True, "missed": False}
    return [
        Figure(identity, what, measured, goal, verdicts.get(verdict))
        for identity, what, measured, goal, verdict in cells
    ]


def document(bodies: Mapping[str, str]) -> str:
    """All sections, with their goals first."""
    rows: list[Figure] = []
    parts: list[str] = []
    for one in BENCHMARKS:
        body = bodies.get(one.title, "") if one.script else f"Goal: {one.goal}. {NOT_BUILT.capitalize()}.\n"
        missing = NOT_BUILT if not one.script else "see below" if body else "not measured yet"
        rows += figures(body) or [Figure(identity, one.what, missing, one.goal, None) for identity in one.ids]
        parts.append(f"## {one.title}\n\n{body or f'Goal: {one.goal}. Not measured yet.' + chr(10)}")
    overview = Table("Goals", ("id", "figure", "measured", "goal", "verdict"), goals(rows).rows)
    head = (
        "# Results of the benchmarks\n\n"
        "Written by `python benchmarks/run_all.py`; not edited by hand. Each figure is a ratio from one run, the\n"
        "median of its repetitions with the least and the most. Milliseconds are those of one machine and promised\n"
        "to nobody. What misses its goal is shown as plainly as what holds.\n\n"
        f"Last run: {datetime.now(UTC):%Y-%m-%d}; fedrag {__version__}; {libraries()}; {machine()}.\n"
    )
    return "\n".join([head, overview.as_markdown(), *parts])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [identity for one in BENCHMARKS if one.script for identity in one.ids]
    parser.add_argument("--only", nargs="+", choices=known, metavar="ID", help=", ".join(known))
    parser.add_argument("--cache", type=Path, help="where B2 and B3 keep the vectors of MedQuAD")
    parser.add_argument("--quick", action="store_true", help="small sizes; print the document, write nothing")
    parser.add_argument("--list", action="store_true", help="print what there is, run nothing")
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(f"{one.title} ({one.script or NOT_BUILT}); goal: {one.goal}" for one in BENCHMARKS))
        return 0
    earlier = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() and not chosen.quick else ""
    bodies, failed = sections(earlier), []
    for one in BENCHMARKS:
        if not one.script or (chosen.only and not set(one.ids) & set(chosen.only)):
            continue
        cache = ("--cache", str(chosen.cache.resolve())) if chosen.cache and "B2" in one.ids else ()
        body = run(one, (*(one.quick if chosen.quick else ()), *cache))
        if body is None:
            failed.append(one.title)
            continue
        bodies[one.title] = body
        if not chosen.quick:
            RESULTS.write_text(document(bodies), encoding="utf-8")
    if chosen.quick:
        print(document(bodies))
    for title in failed:
        print(f"no result: {title}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
