"""`table calibrate`: errors of sums of blocks before and after, on simulated tables and on this machine.

On this machine a table of warm blocks, which are too fast, and one of cold blocks are each corrected by ten networks,
and judged on ten others that were measured in launches of their own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tests.simulated import biased, block_latencies

from benchmarks.common import load_table, parser, report, run_hwbench, summary
from hwbench import spaces
from hwbench.spaces.encodings import block_counts, block_features, block_stages
from hwbench.transfer.calibration import corrections

# Logarithm of a common factor, and standard deviations of stages' factors and of the networks' noise.
CASES = {
    "common 8 %": (0.08, 0.0, 0.01),
    "common -15 %, noisy": (-0.15, 0.0, 0.02),
    "stages 8 %": (0.0, 0.08, 0.01),
    "stages 15 %": (0.0, 0.15, 0.01),
    "both": (0.05, 0.08, 0.01),
    "noise 1 %": (0.0, 0.0, 0.01),
    "noise 3 %": (0.0, 0.0, 0.03),
}
ROW = 0.01
OTHERS = 200


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--networks", type=int, default=10)
    arguments.add_argument("--trials", type=int, default=200)
    arguments.add_argument("--simulated-only", action="store_true")
    arguments.add_argument("--preset", default="quick")
    options = arguments.parse_args()
    result: dict[str, Any] = {
        "networks": options.networks,
        "simulated": {name: simulated(*case, options.networks, options.trials) for name, case in CASES.items()},
    }
    if not options.simulated_only:
        result["measured"] = {cache: measured(cache, options.networks, options.preset) for cache in ("warm", "cold")}
    report("calibration", result, options.keep)


def simulated(common: float, stage: float, noise: float, networks: int, trials: int) -> dict[str, float | None]:
    space = spaces.get(spaces.DEFAULT)
    features = np.stack([block_features(block) for block in space.distinct_blocks])
    _, stages = block_stages(space)
    errors, accepted = [], 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        table = block_latencies(rng, features)
        counts = block_counts(space, space.sample(networks + OTHERS, seed))
        latencies = counts @ biased(rng, table, stages, common, stage, ROW)
        latencies *= np.exp(noise * rng.standard_normal(len(counts)))
        sums = counts @ table
        own, others = slice(0, networks), slice(networks, None)
        shares = counts[own] * table / sums[own, None]
        found = corrections(shares, stages, np.full(len(table), ROW), sums[own], latencies[own])
        after = counts[others] @ (table * found.factors)
        errors.append([float(np.abs(p / latencies[others] - 1).mean()) for p in (sums[others], after)])
        accepted += found.accepted
    before, corrected = np.array(errors).T
    wrong = before > 0.03
    return {
        "mape_before": float(before.mean()),
        "mape_after": float(corrected.mean()),
        "accepted": accepted / trials,
        "halved_of_those_above_3_percent": float(np.mean(corrected[wrong] <= before[wrong] / 2))
        if wrong.any()
        else None,
        "largest_rise": float((corrected - before).max()),
    }


def measured(cache: str, networks: int, preset: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{cache}.json"
        run_hwbench("profile", "--preset", preset, "--cache", cache, "--output", path)
        found = run_hwbench("table", "calibrate", path, "--networks", networks)
        keys = ("accepted", "networks", "common", "stages", "before", "after", "reason")
        return {key: found[key] for key in keys} | {"table": summary(load_table(path))}


if __name__ == "__main__":
    main()
