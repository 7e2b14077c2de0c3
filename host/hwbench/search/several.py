"""Combinations under several limits at once, the best first: a mixed-integer programme (scipy's HiGHS).

Each solution is then forbidden and the next one asked for. HiGHS keeps limits and optima to about 1e-6 of their
range, so whoever asks checks each solution's own sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hwbench.errors import HwbenchError
from hwbench.search.front import Floats, Offers

_OPTIMAL, _INFEASIBLE = 0, 2
# HiGHS stops within 1e-6 of the optimum in these units.
_SCORE_RANGE = 1e3


def ranked_under(costs: Sequence[Offers], scores: Offers, budgets: Sequence[float]) -> Iterator[tuple[int, ...]]:
    """Picks that keep every budget, by falling score; each once.

    `costs` holds the arrays of `front` once per limit. Raises HwbenchError when the solver gives up.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    counts = [len(values) for values in scores]
    group = np.repeat(np.arange(len(counts)), counts)
    objective = _objective(scores)
    allowed = np.ones(len(group))
    rows: list[Floats] = []
    for offers, budget in zip(costs, budgets, strict=True):
        above = np.concatenate([values - values.min() for values in offers])
        left = budget - sum(float(values.min()) for values in offers)
        if left < 0:
            return
        allowed[above > left] = 0
        # In units of what is left, so that the solver's tolerance is a share of it.
        rows.append(np.where(allowed > 0, above / left if left else 0.0, 0.0))
    one_each = (group == np.arange(len(counts))[:, None]).astype(float)
    forbidden: list[Floats] = []
    while True:
        constraints = [LinearConstraint(one_each, 1, 1), LinearConstraint(np.array(rows), -np.inf, 1)]
        if forbidden:
            constraints.append(LinearConstraint(np.array(forbidden), -np.inf, len(counts) - 1))
        found = milp(
            objective, integrality=np.ones(len(group)), bounds=Bounds(0, allowed), constraints=constraints,
            options={"mip_rel_gap": 0.0},
        )  # fmt: skip
        if found.status == _INFEASIBLE:
            return
        if found.status != _OPTIMAL:
            raise HwbenchError(f"The solver of several limits gave up: {found.message}.", hint="Search by evolution.")
        chosen: NDArray[np.bool_] = np.round(found.x) == 1
        forbidden.append(chosen.astype(float))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        yield tuple((np.flatnonzero(chosen) - starts).tolist())


def _objective(scores: Offers) -> Floats:
    """Scores as losses against each group's best, in units in which the solver's tolerance is nothing."""
    losses = np.concatenate([values.max() - values for values in scores])
    largest = sum(float(np.ptp(values)) for values in scores)
    return losses * (_SCORE_RANGE / largest) if largest else losses
