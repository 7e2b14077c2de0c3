"""What choosing on one target costs on another: the loss of score at nine budgets, for every ordered pair."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from hwbench import spaces
from hwbench.errors import DataError, UsageError
from hwbench.search import accuracies, exact, score_files
from hwbench.search.quantities import Latency, Quantity
from hwbench.spaces.space import Architectures, Space
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.fronts import SHARES, FrontRegret, front_regret, regret
from hwbench.transfer.ranks import Floats
from hwbench.workflows.comparing.comparison import Regret, Score
from hwbench.workflows.comparing.targets import TableTarget

# By proxy and target.
Regrets: TypeAlias = dict[tuple[str, str], Regret]


def regrets(
    tables: Sequence[TableTarget], matrix: LatencyMatrix | None, score: str | None, accuracy: str | None
) -> tuple[Score | None, Regrets]:
    """Regret in a score (macs, parameters, or a file of scores per choice) or in the accuracies of a file.

    Tables and a score: over the exact fronts of their spaces, the budgets being deciles of the latencies along the
    target's front. Else over the architectures of the matrix, or those that have an accuracy, the budgets being deciles
    of their latencies on the target. Raises UsageError, DataError, MissingRows.
    """
    if accuracy is not None:
        if score is not None:
            raise UsageError("Regret is counted in one score.", hint="Give either --score or --accuracy.")
        space = tables[0].space if matrix is None else spaces.get(matrix.space)
        known = accuracies.read(accuracy, space)
        listed = known.architectures if matrix is None else _listed(matrix, space)
        values = known.of(listed)
        if not np.isfinite(values).any():
            raise DataError(f"{accuracy} has none of the architectures that are compared.")
        name = known.name
    elif score is None:
        return None, {}
    elif matrix is None:
        scores = {one.space.name: score_files.named(score, one.space) for one in tables}
        return Score(Path(score).name), of_tables(tables, scores)
    else:
        space = spaces.get(matrix.space)
        listed = _listed(matrix, space)
        name, values = Path(score).name, score_files.named(score, space).of(listed)
    latencies = {} if matrix is None else {target: matrix.column(target) for target in matrix.targets}
    latencies |= {one.name: one.source.predict(listed).mean_us for one in tables}
    return Score(name, int(np.isfinite(values).sum())), of_architectures(latencies, values)


def of_tables(tables: Sequence[TableTarget], scores: Mapping[str, Quantity]) -> Regrets:
    """From exact fronts; `scores` by the name of a space. A front is made with the score of its own space."""
    costs = {one.name: Latency(one.source, one.name) for one in tables}
    fronts = {one.name: exact.front_of(one.space, scores[one.space.name], costs[one.name]) for one in tables}
    found: Regrets = {}
    for target in tables:
        cost, score = costs[target.name], scores[target.space.name]
        best = _on_both(cost, score, fronts[target.name])
        budgets = np.quantile(best[0], SHARES)
        for proxy in tables:
            if proxy is not target:
                lost = regret(budgets, best, _on_both(cost, score, fronts[proxy.name]))
                found[proxy.name, target.name] = _record(proxy.name, target.name, lost)
    return found


def of_architectures(latencies: Mapping[str, Floats], scores: Floats) -> Regrets:
    """Over listed architectures: latencies by target and scores, each of shape (n,), NaN where there is none."""
    return {
        (proxy, target): _record(proxy, target, front_regret(latencies[target], latencies[proxy], scores))
        for proxy, target in itertools.permutations(latencies, 2)
    }


def _listed(matrix: LatencyMatrix, space: Space) -> Architectures:
    return space.check(matrix.encoded.astype(np.int64))


def _on_both(cost: Quantity, score: Quantity, architectures: Architectures) -> tuple[Floats, Floats]:
    return _values(cost, architectures), _values(score, architectures)


def _values(quantity: Quantity, architectures: Architectures) -> Floats:
    """As `quantity.of`, much faster for sums over positions: a front may have 100,000 architectures."""
    total = quantity.total()
    if total is None:
        return quantity.of(architectures)
    found = np.full(len(architectures), total.fixed)
    for values, choices in zip(total.offered, architectures.T, strict=True):
        found += values[choices]
    return found


def _record(proxy: str, target: str, found: FrontRegret) -> Regret:
    return Regret(proxy, target, found.mean, found.worst, found.unmet, found.budgets)
