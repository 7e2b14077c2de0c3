"""The terminal view of the pool."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from hwbench.reports.units import percent, signed_percent
from hwbench.tables.lookup import Additivity
from hwbench.tables.pool import PoolTable


def pool_view(tables: Sequence[PoolTable], folder: Path) -> RenderableType:
    """By device and space a line per table: name, engine version, how far sums are from whole networks, date."""
    if not tables:
        return Text(f"{folder} has no such table.")
    width = max(len(one.name) for one in tables)
    lines = []
    for (device, space), own in itertools.groupby(tables, lambda one: (_device(one), one.space)):
        lines.append(f"{space} on {device}")
        lines += [
            f"  {one.name:{width}}  {one.target.engine.version:7}  {one.created_at[:10]}  {_error(one.additivity)}"
            for one in own
        ]
    return Text("\n".join(lines))


def _device(table: PoolTable) -> str:
    return f"{table.target.device_id} ({table.cpu_model})"


def _error(found: Additivity | None) -> str:
    if found is None:
        return "never verified"
    return f"error {percent(found.mape)}, bias {signed_percent(found.bias)} on {found.networks} networks"
