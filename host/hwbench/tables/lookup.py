"""The lookup table: block key -> measurement, for one target and one metric."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hwbench import files
from hwbench.errors import CorruptFile
from hwbench.files import Upgrade
from hwbench.records import EMULATED, DeviceRecord, Estimator, Measurement, Target

KIND = "table"
VERSION = 1

# UPGRADES[n] turns the content of version n into version n + 1.
UPGRADES: dict[int, Upgrade] = {}


class Row(msgspec.Struct, frozen=True):
    """A block and its latency, or why there is none.

    `delegated_share` is the share of its ops that the delegate runs, where the exporter knows it.
    """

    key: str
    measurement: Measurement | None = None
    failure: str | None = None
    delegated_share: float | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        if self.measurement is None:
            return ("failed",)
        return self.measurement.flags


class LaunchRecord(msgspec.Struct, frozen=True):
    """One fresh runner process: when, on which cores, and how far its anchors stayed above the baseline."""

    launch: int
    unix_ns: int
    cores: tuple[int, ...] | None
    complete: bool
    slowdown: float


class SamplesFile(msgspec.Struct, frozen=True):
    """The raw samples, beside the table."""

    name: str
    sha256: str


class Additivity(msgspec.Struct, frozen=True):
    """Sums of rows against whole networks measured in launches of their own.

    `bias` and `mape` are of predicted / measured - 1; `spread` is its standard deviation.
    """

    networks: int
    seed: int
    bias: float
    mape: float
    spread: float
    spearman: float
    spearman_ci: tuple[float, float]
    measured_at: str


class CorrectedRow(msgspec.Struct, frozen=True):
    """A row as it predicts; the measured one stays in the table."""

    key: str
    value_us: float
    lower_us: float
    upper_us: float


class Calibration(msgspec.Struct, frozen=True):
    """Rows corrected by whole networks; `rows` is empty where no correction was sure to help.

    `common` and `stages` are relative, a stage's with the common part. `before` and `after` are errors of sums on
    networks of other launches, or, if not `held_out`, of each of the networks left out.
    """

    networks: int
    common: float
    stages: dict[str, float]
    rows: tuple[CorrectedRow, ...]
    before: Additivity
    after: Additivity
    held_out: bool
    reason: str


class LookupTable(msgspec.Struct, frozen=True, dict=True):
    """Rows in network order.

    `spread`: standard deviation of log levels between launches, pooled over rows. `slowdown`: how far the anchors
    stayed above the best that is known of them.
    """

    space: str
    metric: str
    target: Target
    device: DeviceRecord
    estimator: Estimator
    preset: str
    flush_bytes: int
    hwbench_version: str
    created_at: str
    rows: tuple[Row, ...]
    anchors: dict[str, Measurement]
    launches: tuple[LaunchRecord, ...]
    spread: float
    slowdown: float
    seconds: float
    inference_share: float
    samples: SamplesFile | None = None
    additivity: Additivity | None = None
    notes: tuple[str, ...] = ()
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        keys = [row.key for row in self.rows]
        if len(set(keys)) != len(keys):
            raise ValueError("a block key stands twice")
        for row in self.rows:
            found = row.measurement
            if (found is None) == (row.failure is None):
                raise ValueError(f"row {row.key} needs a measurement or a failure")
            if row.delegated_share is not None and not 0 <= row.delegated_share <= 1:
                raise ValueError(f"row {row.key} has an impossible share of delegated ops")
            if found is not None and not 0 < found.lower_us <= found.value_us <= found.upper_us < 1e12:
                raise ValueError(f"row {row.key} has an impossible latency or interval")
        for corrected in () if self.calibration is None else self.calibration.rows:
            if not 0 < corrected.lower_us <= corrected.value_us <= corrected.upper_us < 1e12:
                raise ValueError(f"row {corrected.key} has an impossible correction")

    @property
    def emulated(self) -> bool:
        """Whether an emulator made any of its numbers."""
        return any(EMULATED in row.flags for row in self.rows)

    def measurements(self) -> dict[str, Measurement]:
        """The rows that were measured, by block key."""
        return {row.key: row.measurement for row in self.rows if row.measurement is not None}

    def calibrated(self) -> dict[str, Measurement]:
        """As `measurements`, with the corrected values where the table was calibrated."""
        found = self.measurements()
        for row in () if self.calibration is None else self.calibration.rows:
            if row.key in found:
                found[row.key] = msgspec.structs.replace(
                    found[row.key], value_us=row.value_us, lower_us=row.lower_us, upper_us=row.upper_us
                )
        return found


def save(table: LookupTable, path: Path) -> None:
    """Writes the table, replacing what was there. Raises DeviceError when the disk refuses."""
    files.save(path, KIND, VERSION, table)


def load(path: Path) -> LookupTable:
    """The table of a file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    try:
        return files.load(path, KIND, VERSION, LookupTable, UPGRADES)
    except ValueError as error:
        raise CorruptFile(f"{path} is not a valid table: {error}.") from error


def default_name(space: str, target: Target) -> str:
    """File name of a table: space, engine, delegate, precision, batch, threads, and the regime unless as shipped."""
    suffix = "" if target.regime == "as_shipped" else f"-{target.regime}"
    return (
        f"{space}--{target.engine.name}-{target.delegate}-{target.precision}"
        f"-b{target.batch}-t{target.threads}{suffix}.json"
    )


def target_name(target: Target) -> str:
    """A target in one line, as a person tells it from others."""
    engine = target.engine.name
    return f"{target.device_id} {engine} {target.delegate} {target.precision} b{target.batch} t{target.threads}"
