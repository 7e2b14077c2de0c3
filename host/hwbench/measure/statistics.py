"""Statistics of visits, as pure functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.records import Estimator

Floats = NDArray[np.float64]

INTERVAL = 0.95
_DRAWS = 400
_MAD_TO_SD = 1.4826
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
    return float(_MAD_TO_SD * np.nanmedian(np.abs(deviations)))


def interval(
    values: Floats, resampled: Floats, estimator: Estimator, spread: float, launches: int
) -> tuple[float, float]:
    """The 95 % interval that a new run of the same size falls into, (lower, upper).

    Three parts add in squares in log space: the percentiles of the resampled levels; the spacing of the values
    around the rank, since resampling the low end cannot go below what was seen; and the spread between launches,
    twice, since a new run has its own.
    """
    value = level(values, estimator)
    ordered, rank = np.sort(values), estimator.rank(values.size) - 1
    tail = (1 - INTERVAL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    spacing = _SPACINGS * np.log(ordered[min(rank + 2, values.size - 1)] / ordered[max(rank - 1, 0)])
    margin = _NORMAL_975 * np.sqrt(2.0 / max(launches, 1)) * spread
    below = float(np.sqrt(np.log(value / min(low, value)) ** 2 + spacing**2 + margin**2))
    above = float(np.sqrt(np.log(max(high, value) / value) ** 2 + spacing**2 + margin**2))
    return value * float(np.exp(-below)), value * float(np.exp(above))


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation; NaN when one side is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(np.asarray(side, float)) for side in (a, b)]
    if any(np.ptp(side) == 0 for side in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])
