"""What a target's whole column of latencies may be, given few measurements on it and a pool of other targets.

Log latencies over architectures are taken as

    level + scale * (mean of the pool's columns + mixture of their deviations from it + additive part + rest)

with Gaussian weights: the additive part is linear in features of the architectures, the rest has no structure but
scatters most where that of the pool does. Level and scale are not known beforehand (uniform, and 1/scale, so that the
weights are Student's t). How large the parts are relative to the first is not known either: every combination of a
grid counts as much as the measurements, and the pool's own targets, each left out in turn, make it probable (empirical
Bayes; Gelman et al., Bayesian Data Analysis, chapter 5).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.transfer.ranks import Floats

# Standard deviations relative to that of the pool's mean column, whose weight has 1.
_MIXTURE = (0.5, 1.0, 2.0, 4.0)
_ADDITIVE = (0.0, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
_REST = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
_GRID = np.array(list(itertools.product((1.0,), _MIXTURE, _ADDITIVE, _REST)))
# Architectures and targets of the pool that say how large the parts are.
_LEARNT_ROWS = 64
_LEARNT_TARGETS = 24
# What no target of the pool shows counts as if this many of them did.
_UNSEEN = 1.0
# How far the scatter of the rest follows that of the pool at each architecture.
_FOLLOWED = 0.6


class Pool(msgspec.Struct, frozen=True):
    """Standardised log latencies (n, targets) of complete rows and features (n, p) of mean square norm 1.

    `unrest` (n,) is the standard deviation of the rest, of mean square 1, at each architecture. `beliefs` (settings,):
    how probable each setting of `_GRID` is for a target of this kind.
    """

    columns: Floats
    features: Floats
    unrest: Floats
    beliefs: Floats


def pool_of(logs: Floats, features: Sequence[Floats], rng: np.random.Generator) -> Pool:
    """A pool from log latencies (n, targets) without gaps; groups of features (n, p) share the additive part."""
    columns = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    additive = np.hstack([np.zeros((len(logs), 0)), *map(_normed, features)]) / np.sqrt(max(len(features), 1))
    rows = rng.permutation(len(logs))[:_LEARNT_ROWS]
    targets = rng.permutation(columns.shape[1])[:_LEARNT_TARGETS]
    unrest = _unrest(columns, additive)
    found = np.full(len(_GRID), _UNSEEN / len(_GRID))
    if columns.shape[1] > 1:
        for target in targets:
            parts = _parts(np.delete(columns[rows], target, axis=1), additive[rows])
            found += _softmax(_evidence(parts, unrest[rows], columns[rows, target]))
    return Pool(columns, additive, unrest, found / found.sum())


def draws(
    pool: Pool, rows: NDArray[np.intp], measured: NDArray[np.intp], log_us: Floats, count: int, rng: np.random.Generator
) -> Floats:
    """Columns that the target may have at `rows`, then at `measured`, less its level; shape (count, rows + measured).

    `log_us` (measured,) is what was measured there.
    """
    parts = _parts(pool.columns, pool.features)
    known = [part[measured] for part in parts]
    weights = pool.beliefs * _softmax(_evidence(known, pool.unrest[measured], log_us))
    picked = rng.choice(len(_GRID), size=count, p=weights / weights.sum())
    found = [
        _conditioned(pool, parts, rows, measured, log_us, _GRID[setting], int(times), rng)
        for setting, times in zip(*np.unique(picked, return_counts=True), strict=True)
    ]
    return np.concatenate(found)


def _conditioned(
    pool: Pool,
    parts: list[Floats],
    rows: NDArray[np.intp],
    measured: NDArray[np.intp],
    log_us: Floats,
    setting: Floats,
    count: int,
    rng: np.random.Generator,
) -> Floats:
    """Draws under one setting by Matheron's rule: from the prior, corrected by what they miss of the measurements."""
    *sizes, rest = setting
    scaled = np.hstack([size * part for size, part in zip(sizes, parts, strict=True)])
    contrasts, noise = _contrasts(len(measured)), rest * pool.unrest
    known = contrasts @ scaled[measured]
    covariance = known @ known.T + (contrasts * noise[measured] ** 2) @ contrasts.T
    y = contrasts @ log_us
    scale = np.sqrt(y @ np.linalg.solve(covariance, y) / rng.chisquare(len(y), size=(count, 1)))
    weights = scale * rng.standard_normal((count, scaled.shape[1]))
    own = scale * noise[measured] * rng.standard_normal((count, len(measured)))
    gain = np.linalg.solve(covariance, (y - weights @ known.T - own @ contrasts.T).T).T
    weights += gain @ known
    own += noise[measured] ** 2 * (gain @ contrasts)
    elsewhere = weights @ scaled[rows].T + scale * noise[rows] * rng.standard_normal((count, len(rows)))
    return np.hstack([elsewhere, weights @ scaled[measured].T + own])


def _parts(columns: Floats, features: Floats) -> list[Floats]:
    """The pool's mean column, its columns' deviations from it, and features; each (n, weights) for unit weights."""
    mean = columns.mean(axis=1, keepdims=True)
    return [mean, (columns - mean) / np.sqrt(columns.shape[1]), features]


def _evidence(parts: list[Floats], unrest: Floats, y: Floats) -> Floats:
    """Log probability of the contrasts of y (k,) under each setting, level and scale integrated out."""
    contrasts = _contrasts(len(y))
    grams = [(contrasts @ part) @ (contrasts @ part).T for part in parts]
    grams.append((contrasts * unrest**2) @ contrasts.T)
    covariance = np.tensordot(_GRID**2, np.stack(grams), axes=1)
    triangle = np.linalg.cholesky(covariance)
    white = np.linalg.solve(triangle, np.broadcast_to((contrasts @ y)[:, None], (len(_GRID), len(contrasts), 1)))
    squares = (white[:, :, 0] ** 2).sum(axis=1)
    logdet = 2 * np.log(np.diagonal(triangle, axis1=1, axis2=2)).sum(axis=1)
    found: Floats = -0.5 * logdet - 0.5 * len(contrasts) * np.log(np.maximum(squares, 1e-300))
    return found


def _unrest(columns: Floats, features: Floats) -> Floats:
    """How far the pool's columns are, at each architecture, from what their mean and features say; mean square 1, (n,).

    The architectures that tell most, chosen by these columns, are where they scatter most.
    """
    design = np.hstack([np.ones((len(columns), 1)), columns.mean(axis=1, keepdims=True), features])
    gram = design.T @ design + 1e-3 * len(columns) * np.eye(design.shape[1])
    left = columns - design @ np.linalg.solve(gram, design.T @ columns)
    squares = (left**2).mean(axis=1) + 1e-12
    found: Floats = np.sqrt(_FOLLOWED * squares / squares.mean() + 1 - _FOLLOWED)
    return found


def _contrasts(k: int) -> Floats:
    """Orthonormal rows (k - 1, k) that sum to 0: what is left of k values without their level."""
    return np.asarray(np.linalg.qr(np.eye(k) - 1 / k)[0].T[: k - 1], float)


def _normed(features: Floats) -> Floats:
    """Centred features scaled to a mean square norm of 1; constant ones left out."""
    centred = features - features.mean(axis=0)
    kept = centred[:, np.ptp(features, axis=0) > 0]
    found: Floats = kept / np.sqrt(max(float((kept**2).sum(axis=1).mean()), 1e-12))
    return found


def _softmax(logs: Floats) -> Floats:
    weights = np.exp(logs - logs.max())
    found: Floats = weights / weights.sum()
    return found
