"""The ridge bank: one smooth function of the architecture per source target."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError
from hwbench.transfer.few_shot.ridge import RidgeDesign

Floats = NDArray[np.float64]

FEWEST_ROWS = 5


class Bank(msgspec.Struct, frozen=True):
    """Sources as affine functions of features, each with mean 0 and deviation 1 over the source architectures.

    `residual_slopes` are the sources' slopes on their mean function.
    """

    coefficients: Floats
    constants: Floats
    mean_scale: float
    residual_slopes: Floats

    def bases(self, features: Floats) -> Floats:
        """The mean function, then each source; shape (n, 1 + sources)."""
        single = features @ self.coefficients + self.constants
        return np.hstack([single.mean(axis=1, keepdims=True) / self.mean_scale, single])

    def residuals(self, bases: Floats) -> Floats:
        """Sources less their share of the mean function, divided by the root of their number; (n, sources)."""
        found: Floats = (bases[:, 1:] - bases[:, :1] * self.residual_slopes) / np.sqrt(bases.shape[1] - 1)
        return found


def fit_bank(features: Floats, latency: Floats, targets: tuple[str, ...]) -> Bank:
    """`features` (n, p); `latency` (n, sources), NaN where there is none. Raises DataError for a useless source."""
    designs: dict[bytes, RidgeDesign] = {}
    coefficients, constants = [], []
    for target, values in zip(targets, latency.T, strict=True):
        known = np.isfinite(values)
        if known.sum() < FEWEST_ROWS or np.ptp(values[known]) <= 0:
            raise DataError(
                f"Source {target} has {int(known.sum())} latencies, which is too few or all the same; "
                f"{FEWEST_ROWS} different ones are the least."
            )
        key = known.tobytes()
        if key not in designs:
            designs[key] = RidgeDesign(features[known])
        standard = (values[known] - values[known].mean()) / values[known].std()
        slope, _ = designs[key].fit(standard)
        fitted = features @ slope
        deviation = max(float(fitted.std()), 1e-9)
        coefficients.append(slope / deviation)
        constants.append(-fitted.mean() / deviation)
    single = features @ np.stack(coefficients, axis=1) + np.array(constants)
    mean_scale = max(float(single.mean(axis=1).std()), 1e-9)
    mean = single.mean(axis=1) / mean_scale
    slopes = (single * mean[:, None]).mean(axis=0)
    return Bank(np.stack(coefficients, axis=1), np.array(constants), mean_scale, slopes)
