"""Verify a table: do sums of its rows equal whole networks?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files, spaces
from hwbench.devices import Device
from hwbench.errors import DataError, UsageError
from hwbench.measure.campaign import Campaign, Progress
from hwbench.measure.session import Session
from hwbench.measure.statistics import spearman
from hwbench.tables import lookup
from hwbench.tables.lookup import Additivity, LaunchRecord, SamplesFile
from hwbench.tables.source import TableSource
from hwbench.workflows.networks import bench_of, measure
from hwbench.workflows.profile import launch_records, write_samples

KIND = "verification"
VERSION = 1

_DRAWS = 2000
_FEWEST = 3


class Verified(msgspec.Struct, frozen=True):
    """One network: predicted from the table, measured as a whole."""

    architecture: tuple[int, ...]
    predicted_us: float
    measured_us: float
    lower_us: float
    upper_us: float
    flags: tuple[str, ...]


class Verification(msgspec.Struct, frozen=True):
    """What `verify` found; with `keep` it lies beside the table, its additivity inside."""

    table: str
    additivity: Additivity
    networks: tuple[Verified, ...]
    launches: tuple[LaunchRecord, ...]
    seconds: float
    samples: SamplesFile | None = None


def verify(
    path: Path,
    networks: int = 20,
    *,
    seed: int = 1,
    preset: str | None = None,
    device: Device | None = None,
    resume: bool = False,
    keep: bool = True,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Verification:
    """Measures `networks` random architectures of the table's space and compares them with sums of its rows.

    With `keep` the result goes into the table file, where predictions use it. Raises Incomparable when the table
    belongs to another target than the device has now.
    """
    if networks < _FEWEST:
        raise UsageError(f"Verifying needs at least {_FEWEST} networks, not {networks}.")
    table = lookup.load(path)
    bench = bench_of(table, path, device, preset, seed)
    space = spaces.get(table.space)
    architectures = space.sample(networks, seed)
    predicted = TableSource(table, space).predict(architectures).mean_us

    def finish(campaign: Campaign, session: Session) -> Verification:
        result = _compare(path, architectures, predicted, campaign, seed)
        if keep:
            samples = write_samples(verification_path(path), session)
            result = msgspec.structs.replace(result, samples=samples)
            files.save(verification_path(path), KIND, VERSION, result)
            lookup.save(msgspec.structs.replace(table, additivity=result.additivity), path)
        return result

    decisive = {"table": table.created_at, "networks": str(networks), "seed": str(seed)}
    folder = path.with_name(f"{path.name}.verify.session")
    return measure(bench, space, architectures, folder, decisive, finish, resume=resume, on_progress=on_progress)


def additivity_of(predicted_us: NDArray[np.float64], measured_us: NDArray[np.float64], seed: int) -> Additivity:
    """Bias, mean absolute percentage error and Spearman with a percentile bootstrap over networks."""
    error = predicted_us / measured_us - 1
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(error), size=(_DRAWS, len(error)))
    resampled = [spearman(predicted_us[row], measured_us[row]) for row in picks]
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return Additivity(
        networks=len(error),
        seed=seed,
        bias=float(error.mean()),
        mape=float(np.abs(error).mean()),
        spread=float(error.std(ddof=1)),
        spearman=spearman(predicted_us, measured_us),
        spearman_ci=(float(low), float(high)),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def verification_path(table: Path) -> Path:
    return table.with_name(f"{table.stem}.verify.json")


def load_verification(path: Path) -> Verification:
    return files.load(path, KIND, VERSION, Verification)


def _compare(
    table: Path,
    architectures: NDArray[np.uint8],
    predicted: NDArray[np.float64],
    campaign: Campaign,
    seed: int,
) -> Verification:
    found = campaign.estimates.measurements
    kept = [number for number in range(len(architectures)) if f"network-{number}" in found]
    if len(kept) < _FEWEST:
        failure = next(iter(campaign.samples.failures.values()), "no visit")
        raise DataError(f"Only {len(kept)} of {len(architectures)} networks could be measured: {failure}.")
    networks = tuple(
        Verified(
            architecture=tuple(int(choice) for choice in architectures[number]),
            predicted_us=float(predicted[number]),
            measured_us=found[f"network-{number}"].value_us,
            lower_us=found[f"network-{number}"].lower_us,
            upper_us=found[f"network-{number}"].upper_us,
            flags=found[f"network-{number}"].flags,
        )
        for number in kept
    )
    additivity = additivity_of(predicted[kept], np.array([network.measured_us for network in networks]), seed)
    return Verification(table.name, additivity, networks, launch_records(campaign), campaign.seconds)
