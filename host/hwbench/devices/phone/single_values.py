"""Outputs that hold a single value: the size of a page, the load, the id of a boot."""

from __future__ import annotations

import re

from hwbench.devices.phone.text import Printed, decode, real, shown, whole
from hwbench.errors import DataError

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def boot_id(printed: Printed) -> str:
    """/proc/sys/kernel/random/boot_id. Raises DataError for what is none."""
    text = decode(printed).strip()
    if not _UUID.fullmatch(text):
        raise DataError(f"not an id of a boot: {shown(text)}.")
    return text


def page_bytes(printed: Printed) -> int:
    """`getconf PAGESIZE`. Raises DataError for what is no power of two from 4096 on."""
    text = decode(printed)
    size = whole(text)
    if size is None or size < 4096 or size & (size - 1):
        raise DataError(f"not a page size: {shown(text)}.")
    return size


def load_average(printed: Printed) -> float:
    """The load of the last minute, from /proc/loadavg. Raises DataError for anything else."""
    text = decode(printed)
    load = real((text.split() or [""])[0])
    if load is None or load < 0:
        raise DataError(f"not a load average: {shown(text)}.")
    return load
