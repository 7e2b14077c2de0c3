"""The fewest proxies that cover a fleet of targets."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.transfer.agreement import MONOTONE
from hwbench.transfer.ranks import Floats


class Cover(msgspec.Struct, frozen=True):
    """Chosen proxies, the proxy of each covered target, and the targets that no proxy covers but themselves."""

    proxies: tuple[str, ...]
    served_by: dict[str, str]
    alone: tuple[str, ...]
    threshold: float


def cover(names: Sequence[str], agreements: Floats, threshold: float = MONOTONE) -> Cover:
    """The fewest proxies such that each target agrees with one of them; `agreements` is (targets, targets).

    Exact: branches over targets, bounded by the best cover found. Of covers of one size the one with the highest
    agreements is taken.
    """
    count = len(names)
    serves = np.nan_to_num(agreements, nan=-1.0) >= threshold
    np.fill_diagonal(serves, True)
    chosen = _exact_cover(serves, np.where(serves, agreements, 0.0))
    served_by = {}
    for target in range(count):
        best = max(
            chosen, key=lambda proxy: (proxy == target, agreements[proxy, target] if serves[proxy, target] else -2)
        )
        served_by[names[target]] = names[best]
    alone = tuple(names[number] for number in range(count) if serves[:, number].sum() == 1)
    return Cover(tuple(names[number] for number in chosen), served_by, alone, threshold)


def _exact_cover(serves: NDArray[np.bool_], worth: Floats) -> tuple[int, ...]:
    """Branch over the targets that the fewest proxies serve; the greedy cover bounds the depth."""
    best: tuple[int, float, tuple[int, ...]] = (len(serves) + 1, 0.0, ())

    def search(chosen: tuple[int, ...], covered: NDArray[np.bool_]) -> None:
        nonlocal best
        if covered.all():
            value = float(worth[list(chosen)].max(axis=0).sum())
            best = min(best, (len(chosen), -value, chosen))
            return
        if len(chosen) + 1 > best[0]:
            return
        hardest = int(np.argmin(np.where(covered, len(serves) + 1, serves.sum(axis=0))))
        for proxy in sorted(np.flatnonzero(serves[:, hardest]), key=lambda one: -int((serves[one] & ~covered).sum())):
            search((*chosen, int(proxy)), covered | serves[proxy])

    search((), np.zeros(len(serves), bool))
    return tuple(sorted(best[2]))
