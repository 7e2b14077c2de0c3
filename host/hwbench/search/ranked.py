"""Combinations under one limit, the best first, as many as are asked for.

Best-first search (A*) with the exact value of what is left: the best score of the remaining groups within the budget
that remains, read off their front. Every combination that is opened leads to one that is yielded.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from hwbench.search.front import Floats, Offers, suffixes


def ranked(costs: Offers, scores: Offers, budget: float) -> Iterator[tuple[int, ...]]:
    """Picks whose costs sum to `budget` at most, by falling score; each once. The arrays are those of `front`.

    Scores that are equal but for the rounding of floats may come in any order. Raises TooManySums at the call.
    """
    return _opened(costs, scores, budget, suffixes(costs, scores))


def _opened(
    costs: Offers, scores: Offers, budget: float, rest: list[tuple[Floats, Floats]]
) -> Iterator[tuple[int, ...]]:
    groups = len(costs)
    start = _best_within(rest[0], np.array([budget]))[0]
    # Of equal bounds the deepest is opened first, then the oldest.
    waiting: list[tuple[float, int, int, float, float, tuple[int, ...]]] = []
    if np.isfinite(start):
        waiting.append((-start, 0, 0, 0.0, 0.0, ()))
    made = 1
    while waiting:
        _, depth, _, cost, score, picks = heapq.heappop(waiting)
        group = -depth
        if group == groups:
            yield picks
            continue
        sums, totals = cost + costs[group], score + scores[group]
        bounds = totals + _best_within(rest[group + 1], budget - sums)
        for option in np.flatnonzero(np.isfinite(bounds)).tolist():
            heapq.heappush(
                waiting,
                (-bounds[option], depth - 1, made, float(sums[option]), float(totals[option]), (*picks, option)),
            )
            made += 1


def _best_within(front: tuple[np.ndarray, np.ndarray], budgets: np.ndarray) -> np.ndarray:
    """Best score within each budget; -inf where nothing is."""
    cost, score = front
    return np.concatenate([[-np.inf], score])[np.searchsorted(cost, budgets, "right")]
