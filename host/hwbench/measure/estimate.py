"""From samples to measurements: levels, drift, intervals, flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.measure.drift import round_factors
from hwbench.measure.gate import Gate
from hwbench.measure.samples import Samples, VisitSummary, matrix
from hwbench.measure.statistics import between_launch_spread, bootstrap_levels, interval, level
from hwbench.records import EMULATED, Estimator, Measurement, Rounds

NOISY = "noisy"
GATE_TIMEOUT = "gate_timeout"
THROTTLED = "throttled"
UNPINNED = "unpinned"
FAILED = "failed"
PARTIAL_DELEGATION = "partial_delegation"

NOISY_HALF_WIDTH = 0.05
_THROTTLED_FREQUENCY = 0.9


class Estimates(msgspec.Struct, frozen=True):
    """Measurements of all jobs of a session, anchors among them.

    `within` is the part of each relative half-width that more rounds can narrow; `spread` is the standard
    deviation of log levels between launches, pooled over rows.
    """

    measurements: dict[str, Measurement]
    within: dict[str, float]
    spread: float


def estimate(samples: Samples, estimator: Estimator, gate: Gate, seed: int = 0) -> Estimates:
    """Measurements of every job that has visits."""
    factors = _factors(samples)
    values = {job: np.array([visit.value_us for visit in found]) for job, found in samples.visits.items()}
    launches = {job: np.array([visit.launch for visit in found]) for job, found in samples.visits.items()}
    spread = between_launch_spread(launch_levels(values, launches, estimator))
    measurements: dict[str, Measurement] = {}
    within: dict[str, float] = {}
    for number, (job, found) in enumerate(samples.visits.items()):
        own = np.array([factors[visit.launch, visit.round] for visit in found])
        value = level(values[job], estimator)
        resampled = bootstrap_levels(values[job], launches[job], estimator, seed + number)
        count = len(np.unique(launches[job]))
        found_interval = interval(values[job], resampled, estimator, spread, count)
        within[job] = found_interval.within
        measurements[job] = Measurement(
            value_us=value,
            lower_us=found_interval.lower,
            upper_us=found_interval.upper,
            drift_corrected_us=level(values[job] / own, estimator),
            flags=_flags(found, samples, job, found_interval.within, gate),
            launches=count,
            rounds_json=_rounds(found, own).as_json(),
        )
    return Estimates(measurements, within, spread)


def with_flag(estimates: Estimates, jobs: Set[str], flag: str) -> Estimates:
    """The estimates, those of `jobs` carrying the flag, once."""
    measurements = {
        job: msgspec.structs.replace(found, flags=tuple(dict.fromkeys((*found.flags, flag)))) if job in jobs else found
        for job, found in estimates.measurements.items()
    }
    return msgspec.structs.replace(estimates, measurements=measurements)


def _factors(samples: Samples) -> dict[tuple[int, int], float]:
    """The drift of every (launch, round), relative to its launch's median round."""
    factors = {}
    for launch in sorted({visit.launch for found in samples.visits.values() for visit in found}):
        _, rounds, values = matrix(samples.visits, launch)
        for number, factor in zip(rounds, round_factors(values), strict=True):
            factors[launch, number] = float(factor)
    return factors


def launch_levels(
    values: Mapping[str, NDArray[np.float64]], launches: Mapping[str, NDArray[np.int64]], estimator: Estimator
) -> NDArray[np.float64]:
    """Levels of each launch alone, jobs x launches, NaN where a job was not visited often enough."""
    numbers = sorted({int(n) for found in launches.values() for n in np.unique(found)})
    levels = np.full((len(values), len(numbers)), np.nan)
    for row, job in enumerate(values):
        for column, number in enumerate(numbers):
            own = values[job][launches[job] == number]
            if own.size >= estimator.fewest_visits:
                levels[row, column] = level(own, estimator)
    return levels


def _flags(found: Sequence[VisitSummary], samples: Samples, job: str, within: float, gate: Gate) -> tuple[str, ...]:
    flags = []
    if within > NOISY_HALF_WIDTH:
        flags.append(NOISY)
    if gate.closed:
        flags.append(GATE_TIMEOUT)
    clocks = [visit.frequency_khz for visit in found if visit.frequency_khz]
    if clocks and np.median(clocks) < _THROTTLED_FREQUENCY * max(clocks):
        flags.append(THROTTLED)
    if not samples.pinned or not all(visit.on_mask for visit in found):
        flags.append(UNPINNED)
    if samples.emulated:
        flags.append(EMULATED)
    if job in samples.failures:
        flags.append(FAILED)
    return tuple(flags)


def _rounds(found: Sequence[VisitSummary], factors: NDArray[np.float64]) -> Rounds:
    def column(name: str) -> tuple[float, ...]:
        return tuple(round(getattr(visit, name), 3) for visit in found)

    return Rounds(
        launch=tuple(visit.launch for visit in found),
        round=tuple(visit.round for visit in found),
        count=tuple(visit.count for visit in found),
        value_us=column("value_us"),
        min_us=column("min_us"),
        p10_us=column("p10_us"),
        p25_us=column("p25_us"),
        p50_us=column("p50_us"),
        cpu_p25_us=column("cpu_p25_us"),
        factor=tuple(round(float(factor), 5) for factor in factors),
    )
