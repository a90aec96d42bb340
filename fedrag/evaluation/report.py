"""What an evaluation says: tables, the circumstances they were made in, and what falls short."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def as_markdown(self) -> str:
        cells = [self.columns, *(tuple(_shown(cell) for cell in row) for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.columns))]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in cells
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return f"### {self.title}\n\n" + "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Report:
    suite: str
    command: str
    inputs_sha256: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()

    def circumstances(self) -> dict[str, str]:
        return {
            "command": self.command,
            "inputs sha256": self.inputs_sha256,
            "fedrag": version("fedrag"),
            "python": platform.python_version(),
            "cpus": str(os.cpu_count()),
            "machine": platform.machine(),
        }

    def as_text(self) -> str:
        parts = [f"## {self.suite}", *(table.as_markdown() for table in self.tables)]
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes))
        parts.append("\n".join(f"{name}: {value}" for name, value in self.circumstances().items()))
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "circumstances": self.circumstances()}

    def write(self, folder: Path) -> None:
        (folder / "report.md").write_text(self.as_text(), encoding="utf-8")
        (folder / "report.json").write_text(json.dumps(self.as_json(), indent=2), encoding="utf-8")


def mean(values: Sequence[float]) -> float:
    """0 for nothing: an empty result counts, it is not left out."""
    return sum(values) / len(values) if values else 0.0


def _shown(cell: Cell) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
