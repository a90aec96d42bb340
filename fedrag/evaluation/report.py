"""What an evaluation says: tables, pictures, the circumstances they were made in, and what falls short."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Final

Cell = str | int | float

NOT_RUN: Final = "not run"
"""What a row says that needs something which this run was not given; a note says what."""


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def as_markdown(self) -> str:
        cells = [self.columns, *(tuple(shown(cell) for cell in row) for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.columns))]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in cells
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        note = f"\n\n{self.note}" if self.note else ""
        return f"### {self.title}\n\n" + "\n".join(lines) + note

    def as_html(self) -> str:
        head = "".join(f"<th>{escape(column)}</th>" for column in self.columns)
        body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in self.rows)
        note = f"<p class=note>{escape(self.note)}</p>" if self.note else ""
        return (
            f"<section><h2>{escape(self.title)}</h2><div class=wide><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>{note}</section>"
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """`svg` is a whole `<svg>` element whose colours are the page's variables (`fedrag.evaluation.pictures`)."""

    title: str
    svg: str
    note: str = ""

    def as_html(self) -> str:
        note = f"<figcaption>{escape(self.note)}</figcaption>" if self.note else ""
        return f"<section><h2>{escape(self.title)}</h2><figure>{self.svg}{note}</figure></section>"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a suite found."""

    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """`circumstances`: (name, value) of the command, the inputs, the machine, the versions; `tally`: what was made in
    these seconds, and what had been made before."""

    suite: str
    findings: Findings
    circumstances: tuple[tuple[str, str], ...]
    elapsed_s: float = 0.0
    tally: str = ""

    def as_text(self) -> str:
        parts = [f"## {self.suite}", *(table.as_markdown() for table in self.findings.tables)]
        if self.findings.notes:
            parts.append("\n".join(f"- {note}" for note in self.findings.notes))
        parts.append("\n".join(f"{name}: {value}" for name, value in self.circumstances))
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> dict[str, object]:
        return {
            "suite": self.suite,
            "tables": [asdict(table) for table in self.findings.tables],
            "notes": list(self.findings.notes),
            "circumstances": dict(self.circumstances),
        }

    def as_html(self) -> str:
        return page((self,))

    def write(self, folder: Path) -> None:
        (folder / "report.md").write_text(self.as_text(), encoding="utf-8")
        (folder / "report.json").write_text(json.dumps(self.as_json(), indent=2), encoding="utf-8")
        (folder / "report.html").write_text(self.as_html(), encoding="utf-8")


def write_all(folder: Path, reports: Sequence[Report], missing: Sequence[tuple[str, str]]) -> None:
    """All reports as one, behind an overview; `missing`: (suite, code) of those that could not be measured."""
    folder.mkdir(parents=True, exist_ok=True)
    front = overview(reports, missing)
    text = "\n\n".join([front.as_markdown(), *(report.as_text() for report in reports)])
    (folder / "report.md").write_text(text, encoding="utf-8")
    whole = {"overview": asdict(front), "suites": [report.as_json() for report in reports]}
    (folder / "report.json").write_text(json.dumps(whole, indent=2), encoding="utf-8")
    (folder / "report.html").write_text(page(reports, front), encoding="utf-8")


def overview(reports: Sequence[Report], missing: Sequence[tuple[str, str]]) -> Table:
    """What was measured, and in what time."""
    rows: list[tuple[Cell, ...]] = [(report.suite, report.elapsed_s, report.tally) for report in reports]
    rows += [(name, NOT_RUN, code) for name, code in missing]
    total = sum(report.elapsed_s for report in reports)
    return Table(
        "Overview",
        ("suite", "seconds", "made now, and found made by earlier runs"),
        (*rows, ("all", total, "")),
        note="What earlier runs made with equal product, inputs and options is not made again: cold runs take longer.",
    )


def page(reports: Sequence[Report], front: Table | None = None) -> str:
    """One page without a network: everything it shows is in it."""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(', '.join(report.suite for report in reports))}: evaluation</title><style>{_STYLE}</style>"
        f"<main>{front.as_html() if front else ''}{''.join(_body(report) for report in reports)}</main></html>"
    )


def _body(report: Report) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.findings.notes)
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in report.circumstances)
    return (
        f"<h1>{escape(report.suite)}</h1>"
        + "".join(table.as_html() for table in report.findings.tables)
        + f"<div class=pictures>{''.join(picture.as_html() for picture in report.findings.pictures)}</div>"
        + (f"<section><h2>To read it right</h2><ul>{notes}</ul></section>" if notes else "")
        + f"<section><h2>Circumstances</h2><dl>{facts}</dl></section>"
    )


def mean(values: Sequence[float]) -> float:
    """0 for nothing: an empty result counts, it is not left out."""
    return sum(values) / len(values) if values else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; 0 for nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))] if ordered else 0.0


def shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3f}"
    return str(cell)


def _cell(cell: Cell) -> str:
    kind = " class=gap" if cell == NOT_RUN else "" if isinstance(cell, str) else " class=number"
    return f"<td{kind}>{escape(shown(cell))}</td>"


_STYLE: Final = """
:root{color-scheme:light dark;--ground:#fff;--text:#1a1d21;--faint:#667;--line:#dde1e6;--stripe:#f6f7f9;
--c0:#0b61a4;--c1:#c2410c;--c2:#15803d;--c3:#7e22ce;--c4:#a16207;--c5:#be185d;--c6:#0f766e;--c7:#4b5563}
@media(prefers-color-scheme:dark){:root{--ground:#14171a;--text:#e6e8eb;--faint:#9aa3ad;--line:#343a41;--stripe:#1c2024;
--c0:#6db3f2;--c1:#fb923c;--c2:#4ade80;--c3:#c084fc;--c4:#facc15;--c5:#f472b6;--c6:#2dd4bf;--c7:#9ca3af}}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:26px;margin:32px 0 8px}h2{font-size:17px;margin:28px 0 8px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px;min-width:50%}
th,td{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;border-bottom:2px solid var(--line)}th:not(:first-child){white-space:nowrap}
td.number{font-variant-numeric:tabular-nums}td.gap,.note,figcaption,dt{color:var(--faint)}
tbody tr:nth-child(even){background:var(--stripe)}.note,figcaption{font-size:13px;margin:6px 0 0}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(400px,1fr));gap:0 32px}
figure{margin:0}svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:var(--text)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;font-size:13px}dd{margin:0;overflow-wrap:anywhere}
"""
