"""A sum over positions that bounds an interval's upper end from below.

An upper end is no sum: independent errors of rows add in squares, what moves all rows together adds linearly, and the
additivity error is a share of the total. A search that adds up needs a sum, and stays exact with one that is never
above: it lists candidates by the sum and keeps those whose true upper end holds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError
from hwbench.tables.source import Parts, Sum


def sure_bound(parts: Parts, widening: float) -> Sum:
    """A sum R with R <= mean + widening * (upper - mean) for every architecture; `widening` is not negative.

    For a unit vector u, sqrt(x^2 + y^2 + z^2) >= u . (x, y, z) (Cauchy and Schwarz), with equality where u points the
    way of (x, y, z): that of an average architecture. y (shared) and z (additivity) are sums; x, the root of a sum of
    variances, is concave and so not below its chord between the smallest and the largest sum.
    Raises DataError where the source gives no spread for a row.
    """
    variances = (np.array([parts.variance.fixed]), *parts.variance.offered)
    if not all(np.isfinite(values).all() for values in variances):
        raise DataError(
            "A row of the table has no spread, so nothing can be sure.", hint="Search without a confidence."
        )
    smallest, largest = (float(np.sqrt(sum(end(values) for values in variances))) for end in (np.min, np.max))
    typical = np.array(
        [np.sqrt(_average(parts.variance)), _average(parts.shared_us), parts.relative * _average(parts.mean_us)]
    )
    length = float(np.linalg.norm(typical))
    own, shared, relative = typical / length if length else np.zeros(3)
    slope = own / (smallest + largest) if smallest + largest else 0.0

    def bound(
        mean: NDArray[np.float64], variance: NDArray[np.float64], together: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        found: NDArray[np.float64] = mean + widening * (
            shared * together + relative * parts.relative * mean + slope * variance
        )
        return found

    fixed = bound(*(np.array(one.fixed) for one in (parts.mean_us, parts.variance, parts.shared_us)))
    # The chord: smallest + (variance - smallest^2) / (smallest + largest).
    start = own * smallest - slope * smallest**2
    each = zip(parts.mean_us.offered, parts.variance.offered, parts.shared_us.offered, strict=True)
    return Sum(float(fixed) + widening * start, tuple(bound(*values) for values in each))


def _average(one: Sum) -> float:
    """The sum for an average choice at every position."""
    return one.fixed + float(sum(values.mean() for values in one.offered))
