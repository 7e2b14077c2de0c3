"""Own files of any kind that hold latencies, and what they cover."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from hwbench import files
from hwbench.errors import DataError, Incomparable
from hwbench.spaces.space import NamedBlock, Space
from hwbench.tables import imported, lookup, matrix
from hwbench.tables.imported import ImportedRow, ImportedSource, ImportedTable, ImportRecord
from hwbench.tables.lookup import LookupTable
from hwbench.tables.matrix import LatencyMatrix
from hwbench.tables.source import TableSource

AnyTable: TypeAlias = LookupTable | ImportedTable
Source: TypeAlias = TableSource | ImportedSource

# The kind of files that hold a predictor, which is no data but a model fitted to it.
PREDICTOR = "predictor"

_HINT = "Foreign tables come in by `hwbench table import`."


class Coverage(msgspec.Struct, frozen=True):
    """How many of the needed keys a table has, and the names of those it lacks."""

    needed: int
    covered: int
    missing: tuple[str, ...]


def load(path: Path) -> AnyTable | LatencyMatrix:
    """The table or matrix of an own file. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    match files.kind_of(path):
        case imported.KIND:
            return imported.load(path)
        case matrix.KIND:
            return matrix.load(path)
        case lookup.KIND:
            return lookup.load(path)
        case kind if kind == PREDICTOR:
            raise DataError(
                f"{path} is a predictor, not a table.",
                hint="`search`, `compare` and `table predict` take it as a source.",
            )
        case _:
            raise DataError(f"{path} is not a file of hwbench.", hint=_HINT)


def load_table(path: Path) -> AnyTable:
    """As `load`, for tables alone."""
    found = load(path)
    if isinstance(found, LatencyMatrix):
        raise DataError(f"{path} is a matrix of whole architectures, not a table of blocks.")
    return found


def refuse_emulated(path: Path, content: AnyTable | LatencyMatrix) -> None:
    """Raises Incomparable for a table that an emulated device made: nothing may be concluded from its numbers."""
    if isinstance(content, LookupTable) and content.emulated:
        raise Incomparable(f"{path} was measured on an emulated device.", hint="Use results of real devices.")


def source_of(table: AnyTable, space: Space) -> Source:
    return TableSource(table, space) if isinstance(table, LookupTable) else ImportedSource(table, space)


def coverage_of_space(table: AnyTable, space: Space) -> Coverage:
    """What a table knows of everything the space asks for."""
    return _coverage(table, source_of(table, space).needed())


def coverage_of_architecture(table: AnyTable, space: Space, architecture: ArrayLike) -> Coverage:
    """What a table knows of one architecture; a key that occurs twice counts once."""
    return _coverage(table, source_of(table, space).keys_of(architecture))


def coverage_of_network(table: AnyTable, network: Iterable[NamedBlock]) -> Coverage:
    """What a table of blocks knows of a network that need not be in any space."""
    return _coverage(table, (named.block.key for named in network))


def as_rows(table: LookupTable) -> ImportedTable:
    """A measured table as plain values: what the formats of others can hold. Spread and count are over visits."""
    rows = []
    for key, found in table.calibrated().items():
        visits = found.rounds.value_us
        rows.append(ImportedRow(key, found.value_us, float(np.std(visits)) if visits else None, len(visits) or None))
    failed = tuple(
        imported.Refused(row.key, row.failure or "not measured") for row in table.rows if row.measurement is None
    )
    record = ImportRecord(
        format="hwbench", file="", sha256="", unit="us", metric="latency_us", licence=None, source=None,
        rows_read=len(table.rows), refused_count=len(failed), refused=failed,
    )  # fmt: skip
    target = table.target
    name = f"{target.device_id} {target.engine.name} {target.delegate} {target.precision} t{target.threads}"
    return ImportedTable(table.space, "latency_us", name, "block", tuple(rows), record)


def _coverage(table: AnyTable, keys: Iterable[str]) -> Coverage:
    known = table.measurements() if isinstance(table, LookupTable) else table.values()
    needed = tuple(dict.fromkeys(keys))
    missing = tuple(key for key in needed if key not in known)
    return Coverage(len(needed), len(needed) - len(missing), missing)
