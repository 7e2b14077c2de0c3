"""What the columns of a matrix say about each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from hwbench.tables.matrix import Column

_SAME = 0.999
_FEWEST = 10


def same_columns(columns: Sequence[Column]) -> list[str]:
    """A remark for each pair that is equal, or equal but for a little noise: probably one column twice."""
    arrays = {column.target: np.array(column.values, float) for column in columns}
    remarks = []
    for (left, a), (right, b) in itertools.combinations(arrays.items(), 2):
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() < _FEWEST or not (np.ptp(a[both]) and np.ptp(b[both])):
            continue
        if np.array_equal(a[both], b[both]):
            remarks.append(f"columns {left} and {right} are identical")
            continue
        ratio = a[both] / b[both]
        # Two machines may well correlate; that they also agree in scale, row by row, is no accident.
        if np.corrcoef(a[both], b[both])[0, 1] > _SAME and ratio.min() > 0.9 and ratio.max() < 1.1:
            remarks.append(f"columns {left} and {right} are almost the same: probably one column twice")
    return remarks


def whole_milliseconds(column: Column) -> bool:
    """Whether every value is a whole number of milliseconds, and so known to no more than that."""
    values = np.array(column.values, float)
    known = values[np.isfinite(values)]
    return bool(len(known) and (np.mod(known, 1000.0) == 0).all())
