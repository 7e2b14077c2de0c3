"""TF-NAS's tables: a pickled OrderedDict of block name -> {middle channels: latency}, and `base`, milliseconds.

Small widths are a straight line's extrapolation, so some values are negative; those rows are refused.
"""

from __future__ import annotations

from hwbench.errors import DataError
from hwbench.tables.formats import pickles
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.document import Document, Options
from hwbench.tables.imported import ImportedTable

NAME = "tfnas-pickle"
_MILLISECONDS = 3


def recognises(document: Document) -> bool:
    return document.suffix == ".pkl" and pickles.is_pickle(document.data)


def read(document: Document, options: Options) -> ImportedTable:
    content = pickles.load(document.data, str(document.path))
    if not isinstance(content, dict):
        raise DataError(f"{document.path} holds a {type(content).__name__}, not a table of blocks.")
    collector = Collector(document, _MILLISECONDS)
    for block, latencies in content.items():
        if block == "base":
            collector.add("base", latencies)
            continue
        if not str(block).startswith("MBInvertedResBlock_") or not isinstance(latencies, dict):
            collector.refuse(str(block), "unknown key")
            continue
        if collector.read + len(latencies) > len(document.data):
            raise DataError(f"{document.path} lists more values than it has bytes.")
        for width, value in latencies.items():
            collector.add(f"{block}/mid:{width}", value)
    collector.notes.append("narrow widths are extrapolated by a straight line from measured ones")
    return collector.table(NAME, "ms", options, space=None, kind="op")
