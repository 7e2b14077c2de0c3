"""Terminal views of agreement between targets: heat map, flaws, adaptation rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.reports.imports import reproduction_view
from hwbench.tables.flaws import Flaw
from hwbench.transfer.agreement import MONOTONE, Agreement
from hwbench.workflows.reproducing.oneproxy import OneProxy


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


def heat_map(
    agreements: Sequence[Agreement],
    marks: Mapping[tuple[str, str], str] | None = None,
    ceilings: Mapping[str, float | None] | None = None,
) -> RenderableType:
    """Spearman's correlations of all pairs; monotone ones green, those below 0.7 red.

    `marks` follow the number of a pair, for whoever sees no colour; `ceilings` stand on the diagonal.
    """
    targets = list(dict.fromkeys(name for one in agreements for name in (one.a, one.b)))
    table = Table(box=None, title="Spearman", title_justify="left")
    table.add_column("")
    for number in range(len(targets)):
        table.add_column(str(number + 1), justify="right")
    known = {(one.a, one.b): one for one in agreements}
    for number, a in enumerate(targets):
        cells = []
        for b in targets:
            one = known.get((a, b)) or known.get((b, a))
            if one is not None:
                cells.append(_cell(one.spearman, (marks or {}).get((one.a, one.b), "")))
            else:
                own = (ceilings or {}).get(a)
                cells.append(Text("" if own is None else f"({own:.2f})", style="dim"))
        table.add_row(f"{number + 1} {a}", *cells)
    return table


def flaws_view(flaws: Sequence[Flaw]) -> RenderableType:
    texts = dict.fromkeys(flaw.text for flaw in flaws)
    return Text("\n".join(f"flaw: {text}" for text in texts), style="yellow")


def _cell(spearman: float | None, mark: str) -> Text:
    if spearman is None or np.isnan(spearman):
        return Text(f"? {mark}".strip(), style="dim")
    style = "green" if spearman >= MONOTONE else "red" if spearman < 0.7 else "yellow"
    return Text(f"{spearman:.2f}{mark}", style=style)
