"""The exact search in CPU time of one thread: fronts, one and several limits, sure limits, beside evolution."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
from tests.table_files import block_table

from benchmarks.common import parser, quantiles, report
from hwbench import spaces
from hwbench.search import evolution
from hwbench.search.evaluations import Evaluations
from hwbench.search.evolution import Settings
from hwbench.search.exact import best, smallest
from hwbench.search.front import Floats, front
from hwbench.search.quantities import ChoiceScores, Count, Latency, Limit
from hwbench.tables.imported import ImportedSource

POSITIONS, CHOICES = 21, 7
PROBLEMS = 10
REPEATS = 9
SEEDS = 5
SHARES = (1.5, 2.0, 3.0, 4.0)


def main() -> None:
    options = parser(__doc__).parse_args()
    problems = [problem(seed) for seed in range(PROBLEMS)]
    fronts = [front(costs, scores) for costs, scores in problems]
    best_of = [min(_seconds(partial(front, *one))) for one in problems]
    result: dict[str, Any] = {
        "front_ms, best of repeats, over problems": quantiles([1e3 * seconds for seconds in best_of]),
        "front_ms, all": quantiles([1e3 * seconds for one in problems for seconds in _seconds(partial(front, *one))]),
        "front_points": quantiles([float(len(one.cost)) for one in fronts]),
        **_limits(),
    }
    report("search_front", {"positions": POSITIONS, "choices": CHOICES, "problems": PROBLEMS, **result}, options.keep)


def problem(seed: int) -> tuple[list[Floats], list[Floats]]:
    """Costs of a mobile space's size and spread in milliseconds, the last choice free, and logarithmic scores."""
    rng = np.random.default_rng(seed)
    relative = np.array([0.45, 0.8, 0.55, 1.0, 0.7, 1.35, 0.0])
    costs = rng.uniform(0.8, 4.5, (POSITIONS, 1)) * relative * rng.uniform(0.9, 1.1, (POSITIONS, CHOICES))
    worth = np.array([0.5, 0.75, 0.55, 0.82, 0.6, 0.9, 0.0])
    scores = np.log(0.05 + worth + rng.uniform(0, 0.05, (POSITIONS, CHOICES)) * (worth > 0))
    return list(np.round(costs, 4)), list(scores)


def _limits() -> dict[str, Any]:
    """On the default space, with made-up latencies and scores: seconds, and how far evolution stays below."""
    space = spaces.get(spaces.DEFAULT)
    rng = np.random.default_rng(0)
    scores = ChoiceScores(space, tuple(rng.uniform(-3, 0, count) for count in space.choice_counts))
    table = block_table(space.name)
    other = tuple(msgspec.structs.replace(row, value=row.value * float(rng.uniform(0.5, 2))) for row in table.rows)
    sources = [ImportedSource(found, space) for found in (table, msgspec.structs.replace(table, rows=other))]
    one, sure, two = Latency(sources[0], "a"), Latency(sources[0], "a", 0.95), Latency(sources[1], "b")
    lowest = {quantity.name: smallest(space, quantity)[1] for quantity in (one, two)}
    parameters = Count(space, "parameters")
    questions: dict[str, Callable[[float], list[Limit]]] = {
        "one limit": lambda share: [Limit(one, share * lowest["a"])],
        "one limit, 95 % sure": lambda share: [Limit(sure, share * lowest["a"])],
        "two targets": lambda share: [Limit(one, share * lowest["a"]), Limit(two, share * lowest["b"])],
        "two targets and parameters": lambda share: [
            Limit(one, share * lowest["a"]), Limit(two, share * lowest["b"]), Limit(parameters, 3e6)
        ],
    }  # fmt: skip
    found: dict[str, Any] = {}
    for name, limits in questions.items():
        for count in (1, 20):
            asked = [partial(best, space, scores, limits(share), count) for share in SHARES]
            found[f"{name}, {count} best, ms"] = quantiles([1e3 * min(_seconds(ask, 2)) for ask in asked])
    gaps = []
    for share in SHARES:
        limits = questions["one limit"](share)
        exact = float(scores.of(best(space, scores, limits))[0])
        for seed in range(SEEDS):
            archs = evolution.evolve(space, limits, Evaluations(scores), Settings(seed=seed))
            gaps.append(exact - float(scores.of(archs)[0]))
    found["evolution, score below the exact best"] = quantiles(gaps)
    return found


def _seconds(action: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        action()
        times.append(time.process_time() - begin)
    return times


if __name__ == "__main__":
    main()
