"""A measured table corrected by few whole networks, and its error on others before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from hwbench import files, spaces
from hwbench.devices import Device
from hwbench.errors import DataError, UsageError
from hwbench.measure.campaign import Progress
from hwbench.spaces.encodings import block_counts, block_stages
from hwbench.spaces.space import Space
from hwbench.tables import lookup, opening
from hwbench.tables.lookup import Calibration, CorrectedRow, LookupTable
from hwbench.tables.source import own_deviation, refuse_missing, shared_deviation
from hwbench.transfer.calibration import Corrections, corrections
from hwbench.workflows import verify as verifying
from hwbench.workflows.target_networks import Networks, read_networks

_NORMAL_975 = 1.959964
_SMALLEST_DEVIATION = 1e-3


class CalibrationResult(msgspec.Struct, frozen=True):
    """The table with its calibration, and where it lies."""

    table: LookupTable
    path: Path
    calibration: Calibration


def calibrate(
    path: Path,
    output: Path | None = None,
    *,
    networks: int = 10,
    measured: Path | None = None,
    held_out: Path | None = None,
    seed: int = 2,
    preset: str | None = None,
    device: Device | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> CalibrationResult:
    """Corrects the rows of a table by whole networks, and writes it, by default as <table>.calibrated.json.

    `measured` and `held_out` are files that `verify` wrote, or matrices of one target. Without `measured` so many
    random networks are measured, and in launches of their own as many others, on which the error is reported; both lie
    beside the output, as `measured` and `held_out` would have them. The table keeps its measured rows.

    Raises Incomparable for emulated results or another target, DataError, UsageError, MissingRows.
    """
    output = output or path.with_name(f"{path.stem}.calibrated.json")
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists already.", hint="Add --overwrite, or choose another file with --output.")
    table = opening.load_table(path)
    opening.refuse_emulated(path, table)
    if not isinstance(table, LookupTable):
        raise DataError(f"{path} was not measured by hwbench: its rows have no intervals to start from.")
    table = msgspec.structs.replace(table, calibration=None)
    space = spaces.get(table.space)

    def measure(own_seed: int, name: str) -> Networks:
        found = verifying.verify(
            path, networks, seed=own_seed, preset=preset, device=device, keep=False, on_progress=on_progress
        )
        beside = output.with_name(f"{output.stem}.{name}.json")
        files.save(beside, verifying.KIND, verifying.VERSION, found)
        return read_networks(beside, space)

    others: Networks | None = None
    if measured is None:
        training, others = measure(seed, "networks"), measure(seed + 1, "held-out")
    else:
        training = read_networks(measured, space)
        if held_out is not None:
            others = read_networks(held_out, space)
    calibration = calibration_of(table, space, training, others, seed)
    calibrated = msgspec.structs.replace(table, calibration=calibration, additivity=calibration.after)
    lookup.save(calibrated, output)
    return CalibrationResult(calibrated, output, calibration)


def calibration_of(
    table: LookupTable, space: Space, training: Networks, others: Networks | None, seed: int = 0
) -> Calibration:
    """The correction of the measured rows of a table, its error on `others` or, without them, left out."""
    known = table.measurements()
    if lacking := [block.key for block in space.distinct_blocks if block.key not in known]:
        refuse_missing(tuple(lacking), space)
    rows = [known[block.key] for block in space.distinct_blocks]
    values = np.array([row.value_us for row in rows])
    names, stages = block_stages(space)
    counts = block_counts(space, training.architectures)
    predicted = counts @ values
    deviations = np.array([max(own_deviation(row, table.spread), _SMALLEST_DEVIATION) for row in rows])
    found = corrections(counts * values / predicted[:, None], stages, deviations, predicted, training.measured_us)
    if others is None:
        tested = training.measured_us
        before, after = tested * (1 + found.before), tested * (1 + found.after)
    else:
        tested, counts = others.measured_us, block_counts(space, others.architectures)
        before, after = counts @ values, counts @ (values * found.factors)
    return Calibration(
        networks=len(training.measured_us),
        common=found.common,
        stages={name: float(part) for name, part in zip(names, found.stages, strict=True)},
        rows=_corrected(table, space, found) if found.accepted else (),
        before=verifying.additivity_of(before, tested, seed),
        after=verifying.additivity_of(after, tested, seed),
        held_out=others is not None,
        reason=found.reason,
    )


def _corrected(table: LookupTable, space: Space, found: Corrections) -> tuple[CorrectedRow, ...]:
    """Rows with the 95 % interval that a new run should fall into."""
    known = table.measurements()
    rows = []
    for block, factor, deviation in zip(space.distinct_blocks, found.factors, found.deviations, strict=True):
        value = known[block.key].value_us * float(factor)
        shared = shared_deviation(known[block.key], table.spread)
        half = _NORMAL_975 * np.sqrt(2) * float(np.hypot(shared, deviation))
        rows.append(CorrectedRow(block.key, value, value * float(np.exp(-half)), value * float(np.exp(half))))
    return tuple(rows)
