"""Once-for-all's tables: {count, mean, std} per key as YAML (its own) or JSON (DynamicOFA's), milliseconds.

`expand` is the number of middle channels; `se` and `hs` say squeeze-and-excite and h-swish.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hwbench.errors import DataError
from hwbench.spaces import block_from_key
from hwbench.tables.formats import flat_yaml, legacy_keys
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.document import Document, Options, moved
from hwbench.tables.imported import ImportedTable

YAML_NAME = "ofa-yaml"
JSON_NAME = "ofa-json"
_MILLISECONDS = 3


def recognises_yaml(document: Document) -> bool:
    return document.suffix in (".yaml", ".yml") and _has_its_keys(document)


def recognises_json(document: Document) -> bool:
    return document.suffix == ".json" and _has_its_keys(document)


def _has_its_keys(document: Document) -> bool:
    return b"expanded_conv-input:" in document.data and b"-se:" in document.data


def read_yaml(document: Document, options: Options) -> ImportedTable:
    return _read(flat_yaml.rows(document), YAML_NAME, document, options)


def read_json(document: Document, options: Options) -> ImportedTable:
    content = document.json
    if not isinstance(content, dict):
        raise DataError(f"{document.path} is not an object of keys.")
    return _read(content.items(), JSON_NAME, document, options)


def _read(rows: Iterable[tuple[str, Any]], name: str, document: Document, options: Options) -> ImportedTable:
    collector = Collector(document, _MILLISECONDS)
    for key, fields in rows:
        if not isinstance(fields, Mapping):
            collector.refuse(key, "not an object of count, mean, std")
            continue
        try:
            block = legacy_keys.block_of(key, "ofa")
        except (ValueError, DataError) as error:
            collector.refuse(key, str(error))
            continue
        collector.add(block.key, fields.get("mean"), fields.get("std"), fields.get("count"))
    collector.refuse_repeated()
    space = legacy_keys.best_space(set(collector.rows), "ofa")
    return collector.table(name, "ms", options, space=space, kind="block")


def write_yaml(table: ImportedTable) -> bytes:
    """Raises DataError for a block that the format cannot express."""
    lines = []
    for key, fields in _written(table):
        lines += [f"{key}:", *(f"  {name}: {value}" for name, value in fields.items())]
    return ("\n".join(lines) + "\n").encode()


def write_json(table: ImportedTable) -> bytes:
    """Raises DataError for a block that the format cannot express."""
    rows = (
        f" {json.dumps(key)}: {{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"
        for key, fields in _written(table)
    )
    return ("{\n" + ",\n".join(rows) + "\n}\n").encode()


def _written(table: ImportedTable) -> Iterable[tuple[str, dict[str, str]]]:
    for row in table.rows:
        key = legacy_keys.key_of(block_from_key(row.key), "ofa")
        mean, std = moved(row.value, -_MILLISECONDS), moved(row.spread or 0.0, -_MILLISECONDS)
        yield key, {"count": str(row.count or 1), "mean": mean, "std": std}
