"""HAT's latency data sets: CSV of ten features, encoder and decoder latency and their deviations, milliseconds."""

from __future__ import annotations

import csv
import io

from hwbench.errors import DataError
from hwbench.spaces import hat
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.document import Document, Options, number
from hwbench.tables.matrix import Column, LatencyMatrix

NAME = "hat-csv"
_MILLISECONDS = 3
_PARTS = ("latency_mean_encoder", "latency_mean_decoder")


def recognises(document: Document) -> bool:
    return document.suffix == ".csv" and document.data.lstrip(b"\xef\xbb\xbf").startswith(hat.FEATURES[0].encode())


def read(document: Document, options: Options) -> LatencyMatrix:
    """One target, the sum of encoder and decoder: what its search limits."""
    collector = Collector(document, _MILLISECONDS)
    architectures: list[tuple[float, ...]] = []
    values: list[float] = []
    try:
        reader = csv.DictReader(io.StringIO(document.text))
        missing = [name for name in (*hat.FEATURES, *_PARTS) if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{document.path} lacks the column {missing[0]}.")
        for row_number, row in enumerate(reader, start=2):
            try:
                features = hat.check([number(row[name]) for name in hat.FEATURES])
            except (ValueError, DataError) as error:
                collector.refuse(f"line {row_number}", str(error))
                continue
            collector.read += 1
            parts = [collector.check(f"line {row_number}", row[name]) for name in _PARTS]
            if parts[0] is not None and parts[1] is not None:
                architectures.append(tuple(features[0].tolist()))
                values.append(parts[0] + parts[1])
    except csv.Error as error:
        raise DataError(f"{document.path} is not readable CSV: {error}.") from error
    if not values:
        raise DataError(f"{document.path} has no row that can be imported.")
    collector.notes.append("values are the sum of encoder and decoder")
    column = Column(options.target or document.path.stem, tuple(values), document.name)
    record = collector.record(NAME, "ms", "latency_us", options)
    return LatencyMatrix(hat.NAME, "latency_us", tuple(architectures), (column,), (record,))
