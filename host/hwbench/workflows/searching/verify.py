"""Candidates of a search, measured on the device of their table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench import spaces
from hwbench.devices import Device
from hwbench.errors import UsageError
from hwbench.files import sha256
from hwbench.measure.campaign import Campaign, Progress
from hwbench.records import Measurement
from hwbench.search.quantities import ROUNDING, Latency, Limit
from hwbench.spaces.space import Architectures
from hwbench.tables.lookup import LookupTable
from hwbench.workflows.networks import bench_of, measure
from hwbench.workflows.searching.inputs import Inputs
from hwbench.workflows.searching.search import Candidate


class Measured(msgspec.Struct, frozen=True):
    """A candidate on the device. `value_us` is held against the limit: its latency, or what that surely stays under."""

    candidate: int
    latency_us: float
    lower_us: float
    upper_us: float
    flags: tuple[str, ...]
    value_us: float
    holds: bool


class OnDevice(msgspec.Struct, frozen=True):
    """Where and how to measure; None: this computer, and the preset of the table. `seed` orders the visits."""

    device: Device | None = None
    preset: str | None = None
    seed: int = 0
    resume: bool = False
    on_progress: Callable[[Progress], None] = lambda _: None


HERE = OnDevice()


def verify_candidates(inputs: Inputs, candidates: Sequence[Candidate], asked: OnDevice) -> tuple[Measured, ...]:
    """The candidates on the device of the one table, in their order; those that gave no latency are left out.

    Raises UsageError for several tables or one that was not measured, Incomparable when the device is another target.
    """
    if len(inputs.tables) != 1 or not isinstance(table := inputs.tables[0].content, LookupTable):
        raise UsageError("Candidates are verified on the device of the one table that `hwbench profile` wrote.")
    (limit,) = (one for one in inputs.limits if isinstance(one.quantity, Latency))
    architectures = np.array([candidate.architecture for candidate in candidates], np.uint8)
    found = measured_networks(table, inputs.tables[0].path, architectures, asked)
    return tuple(_measured(number, limit, measurement) for number, measurement in found.items())


def measured_networks(
    table: LookupTable, path: Path, architectures: Architectures, asked: OnDevice
) -> dict[int, Measurement]:
    """What was measured of architectures (n, positions) on the table's device, by their places.

    Raises Incomparable when the device is another target.
    """

    def finish(campaign: Campaign, _: object) -> dict[int, Measurement]:
        found = campaign.estimates.measurements
        names = {number: f"network-{number}" for number in range(len(architectures))}
        return {number: found[name] for number, name in names.items() if name in found}

    where = bench_of(table, path, asked.device, asked.preset, asked.seed)
    decisive = {"table": table.created_at, "architectures": sha256(architectures.tobytes())}
    folder = path.with_name(f"{path.name}.search.session")
    return measure(
        where,
        spaces.get(table.space),
        architectures,
        folder,
        decisive,
        finish,
        resume=asked.resume,
        on_progress=asked.on_progress,
    )


def first_that_holds(measured: Sequence[Measured]) -> int | None:
    """The place of that candidate, or None."""
    return next((one.candidate for one in measured if one.holds), None)


def _measured(number: int, limit: Limit, found: Measurement) -> Measured:
    widening = limit.quantity.widening if isinstance(limit.quantity, Latency) else 0.0
    value = found.value_us + widening * (found.upper_us - found.value_us)
    holds = value <= limit.most * (1 + ROUNDING)
    return Measured(number, found.value_us, found.lower_us, found.upper_us, found.flags, value, holds)
