"""Inline SVG figures of what changes from epoch to epoch: lines, and shares that add up to one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

import msgspec

from hwbench.reports.svg import caption, figure

_COLOURS = (
    "#9ecae1", "#3182bd", "#a1d99b", "#31a354", "#fdae6b", "#e6550d", "#bcbddc", "#756bb1", "#fa9fb5", "#c51b8a",
)  # fmt: skip
_GREY = "#bdbdbd"
_NOTHING = ("zero", "skip", "none")


class Line(msgspec.Struct, frozen=True):
    """A series over the epochs; NaN leaves a gap out of its course."""

    name: str
    values: tuple[float, ...]


def line_chart(lines: Sequence[Line], text: Callable[[float], str], mark: tuple[str, float] | None = None) -> str:
    """Lines over epochs 1, 2, ... with their names; `text` writes a value, `mark` is a named level."""
    width, height, left, right, top, bottom = 560, 240, 70, 130, 12, 34
    levels = [value for line in lines for value in line.values if math.isfinite(value)]
    levels += [mark[1]] if mark is not None else []
    low, high = (min(levels), max(levels)) if levels else (0.0, 1.0)
    span = (high - low) or abs(high) or 1.0
    low, high = low - 0.05 * span, high + 0.05 * span
    epochs = max((len(line.values) for line in lines), default=1)

    def x(epoch: int) -> float:
        return left + (width - left - right) * (epoch / max(epochs - 1, 1))

    def y(value: float) -> float:
        return height - bottom - (height - top - bottom) * (value - low) / (high - low)

    parts = [
        f'<rect x="{left}" y="{top}" width="{width - left - right}" height="{height - top - bottom}" fill="none" '
        f'stroke="#999"/>',
        caption((left + width - right) / 2, height - 4, "epoch", "middle"),
        caption(left, height - bottom + 16, "1", "middle"),
        caption(width - right, height - bottom + 16, str(epochs), "middle"),
    ]
    parts += [caption(left - 6, y(level) + 4, text(level), "end") for level in (low, (low + high) / 2, high)]
    if mark is not None:
        parts.append(
            f'<line x1="{left}" y1="{y(mark[1]):.1f}" x2="{width - right}" y2="{y(mark[1]):.1f}" stroke="#d33" '
            f'stroke-dasharray="4 3"/>{caption(width - right + 6, y(mark[1]) + 4, mark[0], "start", "#d33")}'
        )
    for number, line in enumerate(lines):
        colour = _COLOURS[(2 * number + 1) % len(_COLOURS)]
        places = [(x(epoch), y(value)) for epoch, value in enumerate(line.values) if math.isfinite(value)]
        points = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(caption(width - right + 6, top + 12 + 15 * number, line.name, "start", colour))
    return figure(width, height, parts)


def share_charts(
    names: Sequence[str], labels: Sequence[Sequence[str]], shares: Sequence[Sequence[Sequence[float]]]
) -> str:
    """Small charts, one per name: areas stacked to 1 over the epochs; `shares` is (epochs, names, labels)."""
    across, width, height, gap = 4, 190, 74, 26
    rows = math.ceil(len(names) / across)
    every = list(dict.fromkeys(label for own in labels for label in own))
    colours = {
        label: _GREY if label in _NOTHING else _COLOURS[place % len(_COLOURS)] for place, label in enumerate(every)
    }
    parts = []
    for number, name in enumerate(names):
        left, top = (number % across) * (width + 16), (number // across) * (height + gap)
        parts.append(caption(left, top + 14, name, "start"))
        parts += _areas(left, top + 20, width, height, labels[number], [epoch[number] for epoch in shares], colours)
    legend = rows * (height + gap) + 16
    for place, label in enumerate(every):
        left = (place % 10) * 76
        parts.append(f'<rect x="{left}" y="{legend - 9}" width="10" height="10" fill="{colours[label]}"/>')
        parts.append(caption(left + 14, legend, label, "start"))
    return figure(across * (width + 16), legend + 12, parts)


def _areas(
    left: float,
    top: float,
    width: float,
    height: float,
    labels: Sequence[str],
    epochs: Sequence[Sequence[float]],
    colours: dict[str, str],
) -> list[str]:
    """One area per label, the first at the bottom, with its last share on hover."""
    steps = epochs if len(epochs) > 1 else [*epochs, *epochs]
    below = [0.0] * len(steps)
    parts = []
    for place, label in enumerate(labels):
        above = [base + step[place] for base, step in zip(below, steps, strict=True)]
        ends = [left + width * n / (len(steps) - 1) for n in range(len(steps))]
        outline = [*zip(ends, above, strict=True), *reversed(list(zip(ends, below, strict=True)))]
        points = " ".join(f"{across:.1f},{top + height * (1 - min(level, 1.0)):.1f}" for across, level in outline)
        parts.append(
            f'<polygon points="{points}" fill="{colours[label]}"><title>{escape(label)} '
            f"{epochs[-1][place]:.3f}</title></polygon>"
        )
        below = above
    return parts
