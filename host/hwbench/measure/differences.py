"""Do two runs differ, row by row? A pure function of launch levels; separate launches are the unit, never invokes.

A row's log level in a launch is what the row takes, plus a part common to all rows of the launch, another common to
all of the run, a part that some rows have more of than others (`swings`), and noise. What a busy machine adds has one
sign, so low ends are taken: a launch's part is a low quartile over rows, a row's level the mean of its lower launches.
The noise differs from row to row by a factor of ten, and a row has few launches: its variance is moderated towards that
of all rows (Smyth 2004, section 6.2). Launches of one run are alike, so that this is too small by a factor that nothing
inside a run shows; how far all rows of the pair scatter gives it (an empirical null, Efron 2004), with a prior.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.measure.statistics import MAD_TO_SD, Floats, weighted_median
from hwbench.measure.swings import likely_swing, without_swing

# The expected share of wrong names among those named (Benjamini and Hochberg 1995). When nothing differs it is the
# chance to name anything, as with Holm's procedure, which finds fewer where several rows differ.
FALSE_SHARE = 0.05
FEWEST_LAUNCHES = 2

# Share of a row's launches, from the lowest, whose mean is its level and whose variance is its noise.
_LOW_SHARE = 0.75
# The variance of what stays through all launches of a run, as a share of that between them.
_ALIKE = 0.3
# How much more rows scatter between runs than these launches say, where that cannot be seen; it counts as so many rows.
_INFLATION, _INFLATION_ROWS = 1.5, 10
_LAUNCH_QUANTILE, _LAUNCH_SWEEPS = 0.25, 3
_SWEEPS, _SWING_SWEEPS = 5, 3
_NEWTON_STEPS = 50
_MOST_FREEDOM = 1000.0
_SMALLEST_VARIANCE = 1e-8
_POWER = 0.8


class Differences(msgspec.Struct, frozen=True):
    """Arrays of shape (rows,), relative to the first run.

    `change`: log of second / first without `shift`, the part common to all rows, and `swing`, what rows have by their
    loadings. `deviation`: its standard deviation, of `freedom` degrees. `p`: two-sided. `resolution`: the log change
    that would be found in four of five cases. `inflation`: how much more rows scatter between the runs than between
    launches.
    """

    change: Floats
    shift: float
    swing: Floats
    deviation: Floats
    freedom: Floats
    p: Floats
    differs: NDArray[np.bool_]
    resolution: Floats
    inflation: float


def differences(first: Floats, second: Floats, effect: float, loadings: Floats) -> Differences:
    """`first` and `second` are `without_launch_parts`, rows x launches, NaN where a row was not measured.

    Every row needs FEWEST_LAUNCHES in both; `loadings` are `swing_loadings`. A row differs when its change is above
    `effect` and remains after Benjamini and Hochberg's correction. Rows that differ have no part in shift, swing and
    inflation.
    """
    from scipy.stats import t as student

    low, other_low = (_lowest(run) for run in without_swing([first, second], loadings))
    a, b = _finite_mean(low), _finite_mean(other_low)
    a_count, b_count = (np.isfinite(one).sum(axis=1).astype(float) for one in (low, other_low))
    squares = np.nanvar(low, axis=1) * a_count + np.nanvar(other_low, axis=1) * b_count
    own_freedom = a_count + b_count - 2
    variances, prior_freedom = moderated(squares / own_freedom, own_freedom)
    scale = np.sqrt(variances * (1 / a_count + 1 / b_count + 2 * _ALIKE))
    freedom = own_freedom + prior_freedom
    differs = np.zeros(len(a), bool)
    swing = np.zeros(len(a))
    for _ in range(_SWEEPS):
        same = ~differs
        for _ in range(_SWING_SWEEPS):
            shift = weighted_median((b - a - swing)[same], 1 / scale[same])
            swing = likely_swing(b - a - shift, loadings, _INFLATION * scale, same)
        change = b - a - shift - swing
        inflation = _inflation(change[same] / scale[same])
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
        swing=swing,
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


def _lowest(levels: Floats) -> Floats:
    """Each row's launches in order of size, NaN above the lowest of them."""
    counts = np.isfinite(levels).sum(axis=1)
    kept = np.clip(np.ceil(_LOW_SHARE * counts), FEWEST_LAUNCHES, counts)
    low: Floats = np.where(np.arange(levels.shape[1]) < kept[:, None], np.sort(levels, axis=1), np.nan)
    return low


def _finite_mean(values: Floats) -> Floats:
    """Means over the second axis of what is there, NaN where nothing is."""
    known = np.isfinite(values)
    counts = known.sum(axis=1)
    found: Floats = np.where(counts, np.where(known, values, 0.0).sum(axis=1), np.nan) / np.maximum(counts, 1)
    return found


def _inflation(scaled: Floats) -> float:
    measured = MAD_TO_SD * float(np.median(np.abs(scaled)))
    rows = len(scaled)
    return float(np.sqrt((rows * measured**2 + _INFLATION_ROWS * _INFLATION**2) / (rows + _INFLATION_ROWS)))


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
