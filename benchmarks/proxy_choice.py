"""Choosing a proxy with few measurements: is what is said true, and what is lost against the best proxy of the pool.

Every unflawed column of a published matrix is the new target in turn. `promise`: One Proxy's columns with all others as
the pool, beside the proxy of highest correlation on as many random architectures. `reliability`: random pools of
each matrix, with and without the target's own family; how often "agreement >= 0.9" is true where its probability was
said to be in a range, how often answers are right, how often intervals hold. The model's constants were looked at on
HELP's NAS-Bench-201 and FBNet columns; One Proxy's and Once-for-all's confirm them.

    python -m benchmarks.proxy_choice --data DIR [--pools N] [--only NAME,...] [--keep]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import parser, report
from hwbench import spaces
from hwbench.measure.statistics import spearman
from hwbench.spaces.encodings import label_counts, one_hot
from hwbench.tables import flaws, formats
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.agreement import MONOTONE
from hwbench.transfer.proxy import ProxyChoice, choose, to_measure

MEASURED = (10, 20)
SEEDS = 20
ROWS = 2000
SMALLEST_POOL = 3
RANGES = ((0.0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.01))
SETS = {
    "help_nasbench201": "help/data/nasbench201",
    "help_fbnet": "help/data/fbnet",
    "help_ofa": "help/data/ofa",
    "oneproxy": "oneproxy/latency.csv",
}

Floats = NDArray[np.float64]


class Columns(msgspec.Struct, frozen=True):
    """The unflawed columns (n, targets) of a matrix over ROWS of its architectures, and their true agreements."""

    names: tuple[str, ...]
    values: Floats
    features: tuple[Floats, ...]
    agreements: Floats


class Said(msgspec.Struct, frozen=True):
    """One choice: per proxy of the pool what was said and what is true; `lost` against the best of the pool."""

    probabilities: tuple[float, ...]
    true: tuple[bool, ...]
    held: tuple[bool, ...]
    answer: str
    best_true: bool
    any_true: bool
    lost: float


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of published data")
    arguments.add_argument("--pools", type=int, default=12, help="random pools per target and number of measurements")
    arguments.add_argument("--only", default=",".join(SETS), help="names of data sets, with commas")
    options = arguments.parse_args()
    chosen = {name: columns_of(options.data / SETS[name]) for name in options.only.split(",")}
    result: dict[str, Any] = {"pools": options.pools, "measured": MEASURED, "reliability": {}}
    for name, columns in chosen.items():
        cases = list(random_pools(columns, options.pools))
        result["reliability"][name] = {str(k): reliability([one for m, one in cases if m == k]) for k in MEASURED}
    if "oneproxy" in chosen:
        result["promise"] = promise(chosen["oneproxy"])
    report("proxy_choice", result, options.keep)


def columns_of(path: Path) -> Columns:
    matrix = formats.read(path)
    if not isinstance(matrix, LatencyMatrix):
        raise SystemExit(f"{path} is no matrix")
    names = flaws.unflawed(matrix)
    values = np.stack([matrix.column(name) for name in names], axis=1)
    complete = np.flatnonzero(np.isfinite(values).all(axis=1))
    rows = np.sort(np.random.default_rng(0).permutation(complete)[:ROWS])
    space, archs = spaces.get(matrix.space), matrix.encoded[rows].astype(np.int64)
    kept = values[rows]
    agreements = np.array([[spearman(a, b) for a in kept.T] for b in kept.T])
    return Columns(names, kept, (one_hot(space, archs), label_counts(space, archs)), agreements)


def random_pools(columns: Columns, pools: int) -> Iterator[tuple[int, Said]]:
    """Choices for every target from random pools, every second one without the target's family."""
    rng = np.random.default_rng(1)
    for target, name in enumerate(columns.names):
        for number in range(pools):
            others = [one for one in range(len(columns.names)) if one != target]
            if number % 2:
                others = [one for one in others if family(columns.names[one]) != family(name)]
            size = int(rng.integers(min(SMALLEST_POOL, len(others)), len(others) + 1))
            pool = [int(one) for one in rng.choice(others, size, replace=False)]
            for count in MEASURED:
                yield count, said_of(columns, pool, target, chosen_with(columns, pool, target, count, number))


def family(name: str) -> str:
    """Targets of one device at several batch sizes, and its close relatives, share their name's beginning."""
    return name.split("_", maxsplit=1)[0]


def chosen_with(columns: Columns, pool: list[int], target: int, count: int, seed: int) -> ProxyChoice:
    rows = to_measure(columns.values[:, pool], count, seed)
    return choose(
        [columns.names[one] for one in pool], columns.values[:, pool], rows, columns.values[rows, target],
        features=columns.features, seed=seed,
    )  # fmt: skip


def said_of(columns: Columns, pool: list[int], target: int, found: ProxyChoice) -> Said:
    truths = {columns.names[one]: float(columns.agreements[target, one]) for one in pool}
    return Said(
        probabilities=tuple(one.probability for one in found.candidates),
        true=tuple(truths[one.proxy] >= MONOTONE for one in found.candidates),
        held=tuple(one.lower <= truths[one.proxy] <= one.upper for one in found.candidates),
        answer=found.answer,
        best_true=truths[found.best.proxy] >= MONOTONE,
        any_true=max(truths.values()) >= MONOTONE,
        lost=max(truths.values()) - truths[found.best.proxy],
    )


def reliability(cases: list[Said]) -> dict[str, Any]:
    pairs = [both for one in cases for both in zip(one.probabilities, one.true, strict=True)]
    yes = [one.best_true for one in cases if one.answer == "yes"]
    no = [not one.any_true for one in cases if one.answer == "no"]
    return {
        "choices": len(cases), "pairs": len(pairs), "lost_mean": float(np.mean([one.lost for one in cases])),
        "interval_held": float(np.mean([held for one in cases for held in one.held])),
        "probability": [calibration(pairs, low, high) for low, high in RANGES],
        "yes": len(yes), "yes_right": float(np.mean(yes)) if yes else None,
        "no": len(no), "no_right": float(np.mean(no)) if no else None,
    }  # fmt: skip


def calibration(said: list[tuple[float, bool]], low: float, high: float) -> dict[str, Any]:
    inside = [both for both in said if low <= both[0] < high]
    mean = [float(np.mean(column)) for column in zip(*inside, strict=True)] or [None, None]
    return {"from": low, "to": min(high, 1.0), "cases": len(inside), "said": mean[0], "true": mean[1]}


def promise(columns: Columns) -> dict[str, Any]:
    """Loss with the fewest of MEASURED, all other columns as the pool, and of plain correlations on random rows."""
    count, names = MEASURED[0], columns.names
    lost: dict[str, Floats] = {
        way: np.zeros((len(names), SEEDS)) for way in ("hwbench", "pearson_random", "spearman_random")
    }
    for target in range(len(names)):
        pool = [number for number in range(len(names)) if number != target]
        truth = columns.agreements[target, pool]
        for seed in range(SEEDS):
            found = chosen_with(columns, pool, target, count, seed)
            lost["hwbench"][target, seed] = said_of(columns, pool, target, found).lost
            random = np.random.default_rng(seed).choice(len(columns.values), count, replace=False)
            for way, score in (("pearson_random", pearson), ("spearman_random", spearman)):
                picked = best_by(score, columns.values[random], target, pool)
                lost[way][target, seed] = truth.max() - columns.agreements[target, picked]
    return {
        "targets": names, "measured": count, "seeds": SEEDS,
        "lost": {way: summary(names, figures) for way, figures in lost.items()},
    }  # fmt: skip


def pearson(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def best_by(score: Callable[[Floats, Floats], float], measured: Floats, target: int, pool: list[int]) -> int:
    return max(pool, key=lambda one: score(measured[:, target], measured[:, one]))


def summary(names: tuple[str, ...], figures: Floats) -> dict[str, Any]:
    by_target = figures.mean(axis=1)
    return {
        "mean": float(figures.mean()),
        "worst_target": float(by_target.max()),
        "by_target": dict(zip(names, by_target.tolist(), strict=True)),
    }


if __name__ == "__main__":
    main()
