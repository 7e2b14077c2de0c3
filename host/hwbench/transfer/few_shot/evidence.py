"""Gaussian processes with every hyper-parameter draw and base, their scale integrated out.

With r = t - slope * base, covariance K up to a scale that has an inverse gamma prior (shape a, rate b):

    log p(t) = -1/2 log|K| - (a + n/2) log(b + r' K^-1 r / 2) + constant

(Rasmussen, Williams 2006, section 5.1, and O'Hagan, Forster 2004, section 11.2, for the integral).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.transfer.few_shot.prior import Encoded, Prior

Floats = NDArray[np.float64]


class Components(msgspec.Struct, frozen=True):
    """Base by base (the last is none), draw by draw: K components of n measurements.

    `inverse` (K, n, n) of the covariance, `weighted` (K, n) is the inverse times the residual, `quadratic` and
    `log_determinant` (K,).
    """

    inverse: Floats
    weighted: Floats
    quadratic: Floats
    log_determinant: Floats

    @property
    def measurements(self) -> int:
        return len(self.weighted[0])


def draw_covariances(prior: Prior, measured: Encoded) -> Floats:
    """Covariance of the measurements per draw, without base: shape (draws, n, n)."""
    n = len(measured)
    grams = np.stack([group @ group.T for group in measured.groups])
    found: Floats = np.tensordot(prior.draws.variances, grams, 1)
    found += prior.draws.noise[:, None, None] * np.eye(n) + prior.settings.constant
    return found


def components(covariances: Floats, bases: Floats, standard: Floats, slope: float, variance: float) -> Components:
    """All of `covariances` (draws, n, n) x `bases` (n, B) and no base; a slope's uncertainty is a rank-one update."""
    inverse = np.asarray(np.linalg.inv(covariances), np.float64)
    log_determinant = np.asarray(np.linalg.slogdet(covariances)[1], np.float64)
    found = [_with_base(inverse, log_determinant, base, standard, slope, variance) for base in bases.T]
    weighted = inverse @ standard
    found.append((inverse, weighted, weighted @ standard, log_determinant))
    return Components(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _with_base(
    inverse: Floats, log_determinant: Floats, base: Floats, standard: Floats, slope: float, variance: float
) -> tuple[Floats, Floats, Floats, Floats]:
    solved = inverse @ base
    factor = 1 / variance + solved @ base
    updated = inverse - solved[:, :, None] * (solved / factor[:, None])[:, None, :]
    residual = standard - slope * base
    weighted = updated @ residual
    return updated, weighted, weighted @ residual, log_determinant + np.log(variance * factor)


def log_evidence(log_determinant: Floats, quadratic: Floats, n: int, shape: float, rate: float) -> Floats:
    """log p(t) up to a constant that all components of n measurements share."""
    found: Floats = -0.5 * log_determinant - (shape + n / 2) * np.log(rate + np.maximum(quadratic, 0) / 2)
    return found
