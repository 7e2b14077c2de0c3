"""Tables in and out: import a foreign file, export for other tools, merge what belongs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench.errors import DataError, UsageError
from hwbench.files import write_atomically
from hwbench.records import Measurement, Target
from hwbench.spaces import architecture_file
from hwbench.tables import formats, imported, lookup, matrix, opening
from hwbench.tables.formats import plain_csv
from hwbench.tables.formats.document import Options
from hwbench.tables.imported import ImportedTable, Refused
from hwbench.tables.likeness import require_same
from hwbench.tables.lookup import LookupTable
from hwbench.tables.matrix import LatencyMatrix
from hwbench.tables.opening import AnyTable, Coverage
from hwbench.workflows.sources import space_of

IMPORT_FOLDER = Path("hwbench-results") / "imported"

# What parts of one table have in common.
_IMPORTED_FIELDS = ("space", "metric", "target", "kind", "offset", "offset_covers", "sum_error")
_MEASURED_FIELDS = ("metric", "estimator", "flush_bytes", "preset")
_MERGE_HINT = "Tables of different targets become a matrix with --random."


class ImportResult(msgspec.Struct, frozen=True):
    """What was imported and where it lies; coverage where a space is known, of an architecture when one was given."""

    content: ImportedTable | LatencyMatrix
    path: Path
    coverage: Coverage | None = None
    architecture_coverage: Coverage | None = None


class ExportResult(msgspec.Struct, frozen=True):
    """Where the export lies, how many rows it has, and which rows have no value and were left out."""

    path: Path
    format: str
    rows: int
    left_out: tuple[Refused, ...]


def import_table(
    path: Path,
    output: Path | None = None,
    *,
    format_name: str | None = None,
    options: Options | None = None,
    architecture: str | None = None,
    overwrite: bool = False,
) -> ImportResult:
    """Reads a foreign file and writes it as an own one, by default into hwbench-results/imported/.

    Raises DataError for a file that cannot be used, UsageError when the output is in the way.
    """
    content = formats.read(path, options, format_name)
    output = output or IMPORT_FOLDER / f"{path.stem}.json"
    _free(output, overwrite)
    if isinstance(content, LatencyMatrix):
        if architecture is not None:
            raise UsageError(f"{path} is a matrix of whole architectures; coverage of one is for tables of blocks.")
        matrix.save(content, output)
        return ImportResult(content, output)
    space = space_of(content) if content.space is not None and content.kind != "op" else None
    whole, single = None, None
    if space is not None:
        whole = opening.coverage_of_space(content, space)
    if architecture is not None:
        if space is None:
            raise UsageError(f"{path} does not say of which space its rows are.", hint="Add --space.")
        single = opening.coverage_of_architecture(content, space, architecture_file.read(space, architecture))
    imported.save(content, output)
    return ImportResult(content, output, whole, single)


def export_table(path: Path, output: Path, format_name: str, *, overwrite: bool = False) -> ExportResult:
    """Writes an own table in the format of another tool; a matrix as csv.

    Raises DataError for a block that the format cannot express, UsageError for a format that is only read, Incomparable
    for emulated results.
    """
    content = opening.load(path)
    opening.refuse_emulated(path, content)
    chosen = formats.by_name(format_name)
    left_out: tuple[Refused, ...] = ()
    if isinstance(content, LatencyMatrix):
        if chosen.name != plain_csv.NAME:
            raise UsageError("A matrix is exported as csv alone.")
        data, rows = plain_csv.write_matrix(content), content.values.size
    else:
        if chosen.write is None:
            writable = ", ".join(known.name for known in formats.FORMATS if known.write is not None)
            raise UsageError(f"{chosen.name} is only read.", hint=f"Written are {writable}.")
        table = opening.as_rows(content) if isinstance(content, LookupTable) else content
        if table.kind != "block":
            raise DataError(f"{path} has no rows of blocks, which alone can be exported.")
        data, rows = chosen.write(table), len(table.rows)
        left_out = table.record.refused if isinstance(content, LookupTable) else ()
    _free(output, overwrite)
    write_atomically(output, data)
    return ExportResult(output, chosen.name, rows, left_out)


def merge(paths: Sequence[Path], output: Path, *, overwrite: bool = False) -> AnyTable | LatencyMatrix:
    """Parts of one target's table as one table, or matrices of one space as one matrix.

    Raises Incomparable naming the fields that differ or for emulated results, DataError for keys that two of them have.
    """
    contents = _load_all(paths)
    found: AnyTable | LatencyMatrix
    kinds = {type(content) for content in contents.values()}
    if len(kinds) != 1:
        raise DataError("Measured tables, imported tables and matrices cannot be merged with each other.")
    if LatencyMatrix in kinds:
        found = matrix.merge({name: one for name, one in contents.items() if isinstance(one, LatencyMatrix)})
    elif ImportedTable in kinds:
        found = _merge_imported({name: one for name, one in contents.items() if isinstance(one, ImportedTable)})
    else:
        found = _merge_measured({name: one for name, one in contents.items() if isinstance(one, LookupTable)})
    _save(found, output, overwrite)
    return found


def matrix_of_tables(
    paths: Sequence[Path], output: Path, networks: int, *, seed: int = 0, space: str | None = None,
    overwrite: bool = False,
) -> LatencyMatrix:  # fmt: skip
    """What many tables say about the same random architectures: a matrix with one target a file, named as the file."""
    tables = {}
    for name, content in _load_all(paths).items():
        if isinstance(content, LatencyMatrix):
            raise DataError(f"{name} is a matrix; architectures are drawn for tables alone.")
        tables[name] = content
    chosen = space_of(next(iter(tables.values())), space)
    sources = {Path(name).stem: opening.source_of(table, chosen) for name, table in tables.items()}
    if len(sources) != len(tables):
        raise UsageError("Two of the tables have the same file name, which names their targets.")
    found = matrix.from_sources(chosen, chosen.sample(networks, seed), sources)
    _save(found, output, overwrite)
    return found


def _load_all(paths: Sequence[Path]) -> dict[str, AnyTable | LatencyMatrix]:
    if len(paths) < 2 or len(set(paths)) != len(paths):
        raise UsageError("Merging needs at least two different files.")
    contents = {path: opening.load(path) for path in paths}
    for path, content in contents.items():
        opening.refuse_emulated(path, content)
    return {str(path): content for path, content in contents.items()}


def _merge_imported(tables: Mapping[str, ImportedTable]) -> ImportedTable:
    (first_name, first), *others = tables.items()
    rows = {row.key: row for row in first.rows}
    refused = list(first.record.refused)
    for name, table in others:
        require_same(first_name, first, name, table, _IMPORTED_FIELDS, hint=_MERGE_HINT)
        for row in table.rows:
            if rows.setdefault(row.key, row) != row:
                raise DataError(f"{name} and another table have different values for {row.key}.")
        refused += table.record.refused
    records = [table.record for table in tables.values()]
    record = msgspec.structs.replace(
        first.record,
        file=", ".join(record.file for record in records),
        sha256=", ".join(record.sha256 for record in records),
        rows_read=sum(record.rows_read for record in records),
        refused_count=sum(record.refused_count for record in records),
        refused=tuple(refused),
        notes=tuple(dict.fromkeys(note for record in records for note in record.notes)),
    )
    return msgspec.structs.replace(first, rows=tuple(rows.values()), record=record)


def _merge_measured(tables: Mapping[str, LookupTable]) -> LookupTable:
    """Rows side by side, launches numbered on; samples, additivity and calibration belong to the parts."""
    (first_name, first), *others = tables.items()
    rows, launches = list(first.rows), list(first.launches)
    owners = {row.key: first_name for row in rows}
    for name, table in others:
        require_same(first_name, first.target, name, table.target, Target.__struct_fields__, hint=_MERGE_HINT)
        require_same(first_name, first, name, table, _MEASURED_FIELDS, hint=_MERGE_HINT)
        if twice := [row.key for row in table.rows if row.key in owners]:
            raise DataError(
                f"{name} and {owners[twice[0]]} both have {twice[0]}"
                + (f" and {len(twice) - 1} more blocks." if len(twice) > 1 else "."),
                hint="A block has one measurement in a table.",
            )
        owners |= {row.key: name for row in table.rows}
        shift = max((launch.launch for launch in launches), default=-1) + 1
        rows += [
            row if row.measurement is None
            else msgspec.structs.replace(row, measurement=_later(row.measurement, shift))
            for row in table.rows
        ]  # fmt: skip
        launches += [msgspec.structs.replace(one, launch=one.launch + shift) for one in table.launches]
    parts = list(tables.values())
    seconds = sum(table.seconds for table in parts)
    return msgspec.structs.replace(
        first,
        rows=tuple(rows),
        launches=tuple(launches),
        spread=float(np.sqrt(np.mean([table.spread**2 for table in parts]))),
        slowdown=max(table.slowdown for table in parts),
        seconds=seconds,
        inference_share=sum(table.inference_share * table.seconds for table in parts) / seconds if seconds else 0.0,
        created_at=max(table.created_at for table in parts),
        samples=None,
        additivity=None,
        calibration=None,
    )


def _later(found: Measurement, shift: int) -> Measurement:
    rounds = found.rounds
    later = msgspec.structs.replace(rounds, launch=tuple(launch + shift for launch in rounds.launch))
    return msgspec.structs.replace(found, rounds_json=later.as_json())


def _save(content: AnyTable | LatencyMatrix, output: Path, overwrite: bool) -> None:
    _free(output, overwrite)
    if isinstance(content, LatencyMatrix):
        matrix.save(content, output)
    elif isinstance(content, ImportedTable):
        imported.save(content, output)
    else:
        lookup.save(content, output)


def _free(output: Path, overwrite: bool) -> None:
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists already.", hint="Add --overwrite, or choose another file with --output.")
