"""Pictures of a report, as inline SVG: curves, bars and a reliability diagram, in the page's own colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from fedrag.evaluation.report import Picture

_WIDTH: Final = 520
_HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 24, 38
_COLOURS: Final = 8

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Frame:
    """From values to places on the sheet. `x` and `y` are (low, high)."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, value: float) -> float:
        low, high = self.x
        return _LEFT + (value - low) / ((high - low) or 1) * (_WIDTH - _LEFT - _RIGHT)

    def down(self, value: float) -> float:
        low, high = self.y
        return _HEIGHT - _BOTTOM - (value - low) / ((high - low) or 1) * (_HEIGHT - _TOP - _BOTTOM)

    def axes(self, x_name: str, y_name: str) -> str:
        parts = []
        for at in _ticks(*self.y):
            y = self.down(at)
            parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_label(at)}</text>')
        below = f'y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle"'
        parts += [f'<text x="{self.across(at):.1f}" {below}>{_label(at)}</text>' for at in _ticks(*self.x)]
        parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(x_name)}</text>')
        parts.append(f'<text x="{_LEFT}" y="{_TOP - 10}" fill-opacity="0.7">{escape(y_name)}</text>')
        return "".join(parts)


def curves(
    title: str,
    x_name: str,
    y_name: str,
    lines: Mapping[str, Points],
    *,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    diagonal: bool = False,
    note: str = "",
) -> Picture:
    """One line per name, with a legend under the picture; points are (x, y)."""
    points = [point for line in lines.values() for point in line] or [(0.0, 0.0)]
    xs = [at for at, _ in points]
    frame = _Frame(x or (min(xs), max(xs)), y or _room([value for _, value in points]))
    parts = [frame.axes(x_name, y_name)]
    if diagonal:
        ends = (
            f'x1="{frame.across(0):.1f}" y1="{frame.down(0):.1f}" x2="{frame.across(1):.1f}" y2="{frame.down(1):.1f}"'
        )
        parts.append(f'<line {ends} stroke="var(--faint)" stroke-dasharray="4 4"/>')
    for number, line in enumerate(lines.values()):
        path = " ".join(f"{frame.across(at):.1f},{frame.down(value):.1f}" for at, value in line)
        colour = f"var(--c{number % _COLOURS})"
        dashed = ' stroke-dasharray="6 3"' if number >= _COLOURS else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>')
        if len(line) <= 12:
            parts += [
                f'<circle cx="{frame.across(at):.1f}" cy="{frame.down(value):.1f}" r="3" fill="{colour}"/>'
                for at, value in line
            ]
    legend, height = _legend(list(lines))
    return Picture(title, _svg("".join(parts) + legend, _HEIGHT + height, title), note)


def bars(title: str, values: Mapping[str, float], unit: str, *, note: str = "") -> Picture:
    """One horizontal bar per name, from 0, with its value."""
    top = max(values.values(), default=0.0) or 1.0
    room, step = 150, 24
    parts = []
    for number, (name, value) in enumerate(values.items()):
        y, width = number * step + 4, value / top * (_WIDTH - room - 80)
        parts.append(f'<text x="{room - 8}" y="{y + 13}" text-anchor="end">{escape(name[:24])}</text>')
        parts.append(f'<rect x="{room}" y="{y}" width="{width:.1f}" height="{step - 8}" fill="var(--c0)"/>')
        parts.append(f'<text x="{room + width + 6:.1f}" y="{y + 13}">{_label(value)} {escape(unit)}</text>')
    return Picture(title, _svg("".join(parts), max(1, len(values)) * step + 8, title), note)


def distribution(title: str, x_name: str, samples: Mapping[str, Sequence[float]], *, note: str = "") -> Picture:
    """The share of samples up to each value, one line per name."""
    lines = {
        name: [(value, (at + 1) / len(values)) for at, value in enumerate(sorted(values))]
        for name, values in samples.items()
    }
    most = max((value for values in samples.values() for value in values), default=1.0)
    return curves(title, x_name, "share of questions", lines, x=(0.0, most), y=(0.0, 1.0), note=note)


def _svg(inside: str, height: float, title: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">{inside}</svg>'


def _legend(names: Sequence[str]) -> tuple[str, int]:
    """Two columns; and its height."""
    parts = []
    for number, name in enumerate(names):
        x, y = _LEFT + (number % 2) * 230, _HEIGHT + 14 + number // 2 * 18
        dashed = ' stroke-dasharray="6 3"' if number >= _COLOURS else ""
        colour = f"var(--c{number % _COLOURS})"
        parts.append(
            f'<line x1="{x}" x2="{x + 18}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="3"{dashed}/>'
        )
        parts.append(f'<text x="{x + 24}" y="{y}">{escape(name[:34])}</text>')
    return "".join(parts), 8 + 18 * ((len(names) + 1) // 2)


def _room(values: Sequence[float]) -> tuple[float, float]:
    return min(0.0, *values) if len(values) > 1 else 0.0, max(values) * 1.05 or 1.0


def _ticks(low: float, high: float) -> list[float]:
    """About five round values."""
    span = (high - low) or 1.0
    step = next(
        factor * 10.0**power for power in range(-6, 12) for factor in (1, 2, 5) if span / (factor * 10.0**power) <= 6
    )
    first = -int(-low / step // 1) if low >= 0 else int(low / step)
    return [number * step for number in range(first, int(high / step + 1e-9) + 1)]


def _label(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.2f}".rstrip("0").rstrip(".")
