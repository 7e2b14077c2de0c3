"""Choosing a proxy with few measurements: agreement lost against the best proxy of the pool, leaving one target out.

Every unflawed column of One Proxy's data is the new target in turn, the others are the pool. Beside the tool: the
proxy of highest correlation on as many random architectures. Also: how often "agreement >= 0.9" is true where its
probability was said to be in a range.

    python -m benchmarks.proxy_choice --data DIR [--keep]
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import parser, report
from hwbench.measure.statistics import spearman
from hwbench.tables import flaws, formats
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.agreement import MONOTONE
from hwbench.transfer.proxy import choose, to_measure

MEASURED = 10
SEEDS = 20
RANGES = ((0.0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.01))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of published data")
    options = arguments.parse_args()
    matrix = formats.read(options.data / "oneproxy" / "latency.csv")
    if not isinstance(matrix, LatencyMatrix):
        raise SystemExit("latency.csv is no matrix")
    names = flaws.unflawed(matrix)
    values = np.stack([matrix.column(name) for name in names], axis=1)
    agreements = np.array([[spearman(a, b) for a in values.T] for b in values.T])
    lost: dict[str, NDArray[np.float64]] = {
        way: np.zeros((len(names), SEEDS)) for way in ("hwbench", "pearson_random", "spearman_random")
    }
    said: list[tuple[float, bool]] = []
    for target in range(len(names)):
        pool = [number for number in range(len(names)) if number != target]
        truth = agreements[target, pool]
        for seed in range(SEEDS):
            rows = to_measure(values[:, pool], MEASURED, seed)
            found = choose([names[one] for one in pool], values[:, pool], rows, values[rows, target], seed=seed)
            by_name = {one.proxy: one for one in found}
            lost["hwbench"][target, seed] = truth.max() - agreements[target, names.index(found[0].proxy)]
            said += [(by_name[names[one]].probability, agreements[target, one] >= MONOTONE) for one in pool]
            random = np.random.default_rng(seed).choice(len(values), MEASURED, replace=False)
            for way, score in (("pearson_random", pearson), ("spearman_random", spearman)):
                picked = best_by(score, values[random], target, pool)
                lost[way][target, seed] = truth.max() - agreements[target, picked]
    result: dict[str, Any] = {
        "targets": names, "flawed": [flaw.text for flaw in flaws.of_matrix(matrix)],
        "measured": MEASURED, "seeds": SEEDS,
        "lost": {way: summary(names, figures) for way, figures in lost.items()},
        "probability": [calibration(said, low, high) for low, high in RANGES],
    }  # fmt: skip
    report("proxy_choice", result, options.keep)


def pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def best_by(
    score: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    measured: NDArray[np.float64],
    target: int,
    pool: list[int],
) -> int:
    return max(pool, key=lambda one: score(measured[:, target], measured[:, one]))


def summary(names: tuple[str, ...], figures: NDArray[np.float64]) -> dict[str, Any]:
    by_target = figures.mean(axis=1)
    return {
        "mean": float(figures.mean()),
        "worst_target": float(by_target.max()),
        "by_target": dict(zip(names, by_target.tolist(), strict=True)),
    }


def calibration(said: list[tuple[float, bool]], low: float, high: float) -> dict[str, Any]:
    inside = [true for probability, true in said if low <= probability < high]
    return {"from": low, "to": min(high, 1.0), "cases": len(inside), "true": float(np.mean(inside)) if inside else None}


if __name__ == "__main__":
    main()
