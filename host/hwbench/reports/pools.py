"""The terminal view of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.reports.units import percent, signed_percent
from hwbench.tables.lookup import Additivity
from hwbench.tables.pool import PoolTable


def pool_view(tables: Sequence[PoolTable], folder: Path) -> RenderableType:
    """A line per table: name, space, device, target, how far sums are from whole networks, when it was measured."""
    if not tables:
        return Text(f"{folder} has no such table.")
    view = Table(box=None)
    for column in ("name", "space", "device", "target", "networks' error", "measured"):
        view.add_column(column)
    for one in tables:
        own = one.target
        view.add_row(
            one.name, one.space, f"{own.device_id} ({one.cpu_model})",
            f"{own.engine.name} {own.engine.version} {own.delegate} {own.precision}, batch {own.batch}, "
            f"{own.threads} thread(s), {own.regime}",
            _error(one.additivity), one.created_at[:10],
        )  # fmt: skip
    return view


def _error(found: Additivity | None) -> str:
    if found is None:
        return "never verified"
    return f"{percent(found.mape)}, bias {signed_percent(found.bias)} ({found.networks})"
