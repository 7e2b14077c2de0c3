"""PaddleSlim's latency tables: a header `op_type<TAB>device<TAB>unit`, then one operator and its latency a line."""

from __future__ import annotations

from hwbench.errors import DataError
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.document import Document, Options, time_shift
from hwbench.tables.imported import ImportedTable

NAME = "paddle-text"
# Number of fields after the operator's name.
_FIELDS = {"conv": 12, "activation": 5, "batch_norm": 6, "eltwise": 6, "pooling": 12, "softmax": 6}


def recognises(document: Document) -> bool:
    return document.suffix == ".txt" and document.data[:7] == b"op_type"


def read(document: Document, options: Options) -> ImportedTable:
    header, *lines = document.text.splitlines() or [""]
    columns = header.split("\t")
    if len(columns) != 3:
        raise DataError(f"{document.path}: the header {header[:80]!r} does not name operator, device and unit.")
    unit = options.unit or columns[2].strip()
    collector = Collector(document, time_shift(unit))
    for line in lines:
        if not line.strip():
            continue
        operator, _, value = line.partition("\t")
        kind, *fields = operator.split(",")
        if kind not in _FIELDS or len(fields) != _FIELDS[kind] or not all(field.strip() for field in fields):
            collector.refuse(operator, "unknown key: no operator with its number of fields")
            continue
        collector.add(operator, value.strip())
    device = columns[1].strip() or document.path.stem
    named = options if options.target else Options(device, options.space, unit, options.licence, options.source)
    return collector.table(NAME, unit, named, space=None, kind="op")
