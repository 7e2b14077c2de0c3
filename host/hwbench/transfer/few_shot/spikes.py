"""Spiked measurements: each has a small prior probability of a far larger noise, and all cases are weighed.

A spike adds a variance to one diagonal element of the covariance: a rank-one update of inverse and determinant, so
every single spike, and every pair, is weighed in closed form.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.transfer.few_shot.evidence import Components, log_evidence
from hwbench.transfer.few_shot.settings import Settings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_MOST_SUSPECTS = 16


class SpikeWeights(msgspec.Struct, frozen=True):
    """Posterior weights that sum to 1 over components without a further spike (K,) and with one there (K, n).

    `probability` (n,) is each measurement's of being spiked, pairs taken into account.
    """

    clean: Floats
    spiked: Floats
    probability: Floats


def weigh(found: Components, settings: Settings, candidates: Bools) -> SpikeWeights:
    """`candidates` (n,): which measurements can be spiked further."""
    n, odds = found.measurements, np.log(settings.spike_probability / (1 - settings.spike_probability))
    clean = log_evidence(found.log_determinant, found.quadratic, n, settings.shape, settings.rate)
    gained = 1 / settings.spike_variance + np.diagonal(found.inverse, axis1=1, axis2=2)
    spiked = odds + log_evidence(
        found.log_determinant[:, None] + np.log(settings.spike_variance * gained),
        found.quadratic[:, None] - found.weighted**2 / gained,
        n, settings.shape, settings.rate,
    )  # fmt: skip
    spiked[:, ~candidates] = -np.inf
    suspects = np.argsort(-_log_sum(spiked))[:_MOST_SUSPECTS]
    first, second, both = _pairs(found, gained, settings, suspects[candidates[suspects]])
    highest = max(clean.max(), spiked.max(), both.max(initial=-np.inf))
    clean, spiked, pairs = np.exp(clean - highest), np.exp(spiked - highest), np.exp(both - highest).sum(axis=0)
    total = clean.sum() + spiked.sum()
    probability = spiked.sum(axis=0)
    np.add.at(probability, first, pairs)
    np.add.at(probability, second, pairs)
    return SpikeWeights(clean / total, spiked / total, probability / (total + pairs.sum()))


def _pairs(
    found: Components, gained: Floats, settings: Settings, suspects: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Both spiked, for each pair of suspects: their numbers, and log weights (K, pairs)."""
    places = np.triu_indices(len(suspects), 1)
    first, second = suspects[places[0]], suspects[places[1]]
    odds = np.log(settings.spike_probability / (1 - settings.spike_probability))
    cross = found.inverse[:, first, second]
    left, right = gained[:, first], gained[:, second]
    determinant = np.maximum(left * right - cross**2, 1e-300)
    a, b = found.weighted[:, first], found.weighted[:, second]
    removed = (a**2 * right - 2 * a * b * cross + b**2 * left) / determinant
    weights = 2 * odds + log_evidence(
        found.log_determinant[:, None] + 2 * np.log(settings.spike_variance) + np.log(determinant),
        found.quadratic[:, None] - removed,
        found.measurements, settings.shape, settings.rate,
    )  # fmt: skip
    return first, second, weights


def _log_sum(values: Floats) -> Floats:
    """log of the sum of exponentials over rows."""
    highest = values.max(axis=0)
    safe = np.where(np.isfinite(highest), highest, 0)
    with np.errstate(divide="ignore"):
        found: Floats = safe + np.log(np.exp(values - safe).sum(axis=0))
    return found
