"""Statistics of visits, as pure functions of arrays."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.records import Estimator

Floats = NDArray[np.float64]

INTERVAL = 0.95
# Standard deviation of log latency between runs minutes apart that nothing inside a run shows: on a shared machine,
# how busy the memory is (benchmarks/repeatability.py).
RUN_TO_RUN = 0.01
_DRAWS = 400
# A normal distribution's standard deviation over its median absolute deviation.
MAD_TO_SD = 1.4826
_NORMAL_975 = 1.959964
# The difference of two runs' second-lowest values, at 95 %, in gaps between the first and the fourth (normal noise).
_SPACINGS = 1.4


def level(values: ArrayLike, estimator: Estimator) -> float:
    """The value at the estimator's rank."""
    array = np.sort(np.asarray(values, float))
    return float(array[estimator.rank(array.size) - 1])


def bootstrap_levels(values: Floats, launches: NDArray[np.int64], estimator: Estimator, seed: int) -> Floats:
    """Levels of resampled data, shape (draws,): launches with replacement, then rounds within each.

    With one launch only its rounds are resampled.
    """
    rng = np.random.default_rng(seed)
    groups = [values[launches == launch] for launch in np.unique(launches)]
    largest = max(group.size for group in groups)
    padded = np.full((len(groups), largest), np.inf)
    sizes = np.array([group.size for group in groups])
    for row, group in enumerate(groups):
        padded[row, : group.size] = group
    chosen = rng.integers(0, len(groups), size=(_DRAWS, len(groups)))
    picks = (rng.random((_DRAWS, len(groups), largest)) * sizes[chosen][:, :, None]).astype(np.int64)
    drawn = padded[chosen[:, :, None], picks]
    # A group smaller than the largest contributes only as many draws as it has rounds.
    drawn = np.where(np.arange(largest) < sizes[chosen][:, :, None], drawn, np.inf).reshape(_DRAWS, -1)
    counts = sizes[chosen].sum(axis=1)
    ranks = np.array([estimator.rank(int(count)) for count in counts]) - 1
    levels: Floats = np.take_along_axis(np.sort(drawn, axis=1), ranks[:, None], axis=1)[:, 0]
    return levels


def between_launch_spread(levels_us: Floats) -> float:
    """Typical standard deviation of log launch levels about their row's lowest, pooled over rows.

    `levels_us` is rows x launches, NaN where a row was not measured. Robust (median of absolute deviations),
    since a launch in which a row never saw the undisturbed machine says nothing about the others.
    """
    if levels_us.shape[1] < 2:
        return 0.0
    logs = np.log(levels_us)
    rows = np.isfinite(logs).sum(axis=1) >= 2
    if not rows.any():
        return 0.0
    deviations = logs[rows] - np.nanmedian(logs[rows], axis=1)[:, None]
    return float(MAD_TO_SD * np.nanmedian(np.abs(deviations)))


class Interval(msgspec.Struct, frozen=True):
    """A 95 % interval; `within` is the part of its relative half-width that more rounds can narrow."""

    lower: float
    upper: float
    within: float


def interval(values: Floats, resampled: Floats, estimator: Estimator, spread: float, launches: int) -> Interval:
    """The 95 % interval that a new run of the same size falls into.

    Four parts add in squares in log space: the percentiles of the resampled levels; the spacing of the values
    around the rank, since resampling the low end cannot go below what was seen; the spread between launches; and
    RUN_TO_RUN. The last two count twice, since a new run has its own.
    """
    value = level(values, estimator)
    ordered, rank = np.sort(values), estimator.rank(values.size) - 1
    tail = (1 - INTERVAL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    spacing = _SPACINGS * np.log(ordered[min(rank + 2, values.size - 1)] / ordered[max(rank - 1, 0)])
    within = np.hypot(spacing, _NORMAL_975 * np.sqrt(2.0 / max(launches, 1)) * spread)
    between = _NORMAL_975 * np.sqrt(2.0) * RUN_TO_RUN
    below, above = np.hypot(np.log(value / min(low, value)), within), np.hypot(np.log(max(high, value) / value), within)
    return Interval(
        lower=value * float(np.exp(-np.hypot(below, between))),
        upper=value * float(np.exp(np.hypot(above, between))),
        within=float(below + above) / 2,
    )


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation; NaN when one side is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(np.asarray(side, float)) for side in (a, b)]
    if any(np.ptp(side) == 0 for side in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def weighted_median(values: Floats, weights: Floats) -> float:
    """The value at which half of the weight is reached."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])
