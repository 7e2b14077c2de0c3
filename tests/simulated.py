"""Simulated targets whose agreement is known, runs whose differences are, and made-up devices."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.measure.statistics import Floats
from hwbench.tables.lookup import LookupTable, Row
from hwbench.transfer.agreement import Observed


def pair(rng: np.random.Generator, rho: float, n: int, noise: float, spread: float = 0.3) -> tuple[Observed, Observed]:
    """Log-normal latencies of n architectures whose noise-free Spearman correlation is `rho`.

    `spread` is the standard deviation of log latencies, `noise` that of the timing of each.
    """
    pearson = 2 * np.sin(np.pi * rho / 6)
    first, second = rng.standard_normal((2, n))
    logs = np.array([first, pearson * first + np.sqrt(1 - pearson**2) * second])
    timed = 1e4 * np.exp(spread * logs + noise * rng.standard_normal(logs.shape))
    known = np.full(n, noise) if noise else None
    return Observed("a", timed[0], known), Observed("b", timed[1], known)


def launch_levels(rng: np.random.Generator, rows_us: Floats, launches: int = 6, noise: float = 0.003) -> Floats:
    """Log levels of one run, rows x launches, as they were recorded on a shared machine.

    Every row has noise of its own size (`noise` in median), part of it common to the launches of the run; launch and
    run have factors, and a neighbour slows some launches of a row.
    """
    own_noise = noise * np.exp(0.5 * np.random.default_rng(0).standard_normal(len(rows_us)))
    own = own_noise[:, None] * rng.standard_normal((len(rows_us), launches))
    stays = 0.6 * own_noise * rng.standard_normal(len(rows_us))
    slowed_by = np.where(rng.random(own.shape) < 0.1, rng.exponential(0.05, own.shape), 0.0)
    common = 0.01 * rng.standard_normal() + 0.004 * rng.standard_normal(launches)
    found: Floats = np.log(rows_us)[:, None] + own + stays[:, None] + slowed_by + common
    return found


def block_latencies(rng: np.random.Generator, features: Floats, spread: float = 0.2) -> Floats:
    """Microseconds of blocks on a made-up device, shape (blocks,), from `features` (blocks, PHYSICAL_FEATURES).

    A cost per operation and byte, each block by a factor of its own (standard deviation `spread` of its logarithm).
    """
    costs = np.array([1 / 3000, 1 / 300, 1 / 4000, 1 / 9000, 1 / 9000, 4, 4, 1])
    found: Floats = features @ costs * np.exp(spread * rng.standard_normal(len(features)))
    return found


def biased(
    rng: np.random.Generator, latencies: Floats, stages: NDArray[np.int64], common: float, stage: float, row: float
) -> Floats:
    """What blocks truly take where a table says `latencies`: a factor of all, factors of stages and of single rows.

    `common` is the logarithm of the first, `stage` and `row` standard deviations of those of the others.
    """
    parts = stage * rng.standard_normal(int(stages.max()) + 1)
    found: Floats = latencies * np.exp(common + parts[stages] + row * rng.standard_normal(len(latencies)))
    return found


def slowed(table: LookupTable, keys: Collection[str], factor: float) -> LookupTable:
    """The table as if some of its rows took `factor` times as long."""
    return msgspec.structs.replace(
        table, rows=tuple(_slowed(row, factor) if row.key in keys else row for row in table.rows)
    )


def _slowed(row: Row, factor: float) -> Row:
    found = row.measurement
    if found is None:
        return row
    rounds = found.rounds
    values = ("value_us", "min_us", "p10_us", "p25_us", "p50_us", "cpu_p25_us")
    longer = msgspec.structs.replace(
        rounds, **{name: tuple(v * factor for v in getattr(rounds, name)) for name in values}
    )
    ends = {name: getattr(found, name) * factor for name in ("value_us", "lower_us", "upper_us", "drift_corrected_us")}
    return msgspec.structs.replace(
        row, measurement=msgspec.structs.replace(found, **ends, rounds_json=longer.as_json())
    )
