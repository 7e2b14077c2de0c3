"""The default predictor by HELP's protocol: 10 seeds, the trimmed test of 800, per target, with and without spikes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import parser, report
from hwbench.workflows.reproducing.help import HelpResult, Options, evaluate
from hwbench.workflows.reproducing.help_study import Study, open_study

SEEDS = 10
SPIKE_SEEDS = 40
SPIKE_SHARE, SPIKE_FACTOR = 0.05, 3.0
# What each mean has to reach.
WANTED = {
    ("nasbench201", 10, "active"): 0.954,
    ("nasbench201", 10, "random"): 0.948,
    ("nasbench201", 20, "active"): 0.957,
    ("fbnet", 10, "active"): 0.964,
    ("fbnet", 10, "random"): 0.945,
    ("fbnet", 20, "active"): 0.977,
    ("ofa", 10, "random"): 0.994,
}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seeds", type=int, default=SEEDS)
    arguments.add_argument("--spike-seeds", type=int, default=SPIKE_SEEDS)
    options = arguments.parse_args()
    studies = {space: open_study(space) for space in dict.fromkeys(space for space, _, _ in WANTED)}
    rows = []
    for (space, samples, picks), wanted in WANTED.items():
        asked = Options(space, samples=samples, picks=picks, seeds=options.seeds)  # type: ignore[arg-type]
        rows.append({**_row(evaluate(studies[space], asked)), "wanted": wanted})
    flops = [
        _row(evaluate(study, Options(space, "flops", picks="random", seeds=options.seeds)))
        for space, study in studies.items()
    ]
    spikes = {space: _spikes(studies[space], space, options.spike_seeds) for space in ("nasbench201", "fbnet")}
    report("few_shot", {"rows": rows, "flops": flops, "spikes": spikes}, options.keep)


def _row(found: HelpResult) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(found)
    return row


def _spikes(study: Study, space: str, seeds: int) -> dict[str, float]:
    """Mean Spearman from 10 random measurements: clean, and with every other target's spiked."""
    asked = Options(space, picks="random", seeds=seeds)
    clean = evaluate(study, asked)
    spiked = dict.fromkeys(list(clean.spearman.per_target)[::2], _spike)
    disturbed = evaluate(study, asked, spiked)
    return {
        "clean": clean.spearman.mean,
        "spiked": disturbed.spearman.mean,
        "fall": clean.spearman.mean - disturbed.spearman.mean,
        "coverage_spiked": float(disturbed.interval_coverage_90 or np.nan),
        "seeds": seeds,
    }


def _spike(values: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return values * np.where(rng.random(len(values)) < SPIKE_SHARE, SPIKE_FACTOR, 1.0)


if __name__ == "__main__":
    main()
