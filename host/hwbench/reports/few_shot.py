"""Terminal views of few-shot predictors, and of searches with them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.reports.imports import reproduction_view
from hwbench.reports.units import latency
from hwbench.workflows.reproducing.help import HelpResult
from hwbench.workflows.reproducing.help_nas import HelpNas, published_accuracy
from hwbench.workflows.reproducing.limited import CONFIDENCE, AtLimit, Way


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


def help_nas_view(found: HelpNas) -> RenderableType:
    """Limit by limit the published row and each way of choosing, means over seeds; then the claims."""
    asked = found.protocol
    words: dict[Way, str] = {
        "predicted": "predicted",
        "sure": f"{CONFIDENCE:.0%} sure",
        "verified": f"{asked.verify} measured",
    }
    title = f"{asked.samples} {asked.picks} measurements of a target, {asked.seeds} seeds: latency, accuracy, held"
    table = Table(title=title, title_justify="left", box=None)
    for column in ("target", "limit", "perfect", "HELP", *words.values()):
        table.add_column(column, justify="left" if column == "target" else "right")
    for row in found.published:
        here = [one for one in found.found if (one.target, one.limit_us) == (row.target, row.limit_us)]
        table.add_row(
            row.target,
            latency(row.limit_us),
            _figures(here[0].perfect.latency_us, here[0].perfect.accuracy),
            _figures(row.latency_us, row.accuracy) + ("" if row.holds else " over"),
            *(_chosen(here, way) for way in words),
        )
    held, accuracy = sum(row.holds for row in found.published), published_accuracy()
    lines = [f"HELP: {held} of {len(found.published)} limits held, accuracy {accuracy:.2f}"]
    lines += [
        f"{words[one.way]}: {one.held} of {one.limits} limits held, accuracy "
        f"{'none' if one.accuracy is None else f'{one.accuracy:.2f}'}, {one.measured:.1f} measured at a limit"
        for one in found.summaries
    ]
    return Group(table, Text("\n".join(lines)), reproduction_view(found))


def _chosen(here: Sequence[AtLimit], way: Way) -> str:
    """Means over the seeds that found something, and how many hold."""
    choices = [one.by(way) for one in here]
    latencies = [choice.latency_us for choice in choices if choice.latency_us is not None]
    accuracies = [choice.accuracy for choice in choices if choice.accuracy is not None]
    figures = _figures(mean(latencies), mean(accuracies)) if latencies else "none"
    return f"{figures} {sum(choice.holds for choice in choices)}/{len(choices)}"


def _figures(latency_us: float | None, accuracy: float | None) -> str:
    return "none" if latency_us is None or accuracy is None else f"{latency(latency_us)} {accuracy:.1f}"
