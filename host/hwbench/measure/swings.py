"""What some rows have in common beside what all share: they are slow at the same times, more or less each.

Blocks that live on what a machine shares, such as its last cache, rise and fall with what else uses that: on the shared
machine of benchmarks/table_diff.py blocks of 7x7 kernels did, by some percent for minutes, and no others. Which rows do
so shows in the rounds of a launch, where nothing of the code changes; the part is then removed from launches and runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwbench.measure.statistics import MAD_TO_SD, Floats, weighted_median

# Fewer say nothing about what varies together, and the correlations of more are too many.
_FEWEST_ROUNDS, _FEWEST_ROWS, _MOST_ROWS = 40, 5, 2000
# Rows whose correlation with the common part is below this have none of it.
_LEAST_CORRELATION = 0.4
_CLIPPED = 2.0
_OVER_CHANCE = 1.2
# How far apart runs are in the part, in its deviations between rounds: the prior's own deviation, and the most.
_RUN_DEVIATION, _MOST_SWING = 1.0, 4.0
_OFFERED = 801
_SWEEPS = 8
_FACTOR_SWEEPS = 20
_SMALLEST_DEVIATION = 1e-5


def swing_loadings(launches: Sequence[Floats]) -> Floats:
    """The standard deviation from round to round that each row has by the part, as a log; 0 for rows without it.

    Shape (rows,). From log latencies of rounds, a matrix (rows, rounds) for each launch, NaN where not measured: one
    factor of the correlations between rows (principal axis factoring), without what all rows share.
    """
    rows = len(launches[0]) if launches else 0
    usable = [one[:, 2 * np.isfinite(one).sum(axis=0) > rows] for one in launches]
    if sum(one.shape[1] for one in usable) < _FEWEST_ROUNDS or not _FEWEST_ROWS <= rows <= _MOST_ROWS:
        return np.zeros(rows)
    together = np.concatenate([_deviations(one) for one in usable if one.shape[1]], axis=1)
    spread = np.maximum(MAD_TO_SD * np.nan_to_num(_medians(np.abs(together))), _SMALLEST_DEVIATION)
    scaled = np.clip(np.nan_to_num(together / spread[:, None]), -_CLIPPED, _CLIPPED)
    scaled /= np.maximum(np.sqrt(np.mean(scaled**2, axis=1)), _SMALLEST_DEVIATION)[:, None]
    correlations = scaled @ scaled.T / scaled.shape[1]
    # Where rows vary each on its own, the largest eigenvalue is at most this (Marchenko and Pastur 1967).
    if np.linalg.eigvalsh(correlations)[-1] < _OVER_CHANCE * (1 + np.sqrt(rows / scaled.shape[1])) ** 2:
        return np.zeros(rows)
    with_part = _one_factor(correlations)
    return np.where(np.abs(with_part) < _LEAST_CORRELATION, 0.0, with_part * spread)


def without_swing(runs: Sequence[Floats], loadings: Floats) -> tuple[Floats, ...]:
    """Levels of runs of the same rows, rows x launches, without what varies within each run along the loadings.

    Levels are logs, NaN where not measured. The part of a launch is a weighted median over rows, so that one that is
    slow on its own has none in it.
    """
    if not loadings.any():
        return tuple(runs)
    scores = [np.zeros(levels.shape[1]) for levels in runs]
    spread = _spread(runs)
    for _ in range(_SWEEPS):
        # Rows are not all in the same launches: what they are centred at must not depend on which those are.
        centred = [
            levels - _medians(levels - np.outer(loadings, own))[:, None]
            for levels, own in zip(runs, scores, strict=True)
        ]
        scores = [_from_median(np.array([_slope(loadings, launch, spread) for launch in one.T])) for one in centred]
    return tuple(levels - np.outer(loadings, own) for levels, own in zip(runs, scores, strict=True))


def likely_swing(change: Floats, loadings: Floats, deviation: Floats, told_by: NDArray[np.bool_]) -> Floats:
    """What each row changes by, as a log, since the part differs between two runs; shape (rows,).

    `change` and `deviation` are those of rows; rows in `told_by` tell, each row by the others. It is the mode of the
    part's posterior: changes are Laplace, so that rows that changed on their own have little part in it, and its prior
    is normal.
    """
    offered = np.linspace(-_MOST_SWING, _MOST_SWING, _OFFERED)
    left = np.sqrt(2) * np.abs(change[:, None] - np.outer(loadings, offered)) / deviation[:, None]
    left[~told_by | (loadings == 0)] = 0.0
    costs = left.sum(axis=0) - left + offered**2 / (2 * _RUN_DEVIATION**2)
    found: Floats = loadings * offered[np.argmin(costs, axis=1)]
    return found


def _slope(of: Floats, values: Floats, scale: Floats) -> float:
    """The b of least sum |values - b of| / scale; 0 where nothing tells it."""
    known = np.isfinite(values) & (of != 0)
    if not known.any():
        return 0.0
    return weighted_median(values[known] / of[known], np.abs(of[known]) / scale[known])


def _deviations(launch: Floats) -> Floats:
    """Of a launch's rounds, without the rows' levels and without what all rows of a round share."""
    left = launch - _medians(launch)[:, None]
    left = left - np.nanmedian(left, axis=0)
    found: Floats = left - _medians(left)[:, None]
    return found


def _one_factor(correlations: Floats) -> Floats:
    """Correlations of rows with one common factor, from those between rows; its largest is positive."""
    reduced = correlations.copy()
    found = np.zeros(len(correlations))
    for _ in range(_FACTOR_SWEEPS):
        values, vectors = np.linalg.eigh(reduced)
        found = vectors[:, -1] * np.sqrt(max(values[-1], 0.0))
        np.fill_diagonal(reduced, np.minimum(found**2, 1.0))
    signed: Floats = found * np.sign(found[np.argmax(np.abs(found))] or 1.0)
    return signed


def _spread(runs: Sequence[Floats]) -> Floats:
    """How far rows scatter within the runs, from medians."""
    together = np.concatenate([levels - _medians(levels)[:, None] for levels in runs], axis=1)
    return np.maximum(MAD_TO_SD * _medians(np.abs(together)), _SMALLEST_DEVIATION)


def _medians(values: Floats) -> Floats:
    """Of what each row has; NaN where that is nothing."""
    known = np.isfinite(values).any(axis=1)
    found = np.full(len(values), np.nan)
    found[known] = np.nanmedian(values[known], axis=1)
    return found


def _from_median(scores: Floats) -> Floats:
    return scores - np.median(scores)
