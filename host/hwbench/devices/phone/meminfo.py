"""/proc/meminfo of a phone."""

from __future__ import annotations

import re

import msgspec

from hwbench.devices.phone.text import Printed, decode, shown
from hwbench.errors import DataError

_FIELD = re.compile(r"^[ \t]*(MemTotal|MemFree|MemAvailable|Buffers|Cached):[ \t]+([0-9]{1,12}) kB", re.MULTILINE)


class Memory(msgspec.Struct, frozen=True):
    """Bytes. `available_is_estimate`: the kernel is too old to say, free + buffers + cached stands for it."""

    total_bytes: int
    available_bytes: int | None
    available_is_estimate: bool


def memory(printed: Printed) -> Memory:
    """What /proc/meminfo says. Raises DataError without MemTotal."""
    text = decode(printed)
    fields: dict[str, int] = {}
    for match in _FIELD.finditer(text):
        fields.setdefault(match[1], int(match[2]) * 1024)
    if "MemTotal" not in fields:
        raise DataError(f"/proc/meminfo does not say how much memory there is: {shown(text)}.")
    available = fields.get("MemAvailable")
    parts = [fields.get(name) for name in ("MemFree", "Buffers", "Cached")]
    known = [part for part in parts if part is not None]
    estimate = sum(known) if len(known) == 3 else None
    return Memory(fields["MemTotal"], estimate if available is None else available, available is None)
