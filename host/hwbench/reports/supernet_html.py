"""A supernet's search as a section of an HTML report: the network it found, and how its probabilities came about."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import msgspec

from hwbench import spaces
from hwbench.reports.svg_series import Line, line_chart, share_charts
from hwbench.reports.units import duration, latency, percent
from hwbench.search.supernet import outcome as outcomes
from hwbench.search.supernet.outcome import Outcome
from hwbench.workflows.searching.search import Kept
from hwbench.workflows.searching.supernet import Derived, SupernetFolder, load_derived


def search_section(path: Path) -> str:
    """The section of an outcome's file, with what was derived when that lies beside it.

    Raises DataError or CorruptFile naming the file that cannot be shown.
    """
    found = outcomes.load(path)
    beside = SupernetFolder(path.parent).derived
    derived = load_derived(beside) if beside.exists() else None
    return outcome_section(found, derived if derived is not None and derived.space == found.space else None)


def outcome_section(found: Outcome, derived: Derived | None) -> str:
    """The network, latency and accuracy by epoch, the probabilities of each position by epoch."""
    space = spaces.get(found.space)
    found.scores(space)  # Names what does not fit the space.
    latencies = Line("E[latency]", tuple(epoch.expected_latency_us for epoch in found.progress))
    accuracies = [
        Line("training paths", tuple(epoch.accuracy for epoch in found.progress)),
        Line("likeliest network", tuple(epoch.validation_accuracy for epoch in found.progress)),
    ]
    entropies = Line("entropy", tuple(epoch.entropy for epoch in found.progress))
    limit = next((kept for kept in derived.candidate.kept if kept.mean_us is not None), None) if derived else None
    mark = None if limit is None else ("limit", limit.most)
    charts = (
        [
            "<h2>Expected latency</h2>",
            line_chart([latencies], latency, mark),
            "<h2>Accuracy</h2>",
            line_chart(accuracies, percent),
            "<h2>Mean entropy of a position</h2>",
            line_chart([entropies], "{:.3f}".format),
        ]
        if found.progress
        else ["<p>No epoch was searched.</p>"]
    )
    if found.history:
        charts += [
            "<h2>Probabilities of the choices, epoch by epoch</h2>",
            share_charts([one.name for one in space.choices], [one.labels for one in space.choices], found.history),
        ]
    return "".join(
        [
            f"<h1>{escape(found.space)}</h1>",
            _facts(found),
            *charts,
            "<h2>The network</h2>",
            "<p>None was derived.</p>" if derived is None else _network(derived, [one.name for one in space.choices]),
        ]
    )


def _facts(found: Outcome) -> str:
    settings = found.settings
    seconds = sum(epoch.seconds for epoch in found.progress)
    rows = [
        ("search", f"{settings.warm_up.epochs} epochs of warm-up, {settings.weights.epochs} of search, seed "
                   f"{settings.seed}, {duration(seconds)}"),
        ("settings", msgspec.json.encode(settings).decode()),
    ]  # fmt: skip
    return _table(rows)


def _network(derived: Derived, positions: Sequence[str]) -> str:
    rows = [(kept.name, _kept(kept)) for kept in derived.candidate.kept]
    rows += [
        ("held-out images, shared weights", percent(derived.shared_accuracy)),
        ("test images", f"{percent(derived.test_accuracy, 2)} ({derived.train})"),
    ]
    choices = list(zip(positions, derived.candidate.labels, strict=False))
    losses = [line_chart([Line("training loss", derived.losses)], "{:.3f}".format)] if derived.losses else []
    return "".join([_table(rows), _table(choices), *losses])


def _kept(kept: Kept) -> str:
    if kept.mean_us is None or kept.lower_us is None or kept.upper_us is None:
        return f"{kept.value:,.0f} of {kept.most:,.0f}"
    span = f"95 % interval {latency(kept.lower_us)} .. {latency(kept.upper_us)}"
    return f"{latency(kept.mean_us)}, {span}; limit {latency(kept.most)}"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{lines}</table>"
