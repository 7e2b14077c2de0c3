"""How often intervals hold the true agreement and verdicts are right: simulated pairs, subsamples of real ones.

A simulated pair has a known correlation and known timing noise. A real case is 50 architectures of One Proxy's data,
with noise added; its truth is the correlation over all of them, far from 0.9 or the case does not count.

    python -m benchmarks.agreement_verdicts [--data DIR] [--keep]
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tests.simulated import pair

from benchmarks.common import parser, report
from hwbench.measure.statistics import spearman
from hwbench.tables import formats
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.agreement import Observed, agreement
from hwbench.transfer.verdict import judge

AGREEMENTS = (0.3, 0.5, 0.72, 0.8, 0.86, 0.88, 0.9, 0.92, 0.94, 0.97, 0.99)
NOISES = (0.0, 0.02, 0.05, 0.1)
SIZES = (50, 200)
DRAWS = 400


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, help="folder of published data")
    arguments.add_argument("--pairs", type=int, default=500, help="simulated pairs of each kind")
    options = arguments.parse_args()
    rows = [simulated(n, noise, rho, options.pairs) for n, noise, rho in itertools.product(SIZES, NOISES, AGREEMENTS)]
    result: dict[str, Any] = {"pairs_each": options.pairs, "summary": summary(rows), "simulated": rows}
    if options.data is not None:
        result["real"] = real(options.data, options.pairs)
    report("agreement_verdicts", result, options.keep)


def simulated(n: int, noise: float, rho: float, pairs: int) -> dict[str, Any]:
    rng = np.random.default_rng([n, round(1000 * noise), round(1000 * rho)])
    held, answers = 0, Counter[str]()
    for seed in range(pairs):
        found = agreement(*pair(rng, rho, n, noise), draws=DRAWS, seed=seed)
        held += found.lower <= rho <= found.upper
        answers[judge(found).answer] += 1
    shares = {answer: answers[answer] / pairs for answer in ("yes", "no", "too few")}
    return {"n": n, "noise": noise, "agreement": rho, "covered": held / pairs} | shares


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The figures that are promised, of 50 architectures; rates at the worst agreement and noise, not on average."""
    few = [row for row in rows if row["n"] == SIZES[0]]
    quiet = [row for row in few if row["noise"] <= 0.02]
    return {
        "covered_mean": float(np.mean([row["covered"] for row in rows])),
        "covered_least": min(row["covered"] for row in rows),
        "covered_most": max(row["covered"] for row in rows),
        "wrong_yes_worst": max(row["yes"] for row in few if row["agreement"] <= 0.88),
        "wrong_yes_mean": float(np.mean([row["yes"] for row in few if row["agreement"] <= 0.88])),
        "wrong_no_worst": max(row["no"] for row in few if row["agreement"] >= 0.92),
        "wrong_no_mean": float(np.mean([row["no"] for row in few if row["agreement"] >= 0.92])),
        "clear_yes_least": min(row["yes"] for row in quiet if row["agreement"] >= 0.97),
        "clear_no_least": min(row["no"] for row in quiet if row["agreement"] <= 0.72),
    }


def real(data: Path, cases: int) -> dict[str, Any]:
    matrix = formats.read(data / "oneproxy" / "latency.csv")
    if not isinstance(matrix, LatencyMatrix):
        raise SystemExit("latency.csv is no matrix")
    rng = np.random.default_rng(0)
    counts, held, wrong_yes, wrong_no, below, above = Counter[str](), 0, 0, 0, 0, 0
    for seed in range(4 * cases):
        a, b = rng.choice(len(matrix.targets), 2, replace=False)
        both = np.flatnonzero(np.isfinite(matrix.values[:, [a, b]]).all(axis=1))
        truth = spearman(matrix.values[both, a], matrix.values[both, b])
        chosen = rng.choice(both, SIZES[0], replace=False)
        noise = 0.02
        noisy = matrix.values[np.ix_(chosen, [a, b])] * np.exp(noise * rng.standard_normal((SIZES[0], 2)))
        known = np.full(SIZES[0], noise)
        found = agreement(Observed("a", noisy[:, 0], known), Observed("b", noisy[:, 1], known), draws=DRAWS, seed=seed)
        answer = judge(found).answer
        counts[answer] += 1
        held += found.lower <= truth <= found.upper
        below, above = below + (truth < 0.88), above + (truth > 0.92)
        wrong_yes += answer == "yes" and truth < 0.88
        wrong_no += answer == "no" and truth > 0.92
    return {
        "cases": 4 * cases, "covered": held / (4 * cases), "answers": dict(counts),
        "wrong_yes": wrong_yes / below, "of_cases_below_0.88": below,
        "wrong_no": wrong_no / above, "of_cases_above_0.92": above,
    }  # fmt: skip


if __name__ == "__main__":
    main()
