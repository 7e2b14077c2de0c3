"""The pool that proxies are chosen from: tables and matrices of one space as columns over common architectures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench.errors import DataError
from hwbench.spaces.space import Architectures, Space
from hwbench.tables import flaws, opening
from hwbench.tables import matrix as matrices
from hwbench.tables.flaws import Flaw
from hwbench.tables.matrix import LatencyMatrix
from hwbench.tables.opening import AnyTable
from hwbench.tables.pool import of_space, resolve
from hwbench.transfer.predictor_file import Predictor
from hwbench.transfer.ranks import Floats
from hwbench.workflows import sources


class ProxyPool(msgspec.Struct, frozen=True):
    """Latencies `values_us` (n, targets) of architectures (n, positions), without gaps and without flawed columns."""

    space: Space
    architectures: Architectures
    targets: tuple[str, ...]
    values_us: Floats
    flaws: tuple[Flaw, ...]

    def rows_of(self, architectures: Architectures) -> list[int | None]:
        """The row of each architecture, None for one that the pool does not know."""
        known = {one.tobytes(): row for row, one in enumerate(self.architectures)}
        return [known.get(one.tobytes()) for one in architectures]


class PoolFiles(msgspec.Struct, frozen=True):
    """Tables and matrices of latencies in one space."""

    space: Space
    contents: dict[Path, AnyTable | LatencyMatrix]


def open_files(paths: Sequence[Path], space_name: str | None) -> PoolFiles:
    """The files of paths or names of the pool, without any the whole pool.

    Raises DataError, UsageError or Incomparable for what cannot be used together.
    """
    contents = {path: _load(path) for path in map(resolve, paths or of_space(space_name))}
    return PoolFiles(sources.common_space(contents, space_name), contents)


def pool_of(opened: PoolFiles, networks: int, seed: int, wanted: Architectures | None = None) -> ProxyPool:
    """The columns of matrices over the architectures they share, and what tables predict for those.

    Of tables alone `networks` random architectures of the space are predicted, and those `wanted`. Raises DataError
    when every column is flawed or a target stands twice, MissingRows.
    """
    space = opened.space
    found = {str(path): one for path, one in opened.contents.items() if isinstance(one, LatencyMatrix)}
    tables = {path: one for path, one in opened.contents.items() if not isinstance(one, LatencyMatrix)}
    columns: dict[str, Floats] = {}
    remarks: tuple[Flaw, ...] = ()
    if found:
        merged = matrices.merge(found)
        remarks = flaws.of_matrix(merged)
        columns = {target: merged.column(target) for target in flaws.unflawed(merged)}
        archs = space.check(merged.encoded.astype(np.int64))
    else:
        drawn = space.sample(networks, seed)
        archs = np.unique(drawn if wanted is None else np.vstack([drawn, wanted]), axis=0)
    for name, table in zip(sources.target_names(tables), tables.values(), strict=True):
        if name in columns:
            raise DataError(f"Target {name} stands in a table and in a matrix.")
        columns[name] = opening.source_of(table, space).predict(archs).mean_us
    if not columns:
        raise DataError("Every target of the pool is flawed: " + "; ".join(dict.fromkeys(one.text for one in remarks)))
    values = np.stack(list(columns.values()), axis=1)
    complete = np.isfinite(values).all(axis=1)
    return ProxyPool(space, archs[complete], tuple(columns), values[complete], remarks)


def _load(path: Path) -> AnyTable | LatencyMatrix:
    content = sources.load(path)
    if isinstance(content, Predictor):
        raise DataError(f"{path} is a predictor, which stands for no other target.", hint="Give tables and matrices.")
    return content
