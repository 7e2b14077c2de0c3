"""Columns of a matrix that cannot be trusted: values that are no latencies, stand-ins, one column twice."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.tables.matrix import LatencyMatrix

Kind: TypeAlias = Literal["missing", "not positive", "stand-in", "constant", "same"]

# A column without so many of its values is no sample of the same architectures any more.
_MISSING = 0.01
# One value in so many rows, so far from all others, stands for something that is not a latency.
_STAND_IN_SHARE = 0.005
_STAND_IN_RATIO = 3.0
_SAME = 0.999
_SAME_SCALE = 1.1
_FEWEST = 10


class Flaw(msgspec.Struct, frozen=True):
    """What is wrong with a column, in one sentence; `count` rows show it."""

    target: str
    kind: Kind
    count: int
    text: str


def of_matrix(matrix: LatencyMatrix) -> tuple[Flaw, ...]:
    """The flaws of a matrix's columns; what an import refused is missing here."""
    return find({target: matrix.column(target) for target in matrix.targets})


def find(columns: Mapping[str, NDArray[np.float64]]) -> tuple[Flaw, ...]:
    """The flaws of columns of values over the same architectures, each of shape (n,), NaN where there is none."""
    single = [flaw for target, values in columns.items() for flaw in _of_column(target, values)]
    twins = [
        flaw
        for (a, left), (b, right) in itertools.combinations(columns.items(), 2)
        for flaw in _twins(a, left, b, right)
    ]
    return (*single, *twins)


def unflawed(matrix: LatencyMatrix) -> tuple[str, ...]:
    """Targets without a flaw. Of one column twice neither is kept: which target it belongs to is not known."""
    flawed = {flaw.target for flaw in of_matrix(matrix)}
    return tuple(target for target in matrix.targets if target not in flawed)


def _of_column(target: str, values: NDArray[np.float64]) -> list[Flaw]:
    found: list[Flaw] = []
    known = values[np.isfinite(values)]
    lacking = len(values) - len(known)
    if lacking > _MISSING * len(values):
        text = f"{target} has no value for {lacking} of {len(values)} architectures"
        found.append(Flaw(target, "missing", lacking, text))
    if wrong := int((known <= 0).sum()):
        text = f"{target} has {wrong} values that are not positive, {known.min():g} among them"
        found.append(Flaw(target, "not positive", wrong, text))
    positive = known[known > 0]
    if len(positive) >= 2 and np.ptp(positive) == 0:
        return [*found, Flaw(target, "constant", len(positive), f"{target} has one value everywhere: {positive[0]:g}")]
    distinct, counts = np.unique(positive, return_counts=True)
    if len(distinct) >= 2:
        for edge, neighbour in ((0, 1), (-1, -2)):
            ratio = max(distinct[edge] / distinct[neighbour], distinct[neighbour] / distinct[edge])
            count = int(counts[edge])
            if count >= max(2, _STAND_IN_SHARE * len(values)) and ratio > _STAND_IN_RATIO:
                text = f"{target} has {distinct[edge]:g} in {count} rows, {ratio:.1f} times away from all others"
                found.append(Flaw(target, "stand-in", count, text))
    return found


def _twins(a: str, left: NDArray[np.float64], b: str, right: NDArray[np.float64]) -> list[Flaw]:
    both = np.isfinite(left) & np.isfinite(right) & (left > 0) & (right > 0)
    count = int(both.sum())
    if count < _FEWEST or not (np.ptp(left[both]) and np.ptp(right[both])):
        return []
    ratio = left[both] / right[both]
    # Two machines may well correlate; that they also agree in scale, row by row, is no accident.
    same = np.corrcoef(left[both], right[both])[0, 1] > _SAME
    if not same or ratio.max() > _SAME_SCALE or ratio.min() < 1 / _SAME_SCALE:
        return []
    how = "are identical" if np.array_equal(left[both], right[both]) else "are almost the same"
    text = f"columns {a} and {b} {how}: probably one column twice"
    return [Flaw(a, "same", count, text), Flaw(b, "same", count, text)]
