"""Visits of a session as arrays per job: the summaries that a table keeps and every estimate starts from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.measure.plan import LoadLine, VisitLine
from hwbench.measure.results import LaunchResult
from hwbench.records import Estimator


class VisitSummary(msgspec.Struct, frozen=True):
    launch: int
    round: int
    start_ns: int
    count: int
    value_us: float
    min_us: float
    p10_us: float
    p25_us: float
    p50_us: float
    cpu_p25_us: float
    frequency_khz: int | None
    on_mask: bool


class Samples(msgspec.Struct, frozen=True):
    """Everything a session has brought: visits per job in order of time, failures, and the shares of its time."""

    visits: dict[str, tuple[VisitSummary, ...]]
    failures: dict[str, str]
    loads: dict[str, LoadLine]
    inference_ns: int
    pinned: bool
    emulated: bool = False

    def rounds_of(self, job: str) -> int:
        return len(self.visits.get(job, ()))

    def total_rounds(self, jobs: Iterable[str]) -> int:
        return sum(map(self.rounds_of, jobs))


def summarise(visit: VisitLine, launch: int, estimator: Estimator, cores: Sequence[int] | None) -> VisitSummary:
    """The quantiles of a burst in microseconds."""
    wall = np.asarray(visit.wall_ns, float) / 1e3
    cpu = np.asarray(visit.cpu_ns, float) / 1e3
    low, p10, p25, p50 = np.quantile(wall, [0.0, 0.1, 0.25, 0.5])
    clock = wall if estimator.clock == "wall" else cpu
    seen = {visit.core_before, visit.core_after} - {None}
    return VisitSummary(
        launch=launch,
        round=visit.round,
        start_ns=visit.start_ns,
        count=len(wall),
        value_us=float(np.quantile(clock, estimator.burst_quantile)),
        min_us=float(low),
        p10_us=float(p10),
        p25_us=float(p25),
        p50_us=float(p50),
        cpu_p25_us=float(np.quantile(cpu, 0.25)),
        frequency_khz=visit.frequency_khz,
        on_mask=cores is None or seen <= set(cores),
    )


EMPTY = Samples({}, {}, {}, 0, True)


def collect(results: Iterable[LaunchResult], estimator: Estimator, before: Samples = EMPTY, first: int = 0) -> Samples:
    """`before` with the samples of further launches, numbered from `first`; whole lines of broken ones count."""
    visits = {job: list(found) for job, found in before.visits.items()}
    failures, loads = dict(before.failures), dict(before.loads)
    inference, pinned, emulated = before.inference_ns, before.pinned, before.emulated
    for index, result in enumerate(results, start=first):
        cores = None if result.launch is None else result.launch.cores
        pinned &= result.launch is None or bool(cores)
        emulated |= result.launch is not None and result.launch.emulated
        for visit in result.visits:
            visits.setdefault(visit.job, []).append(summarise(visit, index, estimator, cores))
            inference += sum(visit.wall_ns) + visit.warmup_ns
        for failure in result.failures:
            failures[failure.job] = f"{failure.stage}: {failure.message}"
        for load in result.of(LoadLine):
            loads.setdefault(load.job, load)
            inference += load.first_ns
    return Samples({job: tuple(found) for job, found in visits.items()}, failures, loads, inference, pinned, emulated)


def matrix(
    visits: dict[str, tuple[VisitSummary, ...]], launch: int
) -> tuple[list[str], list[int], NDArray[np.float64]]:
    """Jobs, rounds and values (jobs x rounds, NaN where there was no visit) of one launch."""
    jobs = [job for job, found in visits.items() if any(visit.launch == launch for visit in found)]
    rounds = sorted({visit.round for job in jobs for visit in visits[job] if visit.launch == launch})
    values = np.full((len(jobs), len(rounds)), np.nan)
    columns = {number: column for column, number in enumerate(rounds)}
    for row, job in enumerate(jobs):
        for visit in visits[job]:
            if visit.launch == launch:
                values[row, columns[visit.round]] = visit.value_us
    return jobs, rounds, values
