"""Terminal views of imported tables, matrices and what they cover."""

from __future__ import annotations

from collections import Counter

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.reports.units import latency, percent, signed_percent
from hwbench.spaces.space import ChainSpace, Position, Space
from hwbench.tables.imported import ImportedRow, ImportedTable, ImportRecord
from hwbench.tables.matrix import LatencyMatrix
from hwbench.tables.opening import Coverage
from hwbench.workflows.fit import FitResult
from hwbench.workflows.reproducing.reproduce import Reproduction

_ROWS_SHOWN = 20
_REFUSED_SHOWN = 10


def imported_view(table: ImportedTable, space: Space | None) -> RenderableType:
    """Latencies by position and choice where a space is known, else the first rows; then where they come from."""
    rows = table.values()
    parts: list[RenderableType] = []
    if space is not None and table.kind != "op":
        fixed = Table(title=f"{space.name} on {table.target}", title_justify="left", box=None)
        fixed.add_column("block")
        fixed.add_column("latency", justify="right")
        for named in space.fixed_blocks:
            if named.name in table.offset_covers:
                continue
            fixed.add_row(named.name, _value(rows.get(named.block.key if table.kind == "block" else named.name), table))
        grid = Table(box=None)
        grid.add_column("position")
        for label in max((position.labels for position in space.grid), key=len):
            grid.add_column(label, justify="right")
        for position in space.grid:
            grid.add_row(position.name, *_choices(position, rows, table, space))
        parts += [fixed, grid]
    else:
        listing = Table(title=table.target, title_justify="left", box=None)
        listing.add_column("row")
        listing.add_column(table.metric, justify="right")
        for row in table.rows[:_ROWS_SHOWN]:
            listing.add_row(row.key, _value(row, table))
        parts += [listing, Text(f"{len(table.rows)} rows", style="dim")]
    if table.offset:
        parts.append(Text(f"offset {latency(table.offset)} for {', '.join(table.offset_covers)}"))
    return Group(*parts, record_view(table.record))


def matrix_view(found: LatencyMatrix) -> RenderableType:
    table = Table(title=f"{len(found.architectures)} architectures of {found.space}", title_justify="left", box=None)
    for column in ("target", "values", "min", "median", "max"):
        table.add_column(column, justify="left" if column == "target" else "right")
    for target in found.targets:
        values = found.column(target)
        known = values[np.isfinite(values)]
        figures = (
            [latency(float(number)) for number in (known.min(), np.median(known), known.max())] if len(known) else []
        )
        table.add_row(target, str(len(known)), *figures)
    return Group(table, *(record_view(record) for record in found.records))


def fit_view(found: FitResult) -> RenderableType:
    """How well fitted blocks, and their features alone, predict networks that had no part in them."""
    table = Table(
        box=None, title=f"{len(found.table.rows)} blocks from {found.networks} networks", title_justify="left"
    )
    for column in ("held out", "networks", "bias", "MAPE", "Spearman"):
        table.add_column(column, justify="left" if column == "held out" else "right")
    for name, error in (("sums of blocks", found.held_out), ("features alone", found.prior)):
        figures = (signed_percent(error.bias), percent(error.mape), f"{error.spearman:.3f}")
        table.add_row(name, str(error.networks), *figures)
    return table


def record_view(record: ImportRecord) -> RenderableType:
    """Format, unit, licence, source, refused rows by reason, notes."""
    lines = [
        f"from       {record.file} ({record.format}, unit {record.unit}, {record.metric})",
        f"source     {record.source or 'not stated'}; licence {record.licence or 'not stated'}",
        f"rows       {record.rows_read} read, {record.refused_count} refused",
    ]
    reasons = Counter(refused.reason.split(":")[0] for refused in record.refused)
    lines += [f"refused    {count} x {reason}" for reason, count in reasons.most_common()]
    lines += [f"           {refused.row}: {refused.reason}" for refused in record.refused[:_REFUSED_SHOWN]]
    lines += [f"note       {note}" for note in record.notes]
    return Text("\n".join(lines))


def coverage_view(of: str, coverage: Coverage) -> RenderableType:
    lines = [f"{of}: {coverage.covered} of {coverage.needed} keys"]
    lines += [f"  missing {key}" for key in coverage.missing]
    return Text("\n".join(lines))


def reproduction_view(found: Reproduction) -> RenderableType:
    table = Table(box=None)
    for column in ("figure", "published", "computed", "unit", ""):
        table.add_column(column, justify="right" if column in ("published", "computed") else "left")
    for check in found.checks:
        verdict = Text("agrees") if check.agrees else Text("differs", style="red")
        margin = f" ± {check.tolerance:g}" if check.tolerance else ""
        table.add_row(check.name, f"{check.expected:g}{margin}", f"{check.computed:.4g}", check.unit, verdict)
    return table


def _choices(position: Position, rows: dict[str, ImportedRow], table: ImportedTable, space: Space) -> list[Text]:
    if table.kind == "choice" and isinstance(space, ChainSpace):
        return [_value(rows.get(f"{position.name}/{label}"), table) for label in position.labels]
    return [
        Text("0", style="dim") if block is None else _value(rows.get(block.key), table) for block in position.blocks
    ]


def _value(row: ImportedRow | None, table: ImportedTable) -> Text:
    if row is None:
        return Text("missing", style="red")
    if table.metric != "latency_us":
        return Text(f"{row.value:.6g}")
    return Text(latency(row.value) if row.value >= 0 else f"-{latency(-row.value)}")
