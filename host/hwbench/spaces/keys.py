"""The text of block keys: fields in a fixed order, shapes as height x width x channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

from hwbench.errors import DataError
from hwbench.spaces.ops import Activation, Padding, Shape

_FIELD = re.compile(r"^(?P<name>[a-z]+):(?P<value>[a-z0-9-]+)$")
# More than any map or channel count has, and few enough digits that arithmetic on them stays cheap.
_LARGEST = 10**7


def shape_text(shape: Shape) -> str:
    """`(14, 14, 80)` as `14x14x80`."""
    return "x".join(str(n) for n in shape)


class Fields:
    """The fields of a key. The methods raise KeyError or ValueError for what is absent or unreadable."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        return self._fields[name]

    def has(self, name: str) -> bool:
        return name in self._fields

    def number(self, name: str, smallest: int = 1) -> int:
        return _number(self._fields[name], smallest)

    def shape(self, name: str) -> Shape:
        height, width, channels = (_number(part, 1) for part in self._fields[name].split("x"))
        return (height, width, channels)

    def flag(self, name: str) -> bool:
        return bool(("0", "1").index(self._fields[name]))

    def padding(self) -> Padding:
        known: tuple[Padding, ...] = get_args(Padding)
        return known[known.index(self._fields["pad"])]

    def activation(self) -> Activation:
        known: tuple[Activation, ...] = get_args(Activation)
        return known[known.index(self._fields["act"])]


def split(key: str) -> tuple[str, Fields]:
    """The kind and the fields of a key. Raises DataError for a field that cannot be read."""
    kind, *parts = re.split(r"-(?=[a-z]+:)", key)
    fields = {}
    for part in parts:
        match = _FIELD.match(part)
        if match is None:
            raise DataError(f"Block key {key!r} has the unreadable field {part!r}.")
        fields[match["name"]] = match["value"]
    return kind, Fields(fields)


def _number(text: str, smallest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 8) or not smallest <= int(text) <= _LARGEST:
        raise ValueError(text)
    return int(text)
