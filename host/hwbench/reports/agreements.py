"""Terminal views of agreement between targets: heat map, flaws, adaptation rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.reports.imports import reproduction_view
from hwbench.reports.units import latency
from hwbench.tables.flaws import Flaw
from hwbench.transfer.agreement import MONOTONE, Agreement
from hwbench.workflows.compare import Comparison, Pair
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


def comparison_view(found: Comparison) -> RenderableType:
    """Heat map, a line per pair with interval and verdict, what breaks the order, clusters, ceilings."""
    table = Table(box=None, title=f"{found.architectures} architectures of {found.space}", title_justify="left")
    for column in ("pair", "Spearman", "95 % interval", "Kendall", "fastest tenth", "monotone"):
        table.add_column(column, justify="left" if column in ("pair", "monotone") else "right")
    for pair in found.pairs:
        one = pair.agreement
        table.add_row(
            f"{one.a} / {one.b}", f"{one.spearman:.3f}", f"{one.lower:.3f} .. {one.upper:.3f}", f"{pair.kendall:.3f}",
            f"{pair.top_overlap:.0%}", verdict(pair),
        )  # fmt: skip
    lines = [f"cluster: {', '.join(own)}" for own in found.clusters if len(own) > 1]
    lines += [f"noise ceiling of {name}: {value:.3f}" for name, value in found.ceilings.items() if value is not None]
    for pair in found.pairs:
        if pair.verdict.answer != "yes" and pair.breakers:
            lines.append(f"between {pair.agreement.a} and {pair.agreement.b} the order is broken by")
            lines += [f"  {one.key}: {latency(one.a_us)} and {latency(one.b_us)}" for one in pair.breakers]
    parts = [heat_map([pair.agreement for pair in found.pairs]), table, Text("\n".join(lines)), flaws_view(found.flaws)]
    return Group(*parts)


def verdict(pair: Pair) -> str:
    """The answer in words, with how many more architectures settle it."""
    found = pair.verdict
    if found.answer != "too few":
        return found.answer
    return "cannot be told" if found.more is None else f"too few to tell: about {found.more} more"


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
