"""Terminal tables."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.records import DeviceRecord
from hwbench.reports.units import latency, measured, percent, signed_percent, size
from hwbench.spaces.space import Space
from hwbench.tables.lookup import Calibration, LookupTable, Row
from hwbench.tables.source import Prediction
from hwbench.workflows.profile_models import ModelProfile, ModelsResult
from hwbench.workflows.verify import Verification

_OPS_SHOWN = 12


def table_view(table: LookupTable, space: Space) -> RenderableType:
    """Fixed blocks, then a row per searched position and a column per choice."""
    rows = {row.key: row for row in table.rows}
    fixed = Table(title=f"{table.space} on {table.device.cpu_model}", title_justify="left", box=None)
    for column in ("block", "latency", "±"):
        fixed.add_column(column, justify="left" if column == "block" else "right")
    for named in space.fixed_blocks:
        row = rows.get(named.block.key)
        fixed.add_row(named.name, _value(row), _spread(row))
    labels = max((position.labels for position in space.grid), key=len)
    grid = Table(box=None)
    grid.add_column("position")
    for label in labels:
        grid.add_column(label, justify="right")
    seen: set[tuple[str, ...]] = set()
    for position in space.grid:
        keys = tuple("" if block is None else block.key for block in position.blocks)
        if keys in seen:
            continue
        seen.add(keys)
        grid.add_row(position.name, *(_value(rows.get(key)) if key else Text("0", style="dim") for key in keys))
    return Group(fixed, grid, Text("Positions with the same blocks are shown once.", style="dim"), table_summary(table))


def table_summary(table: LookupTable) -> RenderableType:
    """What the table belongs to and how good it is, line by line."""
    target = table.target
    found_rows = list(table.measurements().values())
    widths = sorted(measurement.half_width for measurement in found_rows)
    flagged: dict[str, int] = {}
    for row in table.rows:
        for flag in row.flags:
            flagged[flag] = flagged.get(flag, 0) + 1
    lines = [
        f"target     {target.engine.name} {target.engine.version} {target.delegate} {target.precision}, "
        f"{target.threads} thread(s) on cores {target.cores}, {target.regime}, {target.cache} weights, {target.runner}",
        f"rows       {len(found_rows)} measured of {len(table.rows)}; flags: "
        + (", ".join(f"{name} {count}" for name, count in sorted(flagged.items())) or "none"),
        f"launches   {len(table.launches)}; anchors {signed_percent(table.slowdown)} above the best known of them",
    ]
    if widths:
        lines.append(
            f"interval   95 %, half-width median {percent(widths[len(widths) // 2])}, largest {percent(widths[-1])}"
        )
    if table.additivity is not None:
        found = table.additivity
        lines.append(
            f"additivity {found.networks} networks: bias {signed_percent(found.bias)}, MAPE {percent(found.mape)}, "
            f"Spearman {found.spearman:.3f} [{found.spearman_ci[0]:.3f}, {found.spearman_ci[1]:.3f}]"
        )
    else:
        lines.append("additivity never checked: run `hwbench table verify`")
    if table.calibration is not None and table.calibration.rows:
        lines.append(f"calibrated by {table.calibration.networks} networks; shown are the measured rows")
    return Text("\n".join(lines))


def _value(row: Row | None) -> Text:
    if row is None:
        return Text("missing", style="red")
    if row.measurement is None:
        return Text("failed", style="red")
    return Text(measured(row.measurement.value_us, row.flags), style="yellow" if row.flags else "")


def _spread(row: Row | None) -> str:
    return "" if row is None or row.measurement is None else percent(row.measurement.half_width)


def prediction_view(prediction: Prediction) -> RenderableType:
    table = Table(box=None)
    for column in ("block", "latency", "95 % interval", "flags"):
        table.add_column(column, justify="left" if column in ("block", "flags") else "right")
    for term in prediction.terms:
        span = f"{latency(term.lower_us)} .. {latency(term.upper_us)}"
        table.add_row(f"{term.name}  {term.key}", measured(term.value_us, term.flags), span, ", ".join(term.flags))
    flags = {flag for term in prediction.terms for flag in term.flags}
    additivity = (
        "unknown (run `hwbench table verify`)"
        if prediction.additivity_us is None
        else f"± {latency(prediction.additivity_us)}"
    )
    return Group(
        table,
        Text(
            f"sum {measured(prediction.value_us, flags)}, 95 % interval {latency(prediction.lower_us)} .. "
            f"{latency(prediction.upper_us)}\n"
            f"  of measurement ± {latency(prediction.measurement_us)}, of additivity {additivity}"
        ),
    )


def verification_view(result: Verification) -> RenderableType:
    table = Table(box=None)
    for column in ("network", "predicted", "measured", "error", "flags"):
        table.add_column(column, justify="right")
    for number, network in enumerate(result.networks):
        error = network.predicted_us / network.measured_us - 1
        table.add_row(
            str(number), latency(network.predicted_us), measured(network.measured_us, network.flags),
            signed_percent(error), ", ".join(network.flags),
        )  # fmt: skip
    found = result.additivity
    return Group(
        table,
        Text(
            f"bias {signed_percent(found.bias)}, MAPE {percent(found.mape)}, Spearman {found.spearman:.3f} "
            f"[{found.spearman_ci[0]:.3f}, {found.spearman_ci[1]:.3f}] over {found.networks} networks"
        ),
    )


def calibration_view(found: Calibration) -> RenderableType:
    """The parts of the correction, and the error of sums before and after."""
    table = Table(box=None)
    for column in ("held-out networks" if found.held_out else "networks left out", "bias", "MAPE", "Spearman"):
        table.add_column(column, justify="right" if column in ("bias", "MAPE", "Spearman") else "left")
    for name, error in (("measured rows", found.before), ("corrected rows", found.after)):
        table.add_row(name, signed_percent(error.bias), percent(error.mape), f"{error.spearman:.3f}")
    parts = ", ".join(f"{name} {signed_percent(part)}" for name, part in found.stages.items())
    lines = [f"{found.networks} networks: {found.reason}"]
    if found.rows:
        lines.append(f"all rows {signed_percent(found.common)}; with it {parts}")
    return Group(table, Text("\n".join(lines)))


def models_view(result: ModelsResult) -> RenderableType:
    return Group(*(_model_view(model) for model in result.models))


def _model_view(model: ModelProfile) -> RenderableType:
    found = model.latency
    verdict = ", ".join(found.flags) or "ok"
    delegated = "unknown" if model.delegated_share is None else percent(model.delegated_share, 0)
    memory = "unknown" if model.peak_memory_bytes is None else size(model.peak_memory_bytes)
    head = Text(
        f"{model.model}  {measured(found.value_us, found.flags)}  95 % [{latency(found.lower_us)}, "
        f"{latency(found.upper_us)}]  {verdict}\n"
        f"  load {latency(model.load_us)}, first {latency(model.first_us)}, steady p10 {latency(model.p10_us)}, "
        f"p50 {latency(model.p50_us)}, p90 {latency(model.p90_us)}, p99 {latency(model.p99_us)} "
        f"({model.invokes} invokes)\n"
        f"  peak memory {memory}, {delegated} of op time in delegated kernels"
    )
    parts: list[RenderableType] = [head]
    if model.ops:
        table = Table(box=None, title="per op, from a profiling pass", title_justify="left")
        for column in ("op", "time", "share"):
            table.add_column(column, justify="left" if column == "op" else "right")
        largest = sorted(model.ops, key=lambda op: -op.microseconds)[:_OPS_SHOWN]
        for op in largest:
            table.add_row(op.name, latency(op.microseconds), percent(op.share))
        parts.append(table)
        if len(model.ops) > _OPS_SHOWN:
            parts.append(Text(f"  and {len(model.ops) - _OPS_SHOWN} smaller ones", style="dim"))
    parts += [Text(f"  note: {note}", style="yellow") for note in model.notes]
    return Group(*parts)


def device_view(record: DeviceRecord, engine: str) -> RenderableType:
    table = Table(box=None, show_header=False)
    caches = ", ".join(f"L{cache.level} {cache.kind} {size(cache.size_bytes)}" for cache in record.caches)
    for name, value in (
        ("local", record.cpu_model),
        ("id", record.id),
        ("cores", f"{record.cores} ({record.architecture}), usable {', '.join(map(str, record.allowed_cores))}"),
        ("caches", caches or "unknown"),
        ("memory", size(record.memory_bytes)),
        ("virtualised", record.virtualised or "no"),
        ("governor", record.governor or "not readable"),
        ("load", f"{record.load_average:.2f}"),
        ("system", f"{record.system}, Linux {record.kernel}"),
        ("engine", engine),
    ):
        table.add_row(name, value)
    return table
