"""The CSV that anyone can produce: `key` or `architecture`, a value with its unit, and optional columns.

    key,target,latency_ms,spread_ms,count           blocks by canonical key: a table of one target
    architecture,target,latency_us                  choices as numbers with blanks: a matrix

The unit is in the column's name (`latency_us`, `latency_ms`, `latency_ns`, `latency_s`, `energy_mj`, `peak_bytes`) or,
for a column `latency`, in a column `unit` or given by the user. Without a unit the file is refused.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import msgspec

from hwbench import spaces
from hwbench.errors import DataError, UsageError
from hwbench.spaces import block_from_key
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.columns import same_columns
from hwbench.tables.formats.document import TIME_UNITS, Document, Options, time_shift
from hwbench.tables.imported import ImportedTable, Metric
from hwbench.tables.matrix import Column, LatencyMatrix

NAME = "csv"
_OTHER_METRICS: dict[str, Metric] = {"energy_mj": "energy_mj", "peak_bytes": "peak_bytes"}


class _Layout(msgspec.Struct, frozen=True):
    """Which column holds the values, of what, and by how many powers of ten they are off."""

    column: str
    metric: Metric
    unit: str
    shift: int


def recognises(document: Document) -> bool:
    head = document.data[:4096].lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].strip().split(b",")
    return document.suffix == ".csv" and bool({b"key", b"architecture"} & set(head))


def read(document: Document, options: Options) -> ImportedTable | LatencyMatrix:
    """Raises DataError for a file without a unit, of several targets where one is meant, or without usable rows."""
    names, rows = _rows(document)
    if ("key" in names) == ("architecture" in names):
        raise DataError(f"{document.path} needs either a column `key` or a column `architecture`.")
    layout = _layout(names, rows, document, options)
    options = _with_space(options, rows, document)
    if "key" in names:
        return _read_table(rows, layout, document, options)
    return _read_matrix(rows, layout, document, options)


def _read_table(rows: list[dict[str, str]], layout: _Layout, document: Document, options: Options) -> ImportedTable:
    targets = list(dict.fromkeys(row.get("target") or document.path.stem for row in rows))
    wanted = options.target if options.target in targets else None
    if wanted is None and len(targets) > 1:
        raise DataError(
            f"{document.path} is of several targets: {', '.join(targets[:9])}.", hint="Choose one: --target."
        )
    collector = Collector(document, layout.shift)
    for row in rows:
        if wanted is not None and (row.get("target") or document.path.stem) != wanted:
            continue
        key = row["key"]
        try:
            block_from_key(key)
        except DataError as error:
            collector.refuse(key, f"unknown key: {error.message}")
            continue
        spread = row.get(layout.column.replace("latency", "spread", 1))
        collector.add(key, row[layout.column], spread or None, row.get("count"))
    named = msgspec.structs.replace(options, target=options.target or next(iter(targets), document.path.stem))
    return collector.table(NAME, layout.unit, named, space=None, kind="block", metric=layout.metric)


def _read_matrix(rows: list[dict[str, str]], layout: _Layout, document: Document, options: Options) -> LatencyMatrix:
    if options.space is None:
        raise DataError(f"{document.path} does not say of which space its architectures are.", hint="Add --space.")
    try:
        space = spaces.get(options.space)
    except UsageError as error:
        raise DataError(f"{document.path}: {error.message}") from error
    collector = Collector(document, layout.shift)
    values: dict[str, dict[tuple[int, ...], float | None]] = {}
    for line, row in enumerate(rows, start=2):
        collector.read += 1
        target = row.get("target") or options.target or document.path.stem
        try:
            (arch,) = space.read(row["architecture"])
        except (DataError, ValueError) as error:
            collector.read -= 1
            collector.refuse(f"line {line}", f"unknown key: {error}")
            continue
        column = values.setdefault(target, {})
        architecture = tuple(arch.tolist())
        if architecture in column:
            collector.read -= 1
            collector.refuse(f"line {line}", "duplicate: the architecture stands twice, the first value is kept")
            continue
        column[architecture] = collector.check(f"line {line}", row[layout.column])
    architectures = tuple(dict.fromkeys(arch for column in values.values() for arch in column))
    if not architectures or len(architectures) * len(values) > 50 * len(document.data):
        raise DataError(f"{document.path} has no rows that can be imported, or far more targets than values.")
    columns = tuple(
        Column(target, tuple(column.get(arch) for arch in architectures), document.name)
        for target, column in values.items()
    )
    collector.notes += same_columns(columns)
    record = collector.record(NAME, layout.unit, layout.metric, options)
    return LatencyMatrix(space.name, layout.metric, architectures, columns, (record,))


def _rows(document: Document) -> tuple[list[str], list[dict[str, str]]]:
    """Column names and rows as text; rows of another length than the header are refused with the file."""
    try:
        lines: Iterator[list[str]] = csv.reader(io.StringIO(document.text, newline=""), strict=True)
        names = [name.strip() for name in next(lines, [])]
        if len(set(names)) != len(names):
            raise DataError(f"{document.path} has a column twice.")
        rows = []
        for number, line in enumerate(lines, start=2):
            if not line:
                continue
            if len(line) != len(names):
                raise DataError(f"{document.path}: line {number} has {len(line)} fields, the header {len(names)}.")
            rows.append(dict(zip(names, line, strict=True)))
    except csv.Error as error:
        raise DataError(f"{document.path} is not readable CSV: {error}.") from error
    return names, rows


def _layout(names: list[str], rows: list[dict[str, str]], document: Document, options: Options) -> _Layout:
    found = [
        _Layout(name, "latency_us", unit, shift)
        for unit, shift in TIME_UNITS.items()
        if (name := f"latency_{unit}") in names
    ]
    found += [_Layout(name, metric, name, 0) for name, metric in _OTHER_METRICS.items() if name in names]
    if "latency" in names:
        units = {row["unit"].strip() for row in rows} if "unit" in names else set()
        if options.unit is not None:
            units = {options.unit}
        if len(units) != 1:
            raise DataError(
                f"{document.path} does not say the unit of its latencies.",
                hint="Name the column latency_ms or latency_us, or add --unit.",
            )
        unit = units.pop()
        found.append(_Layout("latency", "latency_us", unit, time_shift(unit)))
    if len(found) != 1:
        raise DataError(f"{document.path} needs exactly one column of values, such as latency_ms; it has {len(found)}.")
    return found[0]


def _with_space(options: Options, rows: list[dict[str, str]], document: Document) -> Options:
    if options.space is not None:
        return options
    named = {row["space"] for row in rows if row.get("space")}
    if len(named) > 1:
        raise DataError(f"{document.path} is of several spaces: {', '.join(sorted(named)[:9])}.")
    return msgspec.structs.replace(options, space=named.pop()) if named else options


def write_table(table: ImportedTable) -> bytes:
    """Blocks only: other rows have no key that a reader would know. Raises DataError."""
    if table.kind != "block":
        raise DataError("Only tables of blocks are exported as csv.")
    head = "latency_us,spread_us" if table.metric == "latency_us" else table.metric
    lines: list[list[str]] = [["key", "space", "target", *head.split(","), "count"]]
    for row in table.rows:
        values = [repr(row.value)]
        if table.metric == "latency_us":
            values.append("" if row.spread is None else repr(row.spread))
        lines.append([row.key, table.space or "", table.target, *values, str(row.count or "")])
    return _encode(lines)


def write_matrix(matrix: LatencyMatrix) -> bytes:
    lines = [["architecture", "space", "target", matrix.metric]]
    for column in matrix.columns:
        for architecture, value in zip(matrix.architectures, column.values, strict=True):
            text = "" if value is None else repr(value)
            lines.append([" ".join(map(str, architecture)), matrix.space, column.target, text])
    return _encode(lines)


def _encode(lines: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()
