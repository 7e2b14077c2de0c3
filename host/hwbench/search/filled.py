"""Scores whose best architecture uses a limit up.

Choices that are alike share their probability: of six blocks with 0.12 each and "zero" with 0.28, "zero" is the
likeliest, though three networks in four have a block there. So the likeliest architecture is often much faster than
what the search expects, and accuracy that the limit allows is given away. Against that, latency gets a value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwbench.errors import UsageError
from hwbench.search import exact
from hwbench.search.quantities import ChoiceScores, Limit
from hwbench.spaces.space import Space
from hwbench.tables.source import Sum

USED = 0.95
_STEP, _MOST_STEPS, _HALVINGS = 4.0, 16, 12


def filled(space: Space, scores: ChoiceScores, limits: Sequence[Limit], used: float = USED) -> ChoiceScores:
    """The scores plus the first limit's quantity at its smallest value with which the best takes `used` of it.

    That share is of the most that any architecture reaches that keeps all limits. They are the scores themselves if
    their best does so already. Raises UsageError for a limit that is no sum over positions, and as `exact.best` does.
    """
    quantity, own = limits[0].quantity, scores.total()
    costs = quantity.total()
    if costs is None or own is None:
        raise UsageError(
            f"{quantity.name} is no sum over positions, which is needed to use a limit up.",
            hint="Derive by probabilities.",
        )
    span = max(float(np.ptp(values)) for values in own.offered) or 1.0
    widest = max(float(np.ptp(values)) for values in costs.offered) or 1.0

    def valued(value: float) -> ChoiceScores:
        return _with_costs(space, scores.name, own, costs, value * span / widest)

    def reached(wanted: ChoiceScores) -> float:
        return float(quantity.of(exact.best(space, wanted, limits))[0])

    enough = used * reached(ChoiceScores(space, costs.offered))
    if reached(scores) >= enough:
        return scores
    low, high = 0.0, 1.0
    for _ in range(_MOST_STEPS):
        if reached(valued(high)) >= enough:
            break
        low, high = high, _STEP * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(valued(middle)) >= enough else (middle, high)
    return valued(high)


def _with_costs(space: Space, name: str, scores: Sum, costs: Sum, value: float) -> ChoiceScores:
    offered = tuple(own + value * cost for own, cost in zip(scores.offered, costs.offered, strict=True))
    return ChoiceScores(space, offered, f"{name} and latency")
