"""Ranks and rank correlations of many targets under resampling, as pure functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
# (generator, draws) -> latencies that other runs could have given, shape (draws, n).
Redraw: TypeAlias = Callable[[np.random.Generator, int], Floats]

# Differences of two values beyond this many of their standard deviations are real, at 95 %.
_TELLS_APART = 1.959964 * np.sqrt(2.0)
_CHUNK = 50


def midranks(values: Floats, noise: Floats | None = None) -> Floats:
    """Ranks from 1, ties sharing their mean; shape (n,).

    `noise` is the relative standard deviation of each value, shape (n,): values that it cannot tell apart are ties, so
    a rank is one half plus the number of values clearly below plus half of those within the noise.
    """
    logs = np.log(values) if noise is not None else values
    ordered = np.sort(logs)
    width = np.zeros_like(logs) if noise is None else _TELLS_APART * noise
    below = np.searchsorted(ordered, logs - width, "left")
    up_to = np.searchsorted(ordered, logs + width, "right")
    ranks: Floats = (below + up_to + 1) / 2.0
    return ranks


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's correlation; NaN when one side is constant."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def resample(n: int, draws: int, rng: np.random.Generator) -> Floats:
    """How often each of n architectures occurs in each resample of n of them; shape (draws, n)."""
    picks = rng.integers(0, n, size=(draws, n)) + n * np.arange(draws)[:, None]
    counts: Floats = np.bincount(picks.ravel(), minlength=draws * n).reshape(draws, n).astype(float)
    return counts


def resampled_spearman(values: Floats, weights: Floats) -> Floats:
    """Spearman matrices of resamples, shape (draws, targets, targets); `values` (n, targets), `weights` (draws, n)."""
    sorts = [_sorted(column) for column in values.T]
    found = np.empty((len(weights), values.shape[1], values.shape[1]))
    for first in range(0, len(weights), _CHUNK):
        chunk = weights[first : first + _CHUNK]
        ranks = np.stack([_ranks_in_order(chunk, *one) for one in sorts], axis=1)
        found[first : first + _CHUNK] = _weighted_correlations(ranks, chunk)
    return found


def redrawn_spearman(redraws: Sequence[Redraw], weights: Floats, rng: np.random.Generator) -> Floats:
    """As `resampled_spearman`, every resample with latencies of its own; shape (draws, targets, targets)."""
    found = np.empty((len(weights), len(redraws), len(redraws)))
    for first in range(0, len(weights), _CHUNK):
        chunk = weights[first : first + _CHUNK]
        ranks = np.stack([_ranks(chunk, redraw(rng, len(chunk))) for redraw in redraws], axis=1)
        found[first : first + _CHUNK] = _weighted_correlations(ranks, chunk)
    return found


def _sorted(column: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Order, its inverse, and for each sorted value how many are below it and how many up to it."""
    order = np.argsort(column)
    inverse = np.argsort(order)
    ordered = column[order]
    return order, inverse, np.searchsorted(ordered, ordered, "left"), np.searchsorted(ordered, ordered, "right")


def _ranks_in_order(
    weights: Floats,
    order: NDArray[np.intp],
    inverse: NDArray[np.intp],
    below: NDArray[np.intp],
    up_to: NDArray[np.intp],
) -> Floats:
    """Midranks of resamples of one column whose order is known, less one half; shape (draws, n)."""
    total = np.zeros((len(weights), len(order) + 1))
    np.cumsum(weights[:, order], axis=1, out=total[:, 1:])
    if np.array_equal(below, np.arange(len(order))):
        ranks: Floats = ((total[:, :-1] + total[:, 1:]) / 2)[:, inverse]
    else:
        ranks = ((total[:, below] + total[:, up_to]) / 2)[:, inverse]
    return ranks


def _ranks(weights: Floats, values: Floats) -> Floats:
    """The same for values that differ between resamples and have no ties; shape (draws, n)."""
    order = np.argsort(values, axis=1)
    own = np.take_along_axis(weights, order, axis=1)
    ranks = np.empty_like(values)
    np.put_along_axis(ranks, order, np.cumsum(own, axis=1) - own / 2, axis=1)
    return ranks


def _weighted_correlations(ranks: Floats, weights: Floats) -> Floats:
    """`ranks` (draws, targets, n) -> (draws, targets, targets). A rank's weighted mean is half the sum of weights."""
    centred = (ranks - weights.sum(axis=1)[:, None, None] / 2) * np.sqrt(weights)[:, None, :]
    gram = centred @ centred.transpose(0, 2, 1)
    scale = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = gram / (scale[:, :, None] * scale[:, None, :])
    return found
