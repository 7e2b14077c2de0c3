"""Is an agreement at least 0.9? Yes, no, or too few architectures to tell, and then how many more."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import msgspec

from hwbench.transfer.agreement import MONOTONE, Agreement, in_samples, student, undone

Answer: TypeAlias = Literal["yes", "no", "too few"]

# A one-sided bound at this level decides; benchmarks/agreement_verdicts.py shows the rates of wrong answers.
_LEVEL = 0.95
# Beyond so many architectures the answer depends on what "the same" means rather than on counting.
_MOST = 100_000


class Verdict(msgspec.Struct, frozen=True):
    """`bound` is the one-sided 95 % bound of the correlation on the side of the answer; None: there is no order.

    `more`: how many further architectures should settle a "too few"; None: no number of them does, since the timing
    noise or the closeness to the threshold forbids it.
    """

    answer: Answer
    threshold: float
    bound: float | None
    more: int | None = None


def judge(found: Agreement, threshold: float = MONOTONE) -> Verdict:
    """The verdict on one pair."""
    if found.spearman is None or not math.isfinite(found.z):
        return Verdict("too few", threshold, None)
    width = student(found.n, _LEVEL) * math.hypot(found.z_architectures, found.z_noise)
    gap = found.z - math.atanh(float(in_samples(threshold * found.attenuation, found.n)))
    bound = undone(found.z - math.copysign(width, gap), found.attenuation, found.n)
    if abs(gap) > width:
        return Verdict("yes" if gap > 0 else "no", threshold, bound)
    # The deviation over architectures falls with the root of their number, that of the noise does not.
    left = (gap / student(found.n, _LEVEL)) ** 2 - found.z_noise**2
    needed = found.n * found.z_architectures**2 / left if left > 0 else math.inf
    return Verdict("too few", threshold, bound, math.ceil(needed) - found.n if needed <= _MOST else None)
