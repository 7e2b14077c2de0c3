"""Inline SVG figures: a heat map, an interval plot and a scatter plot, as strings of pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

import msgspec

from hwbench.reports.units import latency

_CELL_W, _CELL_H, _LEFT, _TOP = 92, 24, 90, 26
_NARROW_W, _CHARACTER_W, _LONGEST_NAME = 52, 6, 60


class Cell(msgspec.Struct, frozen=True):
    """One cell of a heat map; `value` None is an empty one, `mark` draws attention, `title` shows on hover."""

    value: float | None
    text: str
    title: str = ""
    mark: bool = False


def heat_map(rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Cell]]) -> str:
    """Cells coloured by the logarithm of their value, light to dark."""
    values = [cell.value for line in cells for cell in line if cell.value]
    low, high = (math.log(min(values)), math.log(max(values))) if values else (0.0, 1.0)

    def share(value: float) -> float:
        return 0.0 if high == low else (math.log(value) - low) / (high - low)

    return _grid(rows, columns, cells, share, _LEFT, _CELL_W)


def correlation_map(names: Sequence[str], cells: Sequence[Sequence[Cell]]) -> str:
    """A square of correlations, light up to 0.5 and dark at 1; columns are numbered as the rows are."""
    shown = [f"{number} {name}" for number, name in enumerate(names, start=1)]
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in shown]
    left = 20 + _CHARACTER_W * max((len(name) for name in shown), default=0)
    columns = [str(number) for number in range(1, len(names) + 1)]
    return _grid(shown, columns, cells, lambda value: min(max(2 * value - 1, 0.0), 1.0), left, _NARROW_W)


def _grid(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[Cell]],
    share_of: Callable[[float], float],
    left_margin: float,
    cell_width: float,
) -> str:
    """Cells between labels, each as dark as the share of its value says."""
    middle = cell_width / 2
    parts = [
        caption(left_margin + i * cell_width + middle, _TOP - 8, column, "middle") for i, column in enumerate(columns)
    ]
    for y, (row, line) in enumerate(zip(rows, cells, strict=True)):
        top = _TOP + y * _CELL_H
        parts.append(caption(left_margin - 8, top + 16, row, "end"))
        for x, cell in enumerate(line):
            share = share_of(cell.value) if cell.value else 0.0
            fill = "#f4f4f4" if not cell.value else _colour(share)
            left = left_margin + x * cell_width
            ink = "#fff" if share > 0.55 else "#222"
            stroke = "#d33" if cell.mark else "#fff"
            parts.append(
                f'<g><title>{escape(cell.title)}</title><rect x="{left}" y="{top}" width="{cell_width - 2}" '
                f'height="{_CELL_H - 2}" fill="{fill}" stroke="{stroke}"/>'
                f"{caption(left + middle - 1, top + 15, cell.text, 'middle', ink)}</g>"
            )
    return figure(left_margin + len(columns) * cell_width + 10, _TOP + len(rows) * _CELL_H + 10, parts)


def scatter(points: Sequence[tuple[float, float, str]], x_label: str, y_label: str) -> str:
    """Points (x, y, title) in microseconds with the diagonal, both axes alike."""
    size, margin = 420, 60
    side = size - 2 * margin
    values = [value for x, y, _ in points for value in (x, y)]
    low, high = min(values) * 0.95, max(values) * 1.05

    def at(value: float) -> float:
        return margin + (value - low) / (high - low) * (size - 2 * margin)

    parts = [
        f'<line x1="{margin}" y1="{size - margin}" x2="{size - margin}" y2="{margin}" stroke="#bbb"/>',
        f'<rect x="{margin}" y="{margin}" width="{side}" height="{side}" fill="none" stroke="#999"/>',
        caption(size / 2, size - 12, x_label, "middle"),
        f'<g transform="translate(14 {size / 2}) rotate(-90)">{caption(0, 0, y_label, "middle")}</g>',
    ]
    for tick in (low, (low + high) / 2, high):
        parts.append(caption(at(tick), size - margin + 16, latency(tick), "middle"))
        parts.append(caption(margin - 6, size - at(tick) + 4, latency(tick), "end"))
    for x, y, title in points:
        parts.append(
            f'<circle cx="{at(x):.1f}" cy="{size - at(y):.1f}" r="4" fill="#2a6f97" fill-opacity="0.7">'
            f"<title>{escape(title)}</title></circle>"
        )
    return figure(size, size, parts)


def bars(entries: Sequence[tuple[str, float, str]], unit: str) -> str:
    """Horizontal bars (label, value, title), longest first as given."""
    width, row, left = 760, 16, 430
    largest = max((value for _, value, _ in entries), default=1.0) or 1.0
    parts = []
    for y, (label, value, title) in enumerate(entries):
        length = value / largest * (width - left - 80)
        top = y * row + 4
        parts.append(caption(left - 6, top + 11, label, "end"))
        parts.append(
            f'<g><title>{escape(title)}</title><rect x="{left}" y="{top}" width="{max(length, 1):.1f}" '
            f'height="{row - 4}" fill="#2a6f97"/></g>'
        )
        parts.append(caption(left + length + 6, top + 11, f"{value:.2f} {unit}", "start"))
    return figure(width, len(entries) * row + 10, parts)


def _colour(share: float) -> str:
    start, end = (226, 239, 246), (16, 55, 92)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(start, end, strict=True))


def caption(x: float, y: float, text: str, anchor: str, fill: str = "#222") -> str:
    """Escaped text at a place; `anchor` is start, middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'


def figure(width: float, height: float, parts: Sequence[str]) -> str:
    """An SVG element of the parts."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'
    )
