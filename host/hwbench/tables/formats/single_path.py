"""Single-Path NAS's runtime model: JSON of 22 layers x 4 operators (k3e3, k3e6, k5e3, k5e6), milliseconds.

Layer 0 is the fixed first block: its four values are one block measured four times, of which the first is taken.
"""

from __future__ import annotations

from hwbench import spaces
from hwbench.errors import DataError
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.document import Document, Options
from hwbench.tables.imported import ImportedTable

NAME = "single-path-json"
_MILLISECONDS = 3
_LABELS = ("k3e3", "k3e6", "k5e3", "k5e6")


def recognises(document: Document) -> bool:
    if document.suffix != ".json" or b"expanded_conv" in document.data:
        return False
    try:
        content = document.json
    except DataError:
        return False
    return isinstance(content, dict) and {"0", "1", "21"} <= content.keys() and isinstance(content["0"], dict)


def read(document: Document, options: Options) -> ImportedTable:
    content = document.json
    names = ["first", *(choice.name for choice in spaces.get(spaces.DEFAULT).choices)]
    collector = Collector(document, _MILLISECONDS)
    if not isinstance(content, dict):
        raise DataError(f"{document.path} is not an object of layers.")
    for layer, choices in content.items():
        if not (layer.isascii() and layer.isdigit() and int(layer[:4]) < len(names)) or not isinstance(choices, dict):
            collector.refuse(layer, "unknown key: layers are 0 to 21")
            continue
        name = names[int(layer)]
        for choice, value in choices.items():
            if choice not in ("0", "1", "2", "3"):
                collector.refuse(f"{name}/{choice}", "unknown key: choices are 0 to 3")
                continue
            collector.add(name if name == "first" else f"{name}/{_LABELS[int(choice)]}", value)
    collector.refuse_repeated()
    collector.notes.append("blocks measured one by one; stem, feature mix and classifier are not in it")
    return collector.table(NAME, "ms", options, space=spaces.DEFAULT, kind="choice")
