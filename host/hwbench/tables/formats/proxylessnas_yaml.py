"""ProxylessNAS's phone table: YAML of {count, mean, var} per key, milliseconds, `expand` the ratio.

`var` is taken for nothing: its source does not say whether it is a variance or a deviation. Written, it is a variance.
"""

from __future__ import annotations

from hwbench.errors import DataError
from hwbench.spaces import block_from_key
from hwbench.tables.formats import flat_yaml, legacy_keys
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.document import Document, Options, moved
from hwbench.tables.imported import ImportedTable

NAME = "proxylessnas-yaml"
_MILLISECONDS = 3


def recognises(document: Document) -> bool:
    if document.suffix not in (".yaml", ".yml"):
        return False
    return b"expanded_conv-input:" in document.data and b"-se:" not in document.data


def read(document: Document, options: Options) -> ImportedTable:
    collector = Collector(document, _MILLISECONDS)
    for key, fields in flat_yaml.rows(document):
        try:
            block = legacy_keys.block_of(key, "proxylessnas")
        except (ValueError, DataError) as error:
            collector.refuse(key, str(error))
            continue
        collector.add(block.key, fields.get("mean"), count=fields.get("count"))
    collector.notes.append("values are means of parts of whole networks; `var` is undocumented and not used")
    space = legacy_keys.best_space(set(collector.rows), "proxylessnas")
    return collector.table(NAME, "ms", options, space=space, kind="block")


def write(table: ImportedTable) -> bytes:
    """Raises DataError for a block that the format cannot express."""
    lines = []
    for row in table.rows:
        lines.append(f"{legacy_keys.key_of(block_from_key(row.key), 'proxylessnas')}:")
        lines.append(f"  count: {row.count or 1}")
        lines.append(f"  mean: {moved(row.value, -_MILLISECONDS)}")
        lines.append(f"  var: {moved((row.spread or 0.0) ** 2, -2 * _MILLISECONDS)}")
    return ("\n".join(lines) + "\n").encode()
