"""Widths under a multiplier."""

from __future__ import annotations


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` next to `value`, never below 90 % of it (Sandler et al.'s published rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
