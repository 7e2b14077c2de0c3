"""Terminal views of agreement between targets: heat map, flaws, adaptation rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.reports.imports import reproduction_view
from hwbench.tables.flaws import Flaw
from hwbench.transfer.agreement import MONOTONE, Agreement
from hwbench.workflows.reproduce_oneproxy import OneProxy


def oneproxy_view(found: OneProxy) -> RenderableType:
    """Heat map, flawed columns, adaptation rows, and published figures beside them where there are any."""
    rows = Table(box=None, title="adapted with few measurements (mean Spearman)", title_justify="left")
    rows.add_column("proxy for target")
    rows.add_column("as it is", justify="right")
    counts = max((row.measured for row in found.adaptations), key=len, default=())
    for count in counts:
        rows.add_column(str(count), justify="right")
    for row in found.adaptations:
        figures = [
            f"{value:.3f} ({share:.0%} adapted)" for value, share in zip(row.spearman, row.accepted, strict=True)
        ]
        rows.add_row(f"{row.proxy} for {row.target}", f"{row.raw:.3f}", *figures)
    parts: list[RenderableType] = [heat_map(found.agreements), flaws_view(found.flaws), rows]
    return Group(*parts, *([reproduction_view(found)] if found.checks else []))


def heat_map(agreements: Sequence[Agreement]) -> RenderableType:
    """Spearman's correlations of all pairs; monotone ones green, those below 0.7 red."""
    targets = list(dict.fromkeys(name for one in agreements for name in (one.a, one.b)))
    table = Table(box=None, title="Spearman", title_justify="left")
    table.add_column("")
    for number in range(len(targets)):
        table.add_column(str(number + 1), justify="right")
    known = {(one.a, one.b): one.spearman for one in agreements}
    for number, a in enumerate(targets):
        cells = [_cell(known.get((a, b), known.get((b, a)))) for b in targets]
        table.add_row(f"{number + 1} {a}", *cells)
    return table


def flaws_view(flaws: Sequence[Flaw]) -> RenderableType:
    texts = dict.fromkeys(flaw.text for flaw in flaws)
    return Text("\n".join(f"flaw: {text}" for text in texts), style="yellow")


def _cell(spearman: float | None) -> Text:
    if spearman is None:
        return Text("")
    if np.isnan(spearman):
        return Text("?", style="dim")
    return Text(f"{spearman:.2f}", style="green" if spearman >= MONOTONE else "red" if spearman < 0.7 else "yellow")
