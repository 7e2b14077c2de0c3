"""The terminal view of a difference between two runs."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.reports.units import latency, percent, signed_percent
from hwbench.tables.diff import Difference


def difference_view(found: Difference) -> RenderableType:
    """Rows that differ, then what all rows share, then how small a change would have been seen."""
    parts: list[RenderableType] = []
    if found.named:
        table = Table(box=None)
        for column in ("block", "before", "after", "change", "95 % interval"):
            table.add_column(column, justify="left" if column == "block" else "right", overflow="fold")
        for row in found.named:
            span = f"{signed_percent(row.lower)} .. {signed_percent(row.upper)}"
            table.add_row(row.key, latency(row.a_us), latency(row.b_us), signed_percent(row.change), span)
        parts.append(table)
    shift = f"{signed_percent(found.shift)} [{signed_percent(found.shift_lower)}, {signed_percent(found.shift_upper)}]"
    if found.rows:
        lines = [
            f"all rows   {shift}; " + ("the whole run differs" if found.shifted else "runs differ by as much"),
            f"rows       {len(found.named)} of {len(found.rows)} differ from that by more than {percent(found.effect)}",
            *_swing(found),
            f"resolution a change of {percent(found.resolution)} would be found in half of the rows, 4 times of 5",
        ]
    else:
        lines = ["No two launches of each table have enough rows in common: measure more launches."]
    lines += [f"failed     in one of them: {key}" for key in found.failed]
    for name, keys in (("untested", found.untested), ("only before", found.only_a), ("only after", found.only_b)):
        if keys:
            lines.append(f"{name}: {len(keys)} rows, {keys[0]} first")
    answers = {"same": "no difference", "differs": "they differ", "too few": "cannot be told: measure more launches"}
    return Group(*parts, Text("\n".join([*lines, answers[found.answer]])))


def _swing(found: Difference) -> list[str]:
    """What rows that vary together share, if there are such rows."""
    if not found.swinging:
        return []
    return [
        f"swing      up to {signed_percent(found.swing)} in {len(found.swinging)} rows that vary together, taken out"
    ]
