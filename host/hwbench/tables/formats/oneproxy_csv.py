"""One Proxy's latencies, joined to NAS-Bench-201: CSV of `arch_str` and a column in milliseconds per target."""

from __future__ import annotations

import csv
import io

from hwbench.errors import DataError
from hwbench.spaces import nasbench201
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.columns import same_columns
from hwbench.tables.formats.document import Document, Options
from hwbench.tables.matrix import Column, LatencyMatrix

NAME = "oneproxy-csv"
_MILLISECONDS = 3
_ENDING = "_ms"


def recognises(document: Document) -> bool:
    head = document.data[:4096].split(b"\n", 1)[0]
    return document.suffix == ".csv" and b"arch_str" in head and b"_ms" in head


def read(document: Document, options: Options) -> LatencyMatrix:
    collector = Collector(document, _MILLISECONDS)
    architectures: list[tuple[int, ...]] = []
    try:
        reader = csv.DictReader(io.StringIO(document.text))
        names = [name for name in reader.fieldnames or () if name.endswith(_ENDING) and name != _ENDING]
        columns: dict[str, list[float | None]] = {name: [] for name in names}
        if len(columns) != len(names) or not names:
            raise DataError(f"{document.path} has no column of milliseconds, or one twice.")
        for line, row in enumerate(reader, start=2):
            try:
                (arch,) = nasbench201.parse(str(row["arch_str"]))
            except DataError as error:
                collector.refuse(f"line {line}", str(error))
                continue
            architectures.append(tuple(arch.tolist()))
            for name in names:
                collector.read += 1
                columns[name].append(collector.check(f"line {line}, {name.removesuffix(_ENDING)}", row[name]))
    except (csv.Error, KeyError) as error:
        raise DataError(f"{document.path} is not readable CSV: {error}.") from error
    if not architectures:
        raise DataError(f"{document.path} has no row that can be imported.")
    found = tuple(Column(name.removesuffix(_ENDING), tuple(values), document.name) for name, values in columns.items())
    collector.notes += same_columns(found)
    record = collector.record(NAME, "ms", "latency_us", options)
    return LatencyMatrix(nasbench201.DEFAULT, "latency_us", tuple(architectures), found, (record,))
