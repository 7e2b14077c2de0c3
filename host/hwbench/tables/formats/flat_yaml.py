"""YAML of published tables: a mapping of keys to a mapping of numbers, read from parser events.

Nothing is constructed from tags, and anchors, which can make a small file stand for a huge one, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from hwbench.errors import DataError
from hwbench.tables.formats.document import Document

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def rows(document: Document) -> Iterator[tuple[str, dict[str, str]]]:
    """(key, fields as text) in the order of the file, keys that stand twice included. Raises DataError."""
    text = document.text
    try:
        events = (event for event in yaml.parse(text, Loader=_LOADER))
        yield from _rows(events)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error)
        raise DataError(f"{document.path} is not a YAML table: {problem}.") from error


def _rows(events: Iterator[yaml.Event]) -> Iterator[tuple[str, dict[str, str]]]:
    _expect(events, yaml.StreamStartEvent)
    _expect(events, yaml.DocumentStartEvent)
    _expect(events, yaml.MappingStartEvent)
    while isinstance(key := _next(events), yaml.ScalarEvent):
        fields: dict[str, str] = {}
        _expect(events, yaml.MappingStartEvent)
        while isinstance(field := _next(events), yaml.ScalarEvent):
            value = _next(events)
            if not isinstance(value, yaml.ScalarEvent):
                raise ValueError(f"the field {field.value[:60]!r} of {key.value[:120]!r} is no number")
            fields.setdefault(field.value, value.value)
        yield key.value, fields


def _next(events: Iterator[yaml.Event]) -> yaml.Event:
    event = next(events, None)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise ValueError("it uses anchors, which no published table does")
    if event is None or isinstance(event, yaml.SequenceStartEvent):
        raise ValueError("it is not a mapping of keys to fields")
    return event


def _expect(events: Iterator[yaml.Event], kind: type[yaml.Event]) -> None:
    if not isinstance(_next(events), kind):
        raise ValueError("it is not a mapping of keys to fields")
