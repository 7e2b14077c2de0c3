"""Tables that others published: values without rounds, and the record of where they came from and what was refused.

A row is one of three kinds. `block`: under the canonical key of a block. `choice`: under `position/label` of a space,
for sources that give a number per searched position. `op`: an operator in the words of its source; it can be looked at
and exported, but no architecture is a sum of such rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench import files
from hwbench.errors import CorruptFile, DataError
from hwbench.files import Upgrade
from hwbench.spaces.space import ChainSpace, NamedBlock, Space
from hwbench.tables.source import Latencies, Parts, Prediction, Sum, Term, block_offers, refuse_missing

KIND = "import"
VERSION = 1
UPGRADES: dict[int, Upgrade] = {}

Metric: TypeAlias = Literal["latency_us", "energy_mj", "peak_bytes"]
METRICS: tuple[Metric, ...] = get_args(Metric)
RowKind: TypeAlias = Literal["block", "choice", "op"]

_NORMAL_975 = 1.959964


class Refused(msgspec.Struct, frozen=True):
    """A row that was not taken over, and why."""

    row: str
    reason: str


class ImportRecord(msgspec.Struct, frozen=True):
    """Where numbers came from. `unit` is the file's own; `refused` holds the first ones of `refused_count`."""

    format: str
    file: str
    sha256: str
    unit: str
    metric: Metric
    licence: str | None
    source: str | None
    rows_read: int
    refused_count: int
    refused: tuple[Refused, ...]
    notes: tuple[str, ...] = ()


class ImportedRow(msgspec.Struct, frozen=True):
    """`value` in the unit of the table's metric, `spread` its standard deviation, `count` the samples behind it."""

    key: str
    value: float
    spread: float | None = None
    count: int | None = None


class ImportedTable(msgspec.Struct, frozen=True, dict=True):
    """Rows for one target. `offset` is added to every sum and covers the fixed blocks named in `offset_covers`.

    `sum_error` is the relative standard deviation of whole networks about sums of rows, where it is known from
    networks that had no part in them; errors of such rows are not independent, so that sums know better.
    """

    space: str | None
    metric: Metric
    target: str
    kind: RowKind
    rows: tuple[ImportedRow, ...]
    record: ImportRecord
    offset: float = 0.0
    offset_covers: tuple[str, ...] = ()
    sum_error: float | None = None

    def __post_init__(self) -> None:
        keys = {row.key for row in self.rows}
        if len(keys) != len(self.rows):
            raise ValueError("a key stands twice")
        for row in self.rows:
            # A linear model's coefficients are differences, which may be negative.
            lowest = -1e12 if self.kind == "choice" else 0.0
            if not lowest < row.value < 1e12 or not 0.0 <= (row.spread or 0.0) < 1e12:
                raise ValueError(f"row {row.key} has an impossible value")
        if not abs(self.offset) < 1e12:
            raise ValueError("the offset is impossible")
        if self.sum_error is not None and not 0 <= self.sum_error < 1e3:
            raise ValueError("the error of its sums is impossible")

    def values(self) -> dict[str, ImportedRow]:
        """The rows by key."""
        return {row.key: row for row in self.rows}


class ImportedSource:
    """An imported table as a latency source for a space.

    The interval is that of the sums' known error; else the rows' spreads add in squares, and a row without one makes it
    as wide as can be: 0 to infinity.
    """

    def __init__(self, table: ImportedTable, space: Space) -> None:
        if table.kind == "op":
            raise DataError(
                f"The rows of {table.record.file} are single operators, of which no architecture of {space.name} is a "
                "sum.",
                hint="Use a table of blocks.",
            )
        if table.metric != "latency_us":
            raise DataError(f"{table.record.file} holds {table.metric}, not latencies.")
        if table.kind == "choice" and not isinstance(space, ChainSpace):
            raise DataError(f"{table.record.file} has a number per position, which {space.name} has not.")
        self.table = table
        self.space = space
        self._rows = table.values()

    def needed(self) -> tuple[str, ...]:
        """Every key that the space asks for."""
        if self.table.kind == "block":
            return tuple(block.key for block in self.space.distinct_blocks)
        searched = (f"{choice.name}/{label}" for choice in self.space.choices for label in choice.labels)
        return (*(named.name for named in self._fixed()), *searched)

    def lacking(self) -> tuple[str, ...]:
        """The keys of `needed` that the table does not have."""
        return tuple(key for key in self.needed() if key not in self._rows)

    def keys_of(self, architecture: ArrayLike) -> tuple[str, ...]:
        """The key of each row that one architecture is a sum of."""
        return tuple(key for _, key in self._terms(architecture))

    def missing(self, architectures: ArrayLike) -> tuple[str, ...]:
        keys = {key: None for architecture in self.space.check(architectures) for key in self.keys_of(architecture)}
        return tuple(key for key in keys if key not in self._rows)

    def predict(self, architectures: ArrayLike) -> Latencies:
        archs = self.space.check(architectures)
        if self.table.kind == "block":
            totals = self.space.total(np.array([self._parts(block.key) for block in self.space.distinct_blocks]), archs)
        else:
            totals = self._total_of_choices(archs)
        if not np.isfinite(totals[:, 0]).all():
            refuse_missing(self.missing(archs), self.space)
        mean = totals[:, 0] + self.table.offset
        error = self.table.sum_error
        half = _NORMAL_975 * (np.sqrt(totals[:, 1]) if error is None else error * np.abs(mean))
        return Latencies(mean, np.maximum(mean - half, 0.0), mean + half)

    def offered_us(self) -> tuple[float, tuple[NDArray[np.float64], ...]]:
        """The sum of what is fixed, and for each position the latency of each choice (NaN: missing)."""
        return self._offered({key: row.value for key, row in self._rows.items()}, self.table.offset)

    def offered_parts(self) -> Parts:
        """What the upper end of an interval is made of; infinite variances where the source gives no spread."""
        variances = {key: _NORMAL_975**2 * self._parts(key)[1] for key in self._rows}
        nothing = dict.fromkeys(self._rows, 0.0)
        return Parts(
            Sum(*self.offered_us()), Sum(*self._offered(variances)), Sum(*self._offered(nothing)), relative=0.0
        )

    def explain(self, architecture: ArrayLike) -> Prediction:
        """One architecture with its terms. Raises MissingRows naming every missing key."""
        total = self.predict(architecture)
        terms = []
        (arch,) = self.space.check(architecture)
        for name, key in self._terms(arch):
            row = self._rows[key]
            half = math.inf if row.spread is None else _NORMAL_975 * row.spread
            terms.append(Term(name, key, row.value, max(row.value - half, 0.0), row.value + half, ()))
        if self.table.offset:
            offset = self.table.offset
            terms.append(Term("offset", ", ".join(self.table.offset_covers), offset, offset, offset, ()))
        value, lower, upper = (float(part[0]) for part in (total.mean_us, total.lower_us, total.upper_us))
        return Prediction(value, lower, upper, upper - value, None, tuple(terms))

    def _offered(
        self, values: Mapping[str, float], offset: float = 0.0
    ) -> tuple[float, tuple[NDArray[np.float64], ...]]:
        """`values` by key as the sum of what is fixed, `offset` included, and per position of each choice."""
        if self.table.kind == "block":
            fixed, offered = block_offers(self.space, values)
            return fixed + offset, offered
        fixed = sum((values.get(named.name, math.nan) for named in self._fixed()), offset)
        return fixed, tuple(
            np.array([values.get(f"{choice.name}/{label}", math.nan) for label in choice.labels])
            for choice in self.space.choices
        )

    def _terms(self, architecture: ArrayLike) -> list[tuple[str, str]]:
        """Name and key of each row that an architecture is a sum of."""
        if self.table.kind == "block":
            return [(named.name, named.block.key) for named in self.space.terms(architecture)]
        labels = zip(self.space.choices, self.space.describe(architecture), strict=True)
        fixed = [(named.name, named.name) for named in self._fixed()]
        return [*fixed, *((choice.name, f"{choice.name}/{label}") for choice, label in labels)]

    def _fixed(self) -> tuple[NamedBlock, ...]:
        return tuple(named for named in self.space.fixed_blocks if named.name not in self.table.offset_covers)

    def _parts(self, key: str) -> tuple[float, float]:
        """Value and variance; NaN when missing, an infinite variance when the source gives none."""
        row = self._rows.get(key)
        if row is None:
            return (math.nan, math.nan)
        return (row.value, math.inf if row.spread is None else row.spread**2)

    def _total_of_choices(self, archs: NDArray[np.uint8]) -> NDArray[np.float64]:
        fixed = np.array([self._parts(named.name) for named in self._fixed()]).reshape(-1, 2).sum(axis=0)
        totals = np.tile(fixed, (len(archs), 1))
        for column, choice in enumerate(self.space.choices):
            offered = np.array([self._parts(f"{choice.name}/{label}") for label in choice.labels])
            totals += offered[archs[:, column]]
        return totals


def save(table: ImportedTable, path: Path) -> None:
    """Writes the table, replacing what was there. Raises DeviceError when the disk refuses."""
    files.save(path, KIND, VERSION, table)


def load(path: Path) -> ImportedTable:
    """The imported table of a file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    try:
        return files.load(path, KIND, VERSION, ImportedTable, UPGRADES)
    except ValueError as error:
        raise CorruptFile(f"{path} is not a valid imported table: {error}.") from error
