"""TuNAS's linear cost model of the ProxylessNAS space: a bias and a coefficient per position and choice, milliseconds.

The first block has 3 choices (kernels), then 21 positions follow, kernel-major, the identity last where there is one.
Coefficients are differences from the bias and may be negative: a single one is no latency, their sum is.
"""

from __future__ import annotations

from typing import Any

from hwbench import spaces
from hwbench.errors import DataError
from hwbench.tables.formats.collect import Collector
from hwbench.tables.formats.document import Document, Options, number
from hwbench.tables.imported import ImportedTable

NAME = "tunas-linear"
_MILLISECONDS = 3
_FIRST = ("k3e1", "k5e1", "k7e1")


def recognises(document: Document) -> bool:
    return document.suffix == ".json" and b'"bias_ms"' in document.data


def read(document: Document, options: Options) -> ImportedTable:
    content = document.json
    if not isinstance(content, dict):
        raise DataError(f"{document.path} is not an object with bias_ms.")
    keys = _keys()
    coefficients = _coefficients(content)
    if coefficients is None or len(coefficients) != len(keys):
        count = "no" if coefficients is None else str(len(coefficients))
        raise DataError(f"{document.path} has {count} coefficients; a cost model of this space has {len(keys)}.")
    collector = Collector(document, _MILLISECONDS)
    try:
        bias = number(content.get("bias_ms"), _MILLISECONDS)
    except ValueError as error:
        raise DataError(f"{document.path}: bias_ms: {error}.") from error
    if not abs(bias) < 1e12:
        raise DataError(f"{document.path}: bias_ms is impossible.")
    for key, value in zip(keys, coefficients, strict=True):
        collector.add(key, value, signed=True)
    collector.notes.append("a linear model fitted to whole networks: its rows are differences, not latencies")
    return collector.table(
        NAME, "ms", options, space=spaces.DEFAULT, kind="choice", offset=bias,
        offset_covers=("stem", "mix", "classifier"),
    )  # fmt: skip


def _keys() -> list[str]:
    """Row keys in the order of the coefficients; the first block's usual choice goes under its name alone."""
    searched = [f"{choice.name}/{label}" for choice in spaces.get(spaces.DEFAULT).choices for label in choice.labels]
    return ["first", *(f"first/{label}" for label in _FIRST[1:]), *searched]


def _coefficients(content: dict[str, Any]) -> list[Any] | None:
    """From a flat `kernel`, or from `layers` of `choices` with `coef_ms`."""
    kernel, layers = content.get("kernel"), content.get("layers")
    if isinstance(kernel, list):
        return kernel
    if not isinstance(layers, list):
        return None
    found: list[Any] = []
    for layer in layers:
        choices = layer.get("choices") if isinstance(layer, dict) else None
        if not isinstance(choices, list):
            return None
        found += [choice.get("coef_ms") if isinstance(choice, dict) else None for choice in choices]
    return found
