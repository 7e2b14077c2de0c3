"""`table fit` on published matrices: blocks fitted to some networks predict the others, beside features alone.

    python -m benchmarks.table_fit --data DIR [--networks 200]

Also how often intervals of blocks hold the truth, for made-up devices.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.simulated import block_latencies

from benchmarks.common import parser, quantiles, report
from hwbench import spaces
from hwbench.spaces.encodings import block_counts, block_features
from hwbench.tables import flaws, formats
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.block_fit import fit_blocks
from hwbench.workflows.fit import held_out

MATRICES = ("help/data/fbnet", "help/data/ofa", "help/data/nasbench201", "oneproxy/latency.csv")
MOST = 1500
DEVICES = 100


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of published data")
    arguments.add_argument(
        "--networks", type=int, default=200, help="how many are fitted; up to 1500 less are held out"
    )
    options = arguments.parse_args()
    result: dict[str, Any] = {"networks": options.networks, "coverage_of_blocks": coverage(options.networks)}
    for name in MATRICES:
        found = formats.read(options.data / name)
        if isinstance(found, LatencyMatrix):
            result[name] = of_matrix(found, options.networks)
    report("table_fit", result, options.keep)


def of_matrix(matrix: LatencyMatrix, networks: int) -> dict[str, Any]:
    space = spaces.get(matrix.space)
    chosen = np.random.default_rng(0).permutation(len(matrix.architectures))[:MOST]
    counts = block_counts(space, matrix.encoded[chosen].astype(np.int64))
    features = np.stack([block_features(block) for block in space.distinct_blocks])
    rows: dict[str, Any] = {}
    for target in flaws.unflawed(matrix):
        latencies = matrix.column(target)[chosen]
        known = np.flatnonzero(np.isfinite(latencies))
        train, test = known[:networks], known[networks:]
        found = fit_blocks(counts[train], features, latencies[train])
        errors = [held_out(counts[test] @ blocks, latencies[test]) for blocks in (found.latency_us, found.prior_us)]
        rows[target] = {
            "spearman": errors[0].spearman,
            "mape": errors[0].mape,
            "features_alone_spearman": errors[1].spearman,
            "features_alone_mape": errors[1].mape,
            "freedom": found.freedom,
        }
    return {
        "space": matrix.space,
        "blocks": len(space.distinct_blocks),
        "spearman": quantiles([row["spearman"] for row in rows.values()]),
        "mape": quantiles([row["mape"] for row in rows.values()]),
        "targets": rows,
    }


def coverage(networks: int) -> dict[str, float]:
    """The share of 95 % intervals of blocks that hold the truth, by the relative noise of the networks."""
    space = spaces.get(spaces.DEFAULT)
    features = np.stack([block_features(block) for block in space.distinct_blocks])
    shares = {}
    for noise in (0.003, 0.01, 0.03):
        held = []
        for seed in range(DEVICES):
            rng = np.random.default_rng([seed, round(1e4 * noise)])
            truth, counts = block_latencies(rng, features), block_counts(space, space.sample(networks, seed))
            found = fit_blocks(counts, features, counts @ truth * np.exp(noise * rng.standard_normal(networks)))
            held.append(np.mean(np.abs(found.latency_us - truth) <= 1.96 * found.spread_us))
        shares[f"noise {noise:g}"] = float(np.mean(held))
    return shares


if __name__ == "__main__":
    main()
