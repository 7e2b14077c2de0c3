"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Collection

from hwbench.records import EMULATED


def latency(microseconds: float) -> str:
    """Microseconds below one millisecond, milliseconds above; four significant digits. Infinity is a sign."""
    if math.isinf(microseconds):
        return "∞"
    if microseconds < 1e3:
        return f"{_significant(microseconds)} µs"
    return f"{_significant(microseconds / 1e3)} ms"


def measured(microseconds: float, flags: Collection[str]) -> str:
    """A latency, with the word beside it when an emulator made it."""
    return latency(microseconds) + (f" {EMULATED}" if EMULATED in flags else "")


def _significant(value: float) -> str:
    digits = 3 if value < 10 else 2 if value < 100 else 1 if value < 1000 else 0
    return f"{value:.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def signed_percent(share: float) -> str:
    return f"{100 * share:+.1f} %"


def size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
