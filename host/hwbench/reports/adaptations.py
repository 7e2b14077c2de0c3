"""Terminal views of predictors: what was measured, predicted against measured, and how good it is."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.reports.units import duration, latency, measured, percent, signed_percent
from hwbench.tables.source import Prediction
from hwbench.transfer.few_shot.stopping import ENOUGH
from hwbench.transfer.predictor_file import AdaptedProxy, Agreed, HeldOut, Predictor

_SHOWN = 20
_KINDS = {"sums": "sums of blocks", "networks": "whole networks"}


def predictor_view(found: Predictor) -> RenderableType:
    """The pool, the networks held out, and what they say."""
    title = f"{found.method} predictor of {found.target}, {found.space}"
    lines = [
        *_pool_lines(found),
        _measured_line(found),
        *([] if found.agreement is None else [_agreement_line(found.agreement)]),
        *_held_out_lines(found.held_out),
        *(_repeat_line(one.first_us, one.again_us) for one in found.repeated),
    ]
    if found.ceiling is not None:
        lines.append(f"Spearman of the target with its own second run, over the space: {found.ceiling:.3f}")
    if found.prospect is not None:
        lines.append(_prospect_line(found))
    if isinstance(found.model, AdaptedProxy):
        made = "bent to the measurements" if found.model.accepted else "scaled only: bending it had no sure gain"
        lines.append(f"proxy {found.model.proxy}, {made}")
    parts: list[RenderableType] = [Text(title), *([_networks_table(found.held_out)] if found.held_out else [])]
    notes = [Text(f"note: {note}", style="yellow") for note in found.notes]
    return Group(*parts, Text("\n".join(lines)), *notes)


def whole_view(prediction: Prediction, predictor: Predictor) -> RenderableType:
    """One architecture as a predictor sees it."""
    table = Table(box=None)
    for column in ("position", "choice", "adds"):
        table.add_column(column, justify="right" if column == "adds" else "left")
    for term in prediction.terms:
        table.add_row(term.name, term.key, latency(term.value_us))
    text = (
        f"{latency(prediction.value_us)}, 95 % interval {latency(prediction.lower_us)} .. "
        f"{latency(prediction.upper_us)}, by {len(predictor.measured)} networks measured on {predictor.target} "
        f"({predictor.method})"
    )
    return Group(*([table] if prediction.terms else []), Text(text))


def _pool_lines(found: Predictor) -> list[str]:
    return [
        f"pool: {', '.join(one.name for one in found.pool if one.kind == kind)} ({text})"
        for kind, text in _KINDS.items()
        if any(one.kind == kind for one in found.pool)
    ]


def _measured_line(found: Predictor) -> str:
    counted = found.counted
    parts = [
        f"{number} {what}"
        for number, what in (
            (counted.references, "references"),
            (counted.picked, "picked"),
            (counted.held_out, "held out"),
            (counted.repeated, "repeated"),
        )
        if number
    ]
    verb = "whole networks were measured on the target" if found.origin else "latencies of the target were looked at"
    took = "" if found.seconds is None else f"; {duration(found.seconds)}"
    return f"{counted.total} {verb}: {', '.join(parts)}{took}"


def _agreement_line(found: Agreed) -> str:
    held_out = found.n - found.left_out
    parts = [f"{found.left_out} predicted from the others"] if found.left_out else []
    parts += [f"{held_out} held out"] if held_out else []
    few = ", which are few: see the interval" if found.n < _SHOWN else ""
    return (
        f"Spearman {found.spearman:.3f}, 95 % interval {found.lower:.3f} .. {found.upper:.3f}, over {found.n} networks "
        f"({', '.join(parts)}){few}"
    )


def _held_out_lines(found: tuple[HeldOut, ...]) -> list[str]:
    if not found:
        return []
    inside = sum(one.lower_us <= one.network.latency_us <= one.upper_us for one in found)
    errors = sorted(abs(one.predicted_us / one.network.latency_us - 1) for one in found)
    return [
        f"held out: median error {percent(errors[len(errors) // 2])}, {inside} of {len(found)} in their 95 % interval"
    ]


def _repeat_line(first_us: float, again_us: float) -> str:
    return f"measured again: {latency(first_us)} and {latency(again_us)} ({signed_percent(again_us / first_us - 1)})"


def _prospect_line(found: Predictor) -> str:
    one = found.prospect
    assert one is not None
    now = f"expected Spearman with a measurement, over the space: {one.now:.3f}"
    if not one.more:
        return f"{now}; three more would add less than {ENOUGH}, so these are enough"
    return f"{now}; {one.more} more would make it {one.then:.3f} (--samples {found.counted.picked + one.more})"


def _networks_table(found: tuple[HeldOut, ...]) -> RenderableType:
    table = Table(box=None)
    for column in ("held out", "predicted", "95 % interval", "measured", "error", "flags"):
        table.add_column(column, justify="right")
    for number, one in enumerate(found[:_SHOWN]):
        span = f"{latency(one.lower_us)} .. {latency(one.upper_us)}"
        table.add_row(
            str(number), latency(one.predicted_us), span, measured(one.network.latency_us, one.network.flags),
            signed_percent(one.predicted_us / one.network.latency_us - 1), ", ".join(one.network.flags),
        )  # fmt: skip
    return table
