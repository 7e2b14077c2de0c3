"""The latency matrix: architectures of one space x targets, as HELP and One Proxy publish them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench import files
from hwbench.errors import CorruptFile, DataError, MissingRows
from hwbench.files import Upgrade
from hwbench.spaces.space import Space
from hwbench.tables.imported import ImportRecord, Metric
from hwbench.tables.source import Latencies, LatencySource

KIND = "matrix"
VERSION = 1
UPGRADES: dict[int, Upgrade] = {}


class Column(msgspec.Struct, frozen=True):
    """One target: a value per architecture, None where there is none. `origin` is the file it came from."""

    target: str
    values: tuple[float | None, ...]
    origin: str = ""


class LatencyMatrix(msgspec.Struct, frozen=True, dict=True):
    """`architectures` are choices of the space, or features where it is an encoding alone (HAT)."""

    space: str
    metric: Metric
    architectures: tuple[tuple[int | float, ...], ...]
    columns: tuple[Column, ...]
    records: tuple[ImportRecord, ...] = ()

    def __post_init__(self) -> None:
        if len({column.target for column in self.columns}) != len(self.columns):
            raise ValueError("a target stands twice")
        if len({len(architecture) for architecture in self.architectures}) > 1:
            raise ValueError("its architectures have different lengths")
        for column in self.columns:
            if len(column.values) != len(self.architectures):
                raise ValueError(f"target {column.target} has {len(column.values)} values")
            if any(value is not None and not 0 < value < 1e12 for value in column.values):
                raise ValueError(f"target {column.target} has an impossible value")

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(column.target for column in self.columns)

    @cached_property
    def encoded(self) -> NDArray[np.float64]:
        """Architectures as rows, shape (n, positions)."""
        return np.array(self.architectures, float)

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Shape (n, targets), NaN where there is no value."""
        return np.array([column.values for column in self.columns], float).T.reshape(-1, len(self.columns))

    def column(self, target: str) -> NDArray[np.float64]:
        """The values of one target, shape (n,). Raises DataError for an unknown one."""
        if target not in self.targets:
            raise DataError(f"The matrix has no target {target!r}.", hint=f"It has {', '.join(self.targets[:20])}.")
        found: NDArray[np.float64] = self.values[:, self.targets.index(target)]
        return found


class ColumnSource:
    """One target of a matrix as a latency source: it knows the architectures that were measured and no others.

    The sources give no intervals, so they are as wide as can be: 0 to infinity.
    """

    def __init__(self, matrix: LatencyMatrix, target: str) -> None:
        known = matrix.column(target)
        rows = (tuple(architecture) for architecture in matrix.architectures)
        self._values = {row: value for row, value in zip(rows, known, strict=True) if np.isfinite(value)}
        self._space = matrix.space

    def missing(self, architectures: ArrayLike) -> tuple[str, ...]:
        rows = (tuple(row) for row in np.atleast_2d(np.asarray(architectures)).tolist())
        return tuple(" ".join(map(str, row)) for row in rows if row not in self._values)

    def predict(self, architectures: ArrayLike) -> Latencies:
        if lacking := self.missing(architectures):
            raise MissingRows(
                f"The matrix lacks {len(lacking)} architectures of {self._space}: {', '.join(lacking[:3])}.", lacking
            )
        rows = np.atleast_2d(np.asarray(architectures)).tolist()
        mean = np.array([self._values[tuple(row)] for row in rows])
        return Latencies(mean, np.zeros_like(mean), np.full_like(mean, np.inf))


def from_sources(space: Space, architectures: ArrayLike, sources: Mapping[str, LatencySource]) -> LatencyMatrix:
    """The predictions of many sources, one target each. Raises MissingRows when one lacks something."""
    archs = space.check(architectures)
    columns = tuple(Column(target, tuple(source.predict(archs).mean_us.tolist())) for target, source in sources.items())
    return LatencyMatrix(space.name, "latency_us", tuple(tuple(row) for row in archs.tolist()), columns)


def merge(matrices: Mapping[str, LatencyMatrix]) -> LatencyMatrix:
    """The columns of several matrices over the architectures they share, in the order of the first.

    Raises DataError, naming the matrices, when space or metric differ, a target stands twice, or nothing is shared.
    """
    (first_name, first), *others = matrices.items()
    shared = set(first.architectures)
    for name, matrix in others:
        for field in ("space", "metric"):
            if getattr(matrix, field) != getattr(first, field):
                raise DataError(
                    f"{name} and {first_name} have different {field}s: {getattr(matrix, field)}, "
                    f"{getattr(first, field)}."
                )
        shared &= set(matrix.architectures)
    if not shared:
        raise DataError(f"{', '.join(matrices)} have no architecture in common.")
    kept = tuple(dict.fromkeys(row for row in first.architectures if row in shared))
    columns: dict[str, Column] = {}
    for name, matrix in matrices.items():
        place = {row: number for number, row in reversed(list(enumerate(matrix.architectures)))}
        for column in matrix.columns:
            if column.target in columns:
                raise DataError(f"Target {column.target} stands in {name} and in another matrix.")
            columns[column.target] = msgspec.structs.replace(
                column, values=tuple(column.values[place[row]] for row in kept)
            )
    records = tuple(record for matrix in matrices.values() for record in matrix.records)
    return LatencyMatrix(first.space, first.metric, kept, tuple(columns.values()), records)


def save(matrix: LatencyMatrix, path: Path) -> None:
    """Writes the matrix, replacing what was there. Raises DeviceError when the disk refuses."""
    files.save(path, KIND, VERSION, matrix)


def load(path: Path) -> LatencyMatrix:
    """The matrix of a file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    try:
        return files.load(path, KIND, VERSION, LatencyMatrix, UPGRADES)
    except ValueError as error:
        raise CorruptFile(f"{path} is not a valid matrix: {error}.") from error
