"""The pool of an adaptation: targets whose latencies are known, as columns over architectures of one space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError, MissingRows, UsageError
from hwbench.spaces.space import Architectures, Space
from hwbench.tables import matrix
from hwbench.tables.matrix import Column, LatencyMatrix
from hwbench.tables.opening import AnyTable
from hwbench.transfer.predictor_file import PoolColumn, Predictor
from hwbench.workflows import sources

# Of a pool of tables so many random architectures are summed.
ARCHITECTURES = 1000
# A larger matrix is thinned out to so many.
_MOST = 4000


class Pool(msgspec.Struct, frozen=True):
    """`matrix` has a column for each of `columns`, in their order; `left_out` names targets that were."""

    space: Space
    matrix: LatencyMatrix
    columns: tuple[PoolColumn, ...]
    left_out: tuple[str, ...]

    @property
    def architectures(self) -> Architectures:
        """Shape (n, positions)."""
        return self.matrix.encoded.astype(np.uint8)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which architectures every target has, shape (n,)."""
        return np.atleast_1d(np.isfinite(self.matrix.values).all(axis=1))


def open_pool(
    paths: Sequence[Path], space_name: str | None, is_target: Callable[[Path, AnyTable | str], bool], seed: int = 0
) -> Pool:
    """The tables and matrices of files, without those that `is_target` (a path, and a table or a column) finds to be
    the target itself.

    Columns are over the architectures that the matrices share, of tables alone over random ones of the space. Raises
    DataError for files that cannot be used or an empty pool, Incomparable for emulated results or another space,
    MissingRows.
    """
    if not paths:
        raise _empty("")
    if len(set(paths)) != len(paths):
        raise UsageError("A file of the pool is given twice.")
    contents = {path: sources.load(path) for path in paths}
    space = sources.common_space(contents, space_name)
    tables: dict[Path, AnyTable] = {}
    matrices: dict[str, LatencyMatrix] = {}
    files: dict[str, str] = {}
    left_out: list[str] = []
    for path, content in contents.items():
        match content:
            case Predictor():
                raise DataError(f"{path} is a predictor, from which nothing is to be learned.")
            case LatencyMatrix():
                kept = tuple(column for column in content.columns if not is_target(path, column.target))
                left_out += [one.target for one in content.columns if one not in kept]
                files |= {column.target: path.name for column in kept}
                if kept:
                    matrices[str(path)] = msgspec.structs.replace(content, columns=kept)
            case _ if is_target(path, content):
                left_out.append(sources.target_name(content))
            case _:
                tables[path] = content
    columns = [PoolColumn(name, file, "networks") for name, file in files.items()]
    merged = _thinned(matrix.merge(matrices), seed) if matrices else None
    archs = distinct(space, ARCHITECTURES, seed) if merged is None else _checked(merged, space)
    found = [] if merged is None else list(merged.columns)
    for (path, table), own in zip(tables.items(), sources.target_names(tables), strict=True):
        name = own if own not in files else f"{own} ({path.name})"
        found.append(Column(name, _sums(path, table, space, archs), path.name))
        columns.append(PoolColumn(name, path.name, "sums"))
    if not found:
        raise _empty(f": {left_out[0]} is the target itself")
    rows = tuple(tuple(row) for row in archs.tolist())
    return Pool(space, LatencyMatrix(space.name, "latency_us", rows, tuple(found)), tuple(columns), tuple(left_out))


def distinct(space: Space, count: int, seed: int) -> Architectures:
    """At most `count` random architectures, none twice, in random order."""
    found: Architectures = np.random.default_rng(seed).permutation(np.unique(space.sample(count, seed), axis=0))
    return found


def _empty(reason: str) -> DataError:
    return DataError(
        f"The pool is empty{reason}.",
        hint="Give tables of other targets with --pool; `hwbench profile` and `table import` make them.",
    )


def _sums(path: Path, table: AnyTable, space: Space, archs: Architectures) -> tuple[float, ...]:
    try:
        return tuple(sources.source_of(table, space).predict(archs).mean_us.tolist())
    except MissingRows as error:
        raise MissingRows(f"{path} cannot be in the pool. {error.message}", error.keys, hint="Leave it out.") from error


def _thinned(whole: LatencyMatrix, seed: int) -> LatencyMatrix:
    """Not too many architectures of a matrix, drawn by `seed`."""
    rows = np.random.default_rng(seed).permutation(len(whole.architectures))[:_MOST].tolist()
    columns = tuple(
        msgspec.structs.replace(column, values=tuple(column.values[row] for row in rows), origin="")
        for column in whole.columns
    )
    return LatencyMatrix(whole.space, whole.metric, tuple(whole.architectures[row] for row in rows), columns)


def _checked(merged: LatencyMatrix, space: Space) -> Architectures:
    whole = merged.encoded.round()
    if (whole != merged.encoded).any():
        raise DataError(f"An architecture of {space.name} is made of whole numbers.")
    return space.check(whole.astype(np.int64))
