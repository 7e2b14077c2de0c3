"""Sums of table rows for very many architectures: positions packed four at a time into one index.

For a search that looks at 10^8 architectures; `TableSource.predict` gives intervals as well and is slower.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.errors import DataError
from hwbench.spaces.space import ChainSpace, Space
from hwbench.tables.source import refuse_missing

_TOGETHER = 4
# Architectures per step: their indices and sums stay in the second-level cache.
_STEP = 131_072
_MOST_IN_PAIR = 256


class AdditiveSource(Protocol):
    """A source whose latency is a sum over positions."""

    space: Space

    def offered_us(self) -> tuple[float, tuple[NDArray[np.float64], ...]]:
        """The sum of what is fixed, and for each position the latency of each choice (NaN: missing)."""

    def missing(self, architectures: ArrayLike) -> tuple[str, ...]: ...


class PackedTable:
    """Means of a source, from columns: one row of uint8 choices per position. Raises DataError for other spaces."""

    def __init__(self, source: AdditiveSource) -> None:
        if not isinstance(source.space, ChainSpace):
            raise DataError(f"Sums are packed for chains of independent positions, which {source.space.name} is not.")
        self._source = source
        self._fixed, offered = source.offered_us()
        self._counts = [len(choices) for choices in offered]
        if max(self._counts) ** 2 > _MOST_IN_PAIR:
            raise DataError(f"{source.space.name} has positions of more than 16 choices.")
        self._complete = all(np.isfinite(choices).all() for choices in offered) and np.isfinite(self._fixed)
        self._sums = [_outer_sum(offered[at : at + _TOGETHER]) for at in range(0, len(offered), _TOGETHER)]

    def mean_us(self, columns: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Shape (positions, n) to (n,). Choices are not checked: one that a position lacks gives a wrong sum.

        Raises DataError for another shape or type, MissingRows when a needed row is missing.
        """
        if columns.ndim != 2 or len(columns) != len(self._counts) or columns.dtype != np.uint8:
            raise DataError(
                f"Columns of {self._source.space.name} are uint8 of shape ({len(self._counts)}, n), "
                f"not {columns.dtype} of {columns.shape}."
            )
        total = np.full(columns.shape[1], self._fixed)
        parts = np.empty(min(_STEP, columns.shape[1]))
        for begin in range(0, columns.shape[1], _STEP):
            step = columns[:, begin : begin + _STEP]
            out = total[begin : begin + _STEP]
            for number, sums in enumerate(self._sums):
                first = number * _TOGETHER
                index = self._index(step[first : first + _TOGETHER], self._counts[first : first + _TOGETHER])
                np.take(sums, index, out=parts[: len(out)], mode="clip")
                out += parts[: len(out)]
        if not self._complete and not np.isfinite(total).all():
            refuse_missing(self._source.missing(columns.T[~np.isfinite(total)]), self._source.space)
        return total

    def _index(self, columns: NDArray[np.uint8], counts: list[int]) -> NDArray[np.unsignedinteger]:
        """One index for up to four positions, the last one fastest: pairs in 8 bits, pairs of pairs in 16."""
        pairs = [_pair(columns[at : at + 2], counts[at : at + 2]) for at in range(0, len(columns), 2)]
        if len(pairs) == 1:
            return pairs[0]
        index = pairs[0].astype(np.uint16)
        index *= np.uint16(int(np.prod(counts[2:])))
        index += pairs[1].astype(np.uint16)
        return index


def _pair(columns: NDArray[np.uint8], counts: list[int]) -> NDArray[np.uint8]:
    index: NDArray[np.uint8] = columns[0]
    if len(columns) == 2:
        index = index * np.uint8(counts[1])
        index += columns[1]
    return index


def _outer_sum(offered: tuple[NDArray[np.float64], ...]) -> NDArray[np.float64]:
    """All sums of one value per array, the last array fastest."""
    sums = np.zeros(1)
    for values in offered:
        sums = (sums[:, None] + values[None, :]).reshape(-1)
    return sums
