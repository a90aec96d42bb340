"""How benchmarks print: Markdown tables, figures beside their goals, and the circumstances they were made in."""

import os
import platform
import shlex
import sqlite3
import statistics
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from fedrag import __version__

Cell = str | int | float
GOALS: Final = "Against the goals"
_LIBRARIES: Final = ("numpy", "faiss-cpu", "onnxruntime", "pydantic", "cryptography", "uvicorn")


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def as_markdown(self) -> str:
        lines = [self.columns, *(tuple(_shown(cell) for cell in row) for row in self.rows)]
        body = ["| " + " | ".join(line) + " |" for line in lines]
        body.insert(1, "|" + " --- |" * len(self.columns))
        return f"### {self.title}\n\n" + "\n".join(body) + "\n" + (f"\n{self.note}\n" if self.note else "")


@dataclass(frozen=True)
class Figure:
    """One measured figure and its goal. `holds`: None where a part of the goal could not be measured."""

    id: str
    what: str
    measured: str
    goal: str
    holds: bool | None


def goals(figures: Sequence[Figure]) -> Table:
    """What a reader wants first, and what `run_all.py` collects: these rows are found by the table's title."""
    words = {True: "holds", False: "missed", None: "not judged"}
    rows = tuple((one.id, one.what, one.measured, one.goal, words[one.holds]) for one in figures)
    return Table(GOALS, ("id", "figure", "measured", "goal", "verdict"), rows)


def spread(values: Sequence[float]) -> str:
    """Median, least and most of repetitions."""
    return f"{statistics.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def circumstances() -> str:
    """The command, the versions, the processor, the load: what a figure is worth nothing without."""
    return f"`{_command()}`; fedrag {__version__}, Python {platform.python_version()}; {machine()}; {_load()}\n"


def machine() -> str:
    """Processor, number of them, memory: what figures depend on, and nothing that names the machine."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{_processor()}, {os.cpu_count()} CPUs, {platform.machine()}, {memory_gib:.0f} GiB, {platform.system()}"


def libraries() -> str:
    found = [f"{name} {_version(name)}" for name in _LIBRARIES]
    return ", ".join([f"Python {platform.python_version()}", *found, f"SQLite {sqlite3.sqlite_version}"])


def file_system(path: Path) -> str:
    """Its type, `ext4` say: what a flush to disk costs is decided there."""
    kinds = {}
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
            _, mounted, kind, *_ = line.split()
            kinds[Path(mounted)] = kind
    place = path.resolve()
    return next((kinds[one] for one in (place, *place.parents) if one in kinds), "unknown file system")


def _command() -> str:
    """As it was typed, without the names of folders of this machine."""
    shown = ["FOLDER" if Path(one).is_absolute() else one for one in sys.argv[1:]]
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *shown])


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} at the end"


def _processor() -> str:
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return platform.processor() or "unknown processor"


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _shown(cell: Cell) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
