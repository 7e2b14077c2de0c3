"""Scales of features, fixed on the source architectures so that new ones can be read the same way."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Scaling(msgspec.Struct, frozen=True):
    """An affine map of columns; `factor` is 0 where a column is constant."""

    centre: Floats
    factor: Floats

    def apply(self, values: Floats) -> Floats:
        return (values - self.centre) * self.factor


def by_norm(values: Floats) -> Scaling:
    """Centred, rows of mean squared norm 1; the columns keep their proportions."""
    centre = values.mean(axis=0)
    norm = np.sqrt(((values - centre) ** 2).sum(axis=1).mean())
    return Scaling(centre, np.full(values.shape[1], 1 / norm if norm > 1e-9 else 0.0))


def by_deviation(values: Floats) -> Scaling:
    """Each column centred, with deviation 1."""
    centre, deviation = values.mean(axis=0), values.std(axis=0)
    varies = deviation > 1e-9 * np.maximum(np.abs(centre), 1)
    return Scaling(centre, np.where(varies, 1 / np.where(varies, deviation, 1), 0))


def by_column(values: Floats) -> Scaling:
    """Each column centred with the same deviation, rows of mean squared norm 1."""
    found = by_deviation(values)
    varying = int((found.factor > 0).sum())
    return Scaling(found.centre, found.factor / np.sqrt(max(varying, 1)))
