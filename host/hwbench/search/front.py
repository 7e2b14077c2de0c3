"""The exact Pareto front of an additive cost and an additive score, and the best of every budget.

A problem is a sequence of groups, each with some options; an option has a cost and a score, and one option is picked
per group. The programme takes group after group and keeps the sums that no other beats: no grid, no rounding of costs.
It is the dominance form of the multiple-choice knapsack's dynamic programme (Kellerer, Pferschy, Pisinger, Knapsack
Problems, 2004, section 11.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import HwbenchError
from hwbench.transfer.fronts import undominated

# Where costs and scores rise together hardly anything is dominated, and sums double from group to group.
MOST_SUMS = 2_000_000

Floats: TypeAlias = NDArray[np.float64]
Offers: TypeAlias = Sequence[Floats]


class Front(msgspec.Struct, frozen=True):
    """Costs and scores, shape (n,), both strictly rising; `picks` (n, groups) is the option of each group."""

    cost: Floats
    score: Floats
    picks: NDArray[np.int32]

    def within(self, budget: float) -> int | None:
        """Place of the best one that costs `budget` at most; None: there is none."""
        place = int(np.searchsorted(self.cost, budget, "right")) - 1
        return place if place >= 0 else None


class TooManySums(HwbenchError):
    """The programme would have to hold more than `MOST_SUMS` sums."""


def front(costs: Offers, scores: Offers) -> Front:
    """The front of all combinations; of equals in both the first found is taken.

    `costs` and `scores` hold one array per group, shape (options,), finite. Two sums that are equal but for the
    rounding of floats are different. Raises TooManySums.
    """
    steps = _steps(costs, scores)
    cost, score = steps[-1][:2] if steps else (np.zeros(1), np.zeros(1))
    picks = np.empty((len(cost), len(steps)), np.int32)
    place = np.arange(len(cost))
    for group in range(len(steps) - 1, -1, -1):
        _, _, parent, option = steps[group]
        picks[:, group] = option[place]
        place = parent[place]
    return Front(cost, score, picks)


def suffixes(costs: Offers, scores: Offers) -> list[tuple[Floats, Floats]]:
    """Costs and scores of the front of groups j and later, for j = 0 ... groups; the last is one sum of zeros.

    Raises TooManySums.
    """
    steps = _steps(costs[::-1], scores[::-1])
    return [*((cost, score) for cost, score, _, _ in reversed(steps)), (np.zeros(1), np.zeros(1))]


def _steps(costs: Offers, scores: Offers) -> list[tuple[Floats, Floats, NDArray[np.intp], NDArray[np.intp]]]:
    """After each group: costs and scores of its front, the place of the sum before, the option taken."""
    cost, score = np.zeros(1), np.zeros(1)
    steps = []
    for own_cost, own_score in zip(costs, scores, strict=True):
        useful = undominated(own_cost, own_score)
        # Runs that are already in order are merged, not sorted.
        sums = (own_cost[useful, None] + cost).reshape(-1)
        totals = (own_score[useful, None] + score).reshape(-1)
        kept = undominated(sums, totals)
        if len(kept) > MOST_SUMS:
            raise TooManySums(
                f"The exact front has more than {MOST_SUMS} points: its cost and score say nearly the same.",
                hint="Choose another score, or search by evolution.",
            )
        steps.append((sums[kept], totals[kept], kept % len(cost), useful[kept // len(cost)]))
        cost, score = sums[kept], totals[kept]
    return steps
