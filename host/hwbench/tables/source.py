"""Latency sources: anything that gives a latency with its interval for architectures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.errors import DataError, MissingRows
from hwbench.measure.statistics import RUN_TO_RUN
from hwbench.records import Measurement
from hwbench.spaces.space import ChainSpace, Space
from hwbench.tables.lookup import LookupTable

_NORMAL_975 = 1.959964
_MOST_NAMED = 5


class Latencies(msgspec.Struct, frozen=True):
    """Microseconds per architecture, each of shape (n,)."""

    mean_us: NDArray[np.float64]
    lower_us: NDArray[np.float64]
    upper_us: NDArray[np.float64]


class LatencySource(Protocol):
    def missing(self, architectures: ArrayLike) -> tuple[str, ...]:
        """Keys that the source would need for these architectures and lacks."""

    def predict(self, architectures: ArrayLike) -> Latencies:
        """Raises MissingRows when something is missing: there is no default latency."""


class Term(msgspec.Struct, frozen=True):
    """One block's share of a prediction."""

    name: str
    key: str
    value_us: float
    lower_us: float
    upper_us: float
    flags: tuple[str, ...]


class Prediction(msgspec.Struct, frozen=True):
    """One architecture: the sum, its interval, and the parts of the interval's half-width.

    `measurement_us` comes from the rows' own intervals, `additivity_us` from how far sums were from whole
    networks in `table verify` (None: never verified, so the interval is too narrow).
    """

    value_us: float
    lower_us: float
    upper_us: float
    measurement_us: float
    additivity_us: float | None
    terms: tuple[Term, ...]


class Sum(msgspec.Struct, frozen=True):
    """A quantity that adds up: `fixed`, and for each position what each choice adds (NaN: not known)."""

    fixed: float
    offered: tuple[NDArray[np.float64], ...]


class Parts(msgspec.Struct, frozen=True):
    """What a prediction adds up to, with S for a sum over rows:

    upper_us = mean + sqrt(S variance + (S shared_us)^2 + (relative * mean)^2)        mean = S mean_us
    """

    mean_us: Sum
    variance: Sum
    shared_us: Sum
    relative: float


@runtime_checkable
class SummedSource(LatencySource, Protocol):
    """A source whose latencies are sums, as those of tables are. The space need not be a chain of positions."""

    space: Space

    def lacking(self) -> tuple[str, ...]:
        """The keys of rows that the space asks for and the source does not have."""

    def offered_us(self) -> tuple[float, tuple[NDArray[np.float64], ...]]:
        """The sum of what is fixed, and for each position what each choice adds (NaN: missing)."""

    def offered_parts(self) -> Parts:
        """What the upper end of an interval is made of."""


class TableSource:
    """A lookup table as a latency source for a space; a calibrated one predicts from its corrected rows.

    The interval of a sum: the rows' resampled parts are independent and add in squares; the spread between
    launches and between runs moves all rows together and adds linearly; the additivity error comes on top, in squares.
    """

    def __init__(self, table: LookupTable, space: Space) -> None:
        self.table = table
        self.space = space
        self._rows = table.calibrated()

    def needed(self) -> tuple[str, ...]:
        """Every key that the space asks for."""
        return tuple(block.key for block in self.space.distinct_blocks)

    def lacking(self) -> tuple[str, ...]:
        """The keys of `needed` that the table does not have."""
        return tuple(key for key in self.needed() if key not in self._rows)

    def keys_of(self, architecture: ArrayLike) -> tuple[str, ...]:
        """The key of each row that one architecture is a sum of."""
        return tuple(named.block.key for named in self.space.terms(architecture))

    def missing(self, architectures: ArrayLike) -> tuple[str, ...]:
        keys = {key: None for architecture in self.space.check(architectures) for key in self.keys_of(architecture)}
        return tuple(key for key in keys if key not in self._rows)

    def predict(self, architectures: ArrayLike) -> Latencies:
        archs = self.space.check(architectures)
        totals = self.space.total(np.array([self._parts(block.key) for block in self.space.distinct_blocks]), archs)
        if not np.isfinite(totals).all():
            refuse_missing(self.missing(archs), self.space)
        mean, below, above, shared_below, shared_above = totals.T
        extra = (self._additivity() or 0.0) * mean
        return Latencies(
            mean,
            np.maximum(mean - np.sqrt(below + shared_below**2 + extra**2), 0.0),
            mean + np.sqrt(above + shared_above**2 + extra**2),
        )

    def offered_us(self) -> tuple[float, tuple[NDArray[np.float64], ...]]:
        """The sum of the fixed blocks, and for each position the latency of each choice (NaN: missing)."""
        return block_offers(self.space, {key: row.value_us for key, row in self._rows.items()})

    def offered_parts(self) -> Parts:
        """What the upper end of an interval is made of. Raises DataError for a space that is no chain."""
        rows = {key: self._parts(key) for key in self._rows}
        mean, _, variance, _, shared = (
            Sum(*block_offers(self.space, {key: parts[column] for key, parts in rows.items()})) for column in range(5)
        )
        return Parts(mean, variance, shared, self._additivity() or 0.0)

    def explain(self, architecture: ArrayLike) -> Prediction:
        """One architecture with its terms. Raises MissingRows naming every missing key."""
        (arch,) = self.space.check(architecture)
        if lacking := self.missing(arch):
            refuse_missing(lacking, self.space)
        network = self.space.terms(arch)
        rows = [self._rows[named.block.key] for named in network]
        total = self.predict(arch)
        _, below, above, shared_below, shared_above = np.array([self._parts(named.block.key) for named in network]).sum(
            axis=0
        )
        measured = max(np.sqrt(below + shared_below**2), np.sqrt(above + shared_above**2))
        additivity = self._additivity()
        value = float(total.mean_us[0])
        return Prediction(
            value_us=value,
            lower_us=float(total.lower_us[0]),
            upper_us=float(total.upper_us[0]),
            measurement_us=float(measured),
            additivity_us=None if additivity is None else additivity * value,
            terms=tuple(
                Term(named.name, named.block.key, row.value_us, row.lower_us, row.upper_us, row.flags)
                for named, row in zip(network, rows, strict=True)
            ),
        )

    def _parts(self, key: str) -> tuple[float, ...]:
        """Value, independent variances below and above, shared deviations below and above; NaN when missing."""
        row = self._rows.get(key)
        if row is None:
            return (float("nan"),) * 5
        shared = row.value_us * _NORMAL_975 * np.sqrt(2.0) * shared_deviation(row, self.table.spread)
        below, above = row.value_us - row.lower_us, row.upper_us - row.value_us
        return (
            row.value_us,
            max(below**2 - shared**2, 0.0),
            max(above**2 - shared**2, 0.0),
            min(shared, below),
            min(shared, above),
        )

    def _additivity(self) -> float | None:
        """Half-width of the relative additivity error at 95 %."""
        found = self.table.additivity
        return None if found is None else _NORMAL_975 * float(np.hypot(found.bias, found.spread))


def own_deviation(row: Measurement, spread: float) -> float:
    """Relative standard deviation from run to run that a row does not share with the others, which changes no order."""
    # An interval covers the difference of two runs, so one run's deviation is smaller by the root of two.
    whole = row.half_width / _NORMAL_975 / np.sqrt(2)
    return float(np.sqrt(max(whole**2 - shared_deviation(row, spread) ** 2, 0.0)))


def shared_deviation(row: Measurement, spread: float) -> float:
    """Relative standard deviation from run to run that moves all rows together."""
    return float(np.hypot(spread / np.sqrt(row.launches), RUN_TO_RUN))


def refuse_missing(keys: tuple[str, ...], space: Space) -> None:
    """Raises MissingRows naming the first of the keys."""
    named = ", ".join(keys[:_MOST_NAMED]) + (f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else "")
    raise MissingRows(
        f"The table lacks {len(keys)} block{'s' if len(keys) != 1 else ''} of {space.name}: {named}.",
        keys,
        hint="Profile that space, or choose an architecture the table covers.",
    )


def block_offers(space: Space, values: Mapping[str, float]) -> tuple[float, tuple[NDArray[np.float64], ...]]:
    """The sum of the fixed blocks, and per position the value of each choice (NaN: missing).

    Raises DataError for a space that is no chain.
    """
    if not isinstance(space, ChainSpace):
        raise DataError(f"{space.name} is not a chain of independent positions.")
    fixed = sum(values.get(named.block.key, np.nan) for named in space.fixed_blocks)
    offered = tuple(
        np.array([0.0 if block is None else values.get(block.key, np.nan) for block in position.blocks])
        for position in space.positions
    )
    return float(fixed), offered
