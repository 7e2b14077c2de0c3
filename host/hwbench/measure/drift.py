"""Drift: the factor that all rows of a round share (median polish, Tukey 1977, chapter 11)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SWEEPS = 20
_TOLERANCE = 1e-9


def round_factors(latency_us: NDArray[np.float64]) -> NDArray[np.float64]:
    """The factor of each round, shape (rounds,), with a median of 1.

    `latency_us` is rows x rounds, NaN where a row was not visited.

    Fits log latency = row + round by sweeping medians out of rows and columns.
    """
    if latency_us.size == 0:
        return np.ones(latency_us.shape[1] if latency_us.ndim == 2 else 0)
    residual = np.log(latency_us)
    effects = np.zeros(latency_us.shape[1])
    for _ in range(_SWEEPS):
        residual = residual - _nanmedian(residual, axis=1)[:, None]
        step = _nanmedian(residual, axis=0)
        residual = residual - step
        effects += step
        if np.abs(step).max(initial=0.0) < _TOLERANCE:
            break
    factors: NDArray[np.float64] = np.exp(effects - np.median(effects))
    return factors


def _nanmedian(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Median over what is there; 0 for a row or column of NaN alone."""
    filled = np.isfinite(values).any(axis=axis)
    safe = np.where(np.expand_dims(filled, axis), values, 0.0)
    medians: NDArray[np.float64] = np.nanmedian(safe, axis=axis)
    return medians
