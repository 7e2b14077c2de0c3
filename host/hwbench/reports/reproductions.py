"""Reproductions of what supernets claim, for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.reports.imports import reproduction_view
from hwbench.reports.units import latency, measured, percent, size
from hwbench.workflows.reproducing.memory import Memory
from hwbench.workflows.reproducing.search import SearchReproduction
from hwbench.workflows.reproducing.specialization import Seen, Specialised, Specialization


def memory_view(found: Memory) -> RenderableType:
    """Saved bytes by kind of step and number of choices, then the claims."""
    title = f"{found.space}, batch {found.batch}: saved for the backward pass"
    table = Table(box=None, title=title, title_justify="left")
    table.add_column("step")
    for one in found.held:
        table.add_column(f"{one.choices} choice{'s' if one.choices > 1 else ''}", justify="right")
    for name in found.held[0].saved_bytes:
        table.add_row(name.replace("_", " "), *(size(one.saved_bytes[name]) for one in found.held))
    table.add_row("parameters", *(f"{one.parameters:,}" for one in found.held))
    return Group(table, reproduction_view(found))


def study_view(found: SearchReproduction) -> RenderableType:
    """Each case's network beside its rivals, then the claims."""
    table = Table(box=None)
    for column in ("table", "seed", "limit", "found", "test", "random, chosen", "random, mean", "rivals", "search"):
        table.add_column(column, justify="left" if column == "table" else "right")
    for case in found.cases:
        mean = sum(rival.test for rival in case.rivals) / len(case.rivals)
        table.add_row(
            case.table, str(case.seed), latency(case.limit_us), latency(case.found.latency_us),
            percent(case.found.test, 2), percent(case.chosen.test, 2), percent(mean, 2), str(len(case.rivals)),
            f"{case.searched.cpu_seconds:.0f} s",
        )  # fmt: skip
    return Group(table, reproduction_view(found))


def specialization_view(found: Specialization) -> RenderableType:
    """Networks x targets with accuracy, what they are made of, the published rows, and whether each is best at home."""
    table = Table(box=None, title=f"{found.space}: searched for (rows), seen on (columns)", title_justify="left")
    table.add_column("searched for")
    table.add_column("test accuracy", justify="right")
    for one in found.networks:
        table.add_column(one.target, justify="right")
    for one in found.networks:
        table.add_row(one.target, percent(one.test_accuracy, 2), *(_seen_text(seen) for seen in one.seen))
    published = Table(box=None, title="published, ImageNet", title_justify="left")
    for column in ("searched for", "top-1", "GPU", "CPU", "mobile"):
        published.add_column(column, justify="left" if column == "searched for" else "right")
    for row in found.published:
        published.add_row(row.specialised_for, f"{row.top1} %", *(f"{value:g} ms" for value in row.latency_ms))
    made_of = Text("\n".join(_made_of(one) for one in found.networks))
    return Group(table, made_of, published, reproduction_view(found))


def _seen_text(seen: Seen) -> str:
    span = f"{latency(seen.lower_us)} .. {latency(seen.upper_us)}"
    return f"{measured(seen.latency_us, seen.flags)} [{span}]" + ("" if seen.measured else " predicted")


def _made_of(one: Specialised) -> str:
    kernels = ", ".join(f"{kernel} x {kernel} {percent(share, 0)}" for kernel, share in one.kernels.items())
    expansions = ", ".join(f"{expansion} {percent(share, 0)}" for expansion, share in one.expansions.items())
    depth = " ".join(str(blocks) for blocks in one.depth.values())
    return f"{one.target}: limit {latency(one.limit_us)}; kernels {kernels}; expansions {expansions}; depth {depth}"
