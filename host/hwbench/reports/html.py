"""A report as one HTML file: no scripts, no links, figures as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from hwbench import files, spaces
from hwbench.errors import DataError
from hwbench.files import write_atomically
from hwbench.reports.comparison_html import comparison_section
from hwbench.reports.supernet_html import search_section
from hwbench.reports.svg import Cell, bars, heat_map, scatter
from hwbench.reports.units import duration, latency, percent, signed_percent, size
from hwbench.search.supernet import outcome
from hwbench.tables import lookup
from hwbench.tables.lookup import LookupTable, Row
from hwbench.workflows.comparing import comparison
from hwbench.workflows.searching.supernet import SupernetFolder
from hwbench.workflows.verify import Verification, load_verification, verification_path

_STYLE = (
    "body{font:14px/1.5 sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #eee}"
    "svg{max-width:100%;height:auto}.flag{color:#b22}"
)
_WIDEST_SHOWN = 25


def write_report(paths: Sequence[Path], output: Path) -> None:
    """One report over tables, comparisons, and searches of supernets.

    A table comes with its verification when that lies beside it; a search is its folder, or the outcome in it. Raises
    DataError naming what cannot be shown.
    """
    sections = [_section(path) for path in paths]
    if not sections:
        raise DataError("A report needs at least one table, comparison or search.")
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>hwbench report</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(sections)}</body></html>\n"
    )
    write_atomically(output, page.encode())


def _section(path: Path) -> str:
    if path.is_dir():
        return search_section(SupernetFolder(path).outcome)
    if files.kind_of(path) == outcome.KIND:
        return search_section(path)
    if files.kind_of(path) == comparison.KIND:
        return comparison_section(comparison.load(path))
    beside = verification_path(path)
    return table_section(lookup.load(path), load_verification(beside) if beside.exists() else None)


def table_section(table: LookupTable, verification: Verification | None) -> str:
    """Target and device, heat map, intervals and flags, launches, predicted against measured."""
    return "".join(
        [
            f"<h1>{escape(table.space)}</h1>",
            _facts(table),
            "<h2>Latency of each choice</h2>",
            _heat_map(table),
            "<p>Colour is on a logarithmic scale; a red frame marks a flagged row. Hover for the interval.</p>",
            "<h2>Widest intervals, half-width</h2>",
            _intervals(table),
            "<h2>Launches</h2>",
            _launches(table),
            "<h2>Sum of blocks against whole networks</h2>",
            _verification(table, verification),
        ]
    )


def _facts(table: LookupTable) -> str:
    device, target = table.device, table.target
    caches = ", ".join(f"L{c.level} {c.kind} {size(c.size_bytes)}" for c in device.caches)
    flags: dict[str, int] = {}
    for row in table.rows:
        for flag in row.flags:
            flags[flag] = flags.get(flag, 0) + 1
    rows = [
        ("device", f"{device.cpu_model}, {device.cores} cores, {device.architecture}, {size(device.memory_bytes)}"),
        ("caches", caches),
        ("virtualised", device.virtualised or "no"),
        ("clock", f"governor {device.governor or 'not readable'}"),
        ("system", f"{device.system}, Linux {device.kernel}, load {device.load_average:.2f} at the start"),
        ("engine", f"{target.engine.package} {target.engine.version} ({(target.engine.sha256 or 'unknown')[:12]}), "
                   f"{target.delegate}"),
        ("target", f"{target.precision}, batch {target.batch}, {target.threads} thread(s) on cores {target.cores}, "
                   f"{target.regime}, {target.cache} weights (flush {size(table.flush_bytes)}), {target.runner}"),
        ("measured", f"{table.created_at}, preset {table.preset}, {duration(table.seconds)}, "
                     f"{percent(table.inference_share, 0)} of it inference"),
        ("rows", f"{len(table.measurements())} of {len(table.rows)} measured; flags: "
                 + (", ".join(f"{name} {count}" for name, count in sorted(flags.items())) or "none")),
    ]  # fmt: skip
    return "<table>" + "".join(f"<tr><th>{k}</th><td>{escape(v)}</td></tr>" for k, v in rows) + "</table>"


def _heat_map(table: LookupTable) -> str:
    space = spaces.get(table.space)
    rows = {row.key: row for row in table.rows}
    labels = max((position.labels for position in space.grid), key=len)
    fixed = [_cell(rows.get(named.block.key)) for named in space.fixed_blocks]
    empty = Cell(None, "")
    cells = [
        [
            *(
                Cell(None, "0", "identity") if block is None else _cell(rows.get(block.key))
                for block in position.blocks
            ),
            *[empty] * (len(labels) - len(position.blocks)),
        ]
        for position in space.grid
    ]
    return heat_map(["fixed"], [named.name for named in space.fixed_blocks], [fixed]) + heat_map(
        [position.name for position in space.grid], labels, cells
    )


def _cell(row: Row | None) -> Cell:
    if row is None or row.measurement is None:
        return Cell(None, "missing", row.failure or "" if row else "", mark=True)
    found = row.measurement
    title = f"{row.key}\n{latency(found.lower_us)} .. {latency(found.upper_us)} {' '.join(found.flags)}"
    return Cell(found.value_us, latency(found.value_us), title, mark=bool(found.flags))


def _intervals(table: LookupTable) -> str:
    measured = sorted(table.measurements().items(), key=lambda item: -item[1].half_width)[:_WIDEST_SHOWN]
    entries = [
        (key.split("-pad:")[0], 100 * found.half_width, f"{key} {' '.join(found.flags)}") for key, found in measured
    ]
    return bars(entries, "%")


def _launches(table: LookupTable) -> str:
    lines = "".join(
        f"<tr><td>{launch.launch}</td><td>{', '.join(map(str, launch.cores or ()))}</td>"
        f"<td>{signed_percent(launch.slowdown)}</td>"
        f"<td>{'complete' if launch.complete else 'broke off'}</td></tr>"
        for launch in table.launches
    )
    return f"<table><tr><th>launch</th><th>cores</th><th>anchors above their best</th><th></th></tr>{lines}</table>"


def _verification(table: LookupTable, verification: Verification | None) -> str:
    if verification is None or table.additivity is None:
        return "<p>Not checked yet: run <code>hwbench table verify</code>.</p>"
    found = verification.additivity
    points = [
        (
            n.measured_us,
            n.predicted_us,
            f"network {i}: {latency(n.measured_us)} measured, {latency(n.predicted_us)} predicted",
        )
        for i, n in enumerate(verification.networks)
    ]
    return (
        f"<p>{found.networks} random networks: bias {signed_percent(found.bias)}, MAPE {percent(found.mape)}, "
        f"Spearman {found.spearman:.3f} (95 % {found.spearman_ci[0]:.3f} to {found.spearman_ci[1]:.3f}).</p>"
        + scatter(points, "measured", "sum of blocks")
    )
