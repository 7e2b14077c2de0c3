"""Do two runs differ, row by row? A pure function of launch levels; separate launches are the unit, never invokes.

A row's log level in a launch is what the row takes, plus a part common to all rows of the launch, another common to
all of the run, and noise. What a busy machine adds has one sign, so low ends are taken throughout: a launch's part is
a low quartile over rows, a row's level the mean of its lowest launches. The noise differs from row to row by a factor
of ten, and a row has few launches: its variance is moderated towards that of all rows (Smyth 2004, section 6.2).
Launches of one run are alike, so that this is too small by a factor that nothing inside a run shows; how far all rows
of this pair scatter gives the factor (an empirical null, Efron 2004), with a prior.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.measure.statistics import Floats

# The expected share of wrong names among those named (Benjamini and Hochberg 1995). When nothing differs it is the
# chance to name anything, as with Holm's procedure, which finds fewer where several rows differ.
FALSE_SHARE = 0.02
FEWEST_LAUNCHES = 2

# Shares of a row's launches, from the lowest: those whose mean is its level, and those whose variance is its noise.
_LEVEL_SHARE, _NOISE_SHARE = 0.5, 0.75
# How much more rows scatter between runs than these launches say, where that cannot be seen; it counts as so many rows.
# Over twelve runs of benchmarks/table_diff.py it was 1.0 to 2.3 for most rows.
_INFLATION, _INFLATION_ROWS = 1.5, 10
_LAUNCH_QUANTILE, _LAUNCH_SWEEPS = 0.25, 3
_SWEEPS = 5
_NEWTON_STEPS = 50
_MOST_FREEDOM = 1000.0
_SMALLEST_VARIANCE = 1e-8
_MAD_TO_SD = 1.4826
_POWER = 0.8


class Differences(msgspec.Struct, frozen=True):
    """Arrays of shape (rows,), relative to the first run.

    `change`: log of second / first without `shift`, the part common to all rows. `deviation`: its standard deviation,
    of `freedom` degrees. `p`: two-sided. `resolution`: the log change that would be found in four of five cases.
    `inflation`: how much more rows scatter between the runs than between launches.
    """

    change: Floats
    shift: float
    deviation: Floats
    freedom: Floats
    p: Floats
    differs: NDArray[np.bool_]
    resolution: Floats
    inflation: float


def differences(first: Floats, second: Floats, effect: float) -> Differences:
    """`first` and `second` are `without_launch_parts`, rows x launches, NaN where a row was not measured.

    Every row needs FEWEST_LAUNCHES in both. A row differs when its change is above `effect` and remains after
    Benjamini and Hochberg's correction. Rows that differ have no part in the shift and the inflation.
    """
    from scipy.stats import t as student

    (a, a_count), (b, b_count) = _level(first), _level(second)
    (a_squares, a_freedom), (b_squares, b_freedom) = _noise(first), _noise(second)
    own_freedom = a_freedom + b_freedom
    variances, prior_freedom = moderated((a_squares + b_squares) / own_freedom, own_freedom)
    scale = np.sqrt(variances * (1 / a_count + 1 / b_count))
    freedom = own_freedom + prior_freedom
    differs = np.zeros(len(a), bool)
    for _ in range(_SWEEPS):
        shift = _weighted_median((b - a)[~differs], 1 / scale[~differs])
        change = b - a - shift
        inflation = _inflation(change[~differs] / scale[~differs])
        p = 2 * student.sf(np.abs(change) / (inflation * scale), freedom)
        found = false_discoveries(p, FALSE_SHARE) & (np.abs(np.expm1(change)) > effect)
        # Too many rows that differ leave no common part to compare with.
        if np.array_equal(found, differs) or 2 * found.sum() > len(found):
            break
        differs = found
    deviation = inflation * scale
    reach = student.isf(FALSE_SHARE / 2 / len(a), freedom) + student.ppf(_POWER, freedom)
    return Differences(
        change=change,
        shift=shift,
        deviation=deviation,
        freedom=freedom,
        p=np.asarray(p, float),
        differs=found,
        resolution=np.maximum(np.asarray(reach * deviation, float), np.log1p(effect)),
        inflation=inflation,
    )


def without_launch_parts(levels: Floats) -> Floats:
    """Log levels, rows x launches, without what all rows of a launch share.

    Launches of less than half the rows stay as they are: such few rows share nothing that could be told from them.
    They are the further launches of the noisiest rows, for which the launch is the least part of the noise.
    """
    whole = 2 * np.isfinite(levels).sum(axis=0) >= len(levels)
    left = levels.copy()
    if whole.sum() < FEWEST_LAUNCHES:
        return left
    for _ in range(_LAUNCH_SWEEPS):
        above = left - _finite_mean(np.sort(left, axis=1)[:, :FEWEST_LAUNCHES])[:, None]
        parts = np.nanquantile(above[:, whole], _LAUNCH_QUANTILE, axis=0)
        left[:, whole] -= parts - np.median(parts)
    return left


def false_discoveries(p: Floats, share: float) -> NDArray[np.bool_]:
    """Which hypotheses Benjamini and Hochberg's step-up procedure rejects, shape as `p`."""
    order = np.argsort(p)
    passed = np.flatnonzero(p[order] <= share * np.arange(1, len(p) + 1) / len(p))
    rejected = np.zeros(len(p), bool)
    rejected[order[: passed[-1] + 1 if len(passed) else 0]] = True
    return rejected


def moderated(variances: Floats, freedom: Floats) -> tuple[Floats, float]:
    """Variances shrunk towards what all have in common, and how many degrees of freedom that counts for.

    The prior is a scaled inverse chi-square whose two parameters are the moments of the log variances.
    """
    from scipy.special import digamma, polygamma

    floored = np.maximum(variances, _SMALLEST_VARIANCE)
    logs = np.log(floored) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(logs.var(ddof=1) - np.mean(polygamma(1, freedom / 2))) if len(logs) > 1 else 0.0
    prior_freedom = 2 * _inverse_trigamma(excess) if excess > 0 else _MOST_FREEDOM
    prior_freedom = min(prior_freedom, _MOST_FREEDOM)
    prior = np.exp(logs.mean() + digamma(prior_freedom / 2) - np.log(prior_freedom / 2))
    shrunk: Floats = (prior_freedom * prior + freedom * floored) / (prior_freedom + freedom)
    return shrunk, prior_freedom


def _level(levels: Floats) -> tuple[Floats, Floats]:
    """Mean of each row's lowest launches, and how many they are."""
    low = _lowest(levels, _LEVEL_SHARE)
    return _finite_mean(low), np.isfinite(low).sum(axis=1).astype(float)


def _noise(levels: Floats) -> tuple[Floats, Floats]:
    """Sum of squared deviations of each row's lower launches, and its degrees of freedom."""
    low = _lowest(levels, _NOISE_SHARE)
    counts = np.isfinite(low).sum(axis=1).astype(float)
    return np.nanvar(low, axis=1) * counts, counts - 1


def _lowest(levels: Floats, share: float) -> Floats:
    """Each row's launches in order of size, NaN above the lowest `share` of them."""
    counts = np.isfinite(levels).sum(axis=1)
    kept = np.clip(np.ceil(share * counts), FEWEST_LAUNCHES, counts)
    low: Floats = np.where(np.arange(levels.shape[1]) < kept[:, None], np.sort(levels, axis=1), np.nan)
    return low


def _finite_mean(values: Floats) -> Floats:
    """Means over the second axis of what is there, NaN where nothing is."""
    known = np.isfinite(values)
    counts = known.sum(axis=1)
    found: Floats = np.where(counts, np.where(known, values, 0.0).sum(axis=1), np.nan) / np.maximum(counts, 1)
    return found


def _inflation(scaled: Floats) -> float:
    measured = _MAD_TO_SD * float(np.median(np.abs(scaled)))
    rows = len(scaled)
    return float(np.sqrt((rows * measured**2 + _INFLATION_ROWS * _INFLATION**2) / (rows + _INFLATION_ROWS)))


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])


def _inverse_trigamma(value: float) -> float:
    """Newton's method on the reciprocal, which is nearly linear (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    y = 0.5 + 1 / value
    for _ in range(_NEWTON_STEPS):
        trigamma = float(polygamma(1, y))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, y))
        y += step
        if -step < 1e-9 * y:
            break
    return y
