"""Limits as a person writes them: `60ms`, `phone.json=60ms`, `macs=300M`."""

from __future__ import annotations

import re

import msgspec

from hwbench.errors import UsageError

_TIMES = {"us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}
_COUNTS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
COUNTED = ("macs", "parameters")
_AMOUNT = re.compile(r"^(\d{1,12}(?:\.\d{1,12})?|\.\d{1,12}) ?(\S*)$")


class Wanted(msgspec.Struct, frozen=True):
    """`of` is a table's name, "macs", "parameters", or empty for the only table; `most` in microseconds or a count."""

    of: str
    most: float


def parse(text: str) -> Wanted:
    """What a limit says. Raises UsageError, also for a time without a unit."""
    of, _, amount = text.rpartition("=")
    units = _COUNTS if of in COUNTED else _TIMES
    match = _AMOUNT.match(amount.strip())
    if match is None or match[2] not in units or not float(match[1]) > 0:
        expected = "300M, or a plain number" if of in COUNTED else "60ms; units are us, ms and s"
        raise UsageError(f"The limit {text!r} cannot be read.", hint=f"Write the amount as {expected}.")
    return Wanted(of, float(match[1]) * units[match[2]])
