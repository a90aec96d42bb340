"""The whole fault matrix: 13 faults, 0 to 7 of 8 hospitals, beginning with the offers or after good offers.

In each cell one question is asked of eight real node applications behind doors that misbehave
(tests/faulty_hospitals.py) through the coordinator's real API. It must be answered with HTTP 200 within the deadline
and a tenth, say exactly what became of each hospital, carry exactly the evidence that the others give alone, and
leave no task after a second. Exits with 1 on any miss.
"""

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from reporting import Figure, Table, circumstances, goals

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from faulty_hospitals import FAULTS, HOSPITALS, Cell, faulty_federation


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deadline-ms", type=int, default=2_000)
    deadline_ms = parser.parse_args().deadline_ms
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    cells: dict[tuple[str, str], list[Cell]] = {}
    with TemporaryDirectory() as folder, faulty_federation(Path(folder), deadline_ms) as federation:
        for stage in ("offers", "releases"):
            for fault in FAULTS:
                if (fault, stage) == ("refused", "releases"):
                    continue  # a port that closes between offer and release is "reset mid-body" to whoever is connected
                for faulty in range(len(HOSPITALS)):
                    cells.setdefault((fault, stage), []).append(asyncio.run(federation.run(fault, faulty, stage)))
                print(f"{fault}, from {stage} on: done", file=sys.stderr)
    rows = tuple(
        (
            fault,
            stage,
            f"{sum(not cell.misses for cell in row)} of {len(row)}",
            max(cell.elapsed_ms for cell in row) / deadline_ms,
            "; ".join(f"{cell.faulty}: {miss}" for cell in row for miss in cell.misses) or "none",
        )
        for (fault, stage), row in cells.items()
    )
    misses = sum(bool(cell.misses) for row in cells.values() for cell in row)
    number = sum(len(row) for row in cells.values())
    what = "cells of the fault matrix that hold"
    figure = Figure("faults", what, f"{number - misses} of {number}", "100 %", misses == 0)
    print(goals([figure]).as_markdown())
    columns = ("fault", "from", "cells that hold", "slowest / deadline", "misses")
    print(Table(f"Fault matrix, deadline {deadline_ms} ms, 0 to 7 of 8 hospitals", columns, rows).as_markdown())
    print(f"{number} cells, {misses} with a miss\n\n{circumstances()}")
    return int(misses > 0)


if __name__ == "__main__":
    sys.exit(main())
