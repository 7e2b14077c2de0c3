"""FBNet-style tables: a JSON list of operators with percentiles of their runtime in microseconds.

The median is taken.
"""

from __future__ import annotations

import json
from typing import Any

from hwbench.errors import DataError
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.document import Document, Options
from hwbench.tables.imported import ImportedTable

NAME = "fbnet-json"
_MEDIAN = "runtime_us_p50"
_KEY_FIELDS = ("op_type", "op_args", "input_shapes", "input_dtypes")


def recognises(document: Document) -> bool:
    return document.suffix == ".json" and b'"runtime_us_p' in document.data


def read(document: Document, options: Options) -> ImportedTable:
    content = document.json
    if not isinstance(content, list):
        raise DataError(f"{document.path} is not a list of operators.")
    collector = Collector(document, 0)
    devices = sorted({str(row.get("device")) for row in content if isinstance(row, dict) and row.get("device")})
    wanted = options.target or (devices[0] if len(devices) == 1 else None)
    if wanted is None and devices:
        raise DataError(
            f"{document.path} is of several devices: {', '.join(devices[:9])}.", hint="Choose one: --target."
        )
    for number, row in enumerate(content):
        if not isinstance(row, dict) or not isinstance(row.get("op_type"), str):
            collector.refuse(f"row {number}", "unknown key: no op_type")
        elif devices and str(row.get("device")) != wanted:
            continue
        else:
            collector.add(_key(row), row.get(_MEDIAN))
    collector.refuse_repeated()
    collector.notes.append("values are medians")
    named = Options(wanted, options.space, options.unit, options.licence, options.source)
    return collector.table(NAME, "us", named, space=None, kind="op")


def _key(row: dict[str, Any]) -> str:
    return json.dumps({name: row.get(name) for name in _KEY_FIELDS}, sort_keys=True, default=str)
