"""Ridge regression, its strength chosen by closed-form leave-one-out (Golub, Heath, Wahba 1979, equation 1.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STRENGTHS = np.logspace(-5, 2, 15)
_CLIP = 5 * 1.4826


class RidgeDesign:
    """Rows that many targets share, decomposed once; `features` has shape (n, p)."""

    def __init__(self, features: Floats) -> None:
        self.mean = features.mean(axis=0)
        self._centred = features - self.mean
        values, self._vectors = np.linalg.eigh(self._centred.T @ self._centred)
        self._values = np.maximum(values, 0)
        self._rotated = self._centred @ self._vectors
        self._squared = self._rotated**2

    def fit(self, values: Floats) -> tuple[Floats, float]:
        """Coefficients, shape (p,), and the constant. Residuals are clipped once at 5 median absolute deviations,
        since tables of others hold spikes too."""
        coefficients, residuals = self._fit(values)
        bound = _CLIP * np.median(np.abs(residuals)) + 1e-9
        fitted = values.mean() + self._centred @ coefficients
        clipped = fitted + np.clip(values - fitted, -bound, bound)
        coefficients, _ = self._fit(clipped)
        return coefficients, float(clipped.mean() - self.mean @ coefficients)

    def _fit(self, values: Floats) -> tuple[Floats, Floats]:
        """Coefficients and leave-one-out residuals at the strength with the smallest of these."""
        centred = values - values.mean()
        projected = self._rotated.T @ centred
        best: tuple[float, Floats, Floats] | None = None
        for strength in STRENGTHS:
            shrunk = projected / (self._values + strength)
            leverage = 1 / len(values) + self._squared @ (1 / (self._values + strength))
            residuals = (centred - self._rotated @ shrunk) / (1 - np.minimum(leverage, 0.999))
            error = float((residuals**2).mean())
            if best is None or error < best[0]:
                best = error, shrunk, residuals
        assert best is not None
        coefficients: Floats = self._vectors @ best[1]
        return coefficients, best[2]
