"""How benchmarks print: Markdown tables, and the circumstances they were made in."""

import os
import platform
import shlex
import sys
from dataclasses import dataclass

from fedrag import __version__

Cell = str | int | float


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def as_markdown(self) -> str:
        lines = [self.columns, *(tuple(_shown(cell) for cell in row) for row in self.rows)]
        body = ["| " + " | ".join(line) + " |" for line in lines]
        body.insert(1, "|" + " --- |" * len(self.columns))
        return f"### {self.title}\n\n" + "\n".join(body) + "\n"


def circumstances() -> str:
    """The command, the versions, the processor: what a figure is worth nothing without."""
    command = shlex.join(["python", *sys.argv])
    facts = f"fedrag {__version__}, Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()}"
    return f"`{command}`; {facts}\n"


def _shown(cell: Cell) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
