"""Terminal view of few-shot predictors."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.workflows.reproducing.help import HelpResult


def help_view(found: HelpResult) -> RenderableType:
    """Spearman per target beside HELP's, then what is said of all of them."""
    title = f"{found.method}, {found.space}, {found.picks} picks, {found.measurements} measurements, {found.test} test"
    table = Table(title=title, title_justify="left", box=None)
    for column in ("target", "Spearman", "HELP, 10 + 10", "90 % intervals hold"):
        table.add_column(column, justify="left" if column == "target" else "right")
    rows = {**found.spearman.per_target, "mean": found.spearman.mean}
    coverage = {**found.coverage_per_target, "mean": found.interval_coverage_90}
    for target, value in rows.items():
        published, held = found.published.get(target), coverage.get(target)
        table.add_row(
            target,
            f"{value:.3f}",
            "" if published is None else f"{published:.3f}",
            "" if held is None else f"{held:.0%}",
        )
    lines = [
        f"{found.seeds} seeds, deviation of the mean {found.spearman.sd:.3f}, median error {found.median_ape:.1%}",
        f"meta stage {found.seconds.meta:.2f} s, adaptation {found.seconds.adapt * 1e3:.0f} ms a target",
    ]
    return Group(table, Text("\n".join(lines)))
