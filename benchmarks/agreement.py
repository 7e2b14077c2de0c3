"""Spearman's correlation of all pairs of One Proxy's targets with bootstrap intervals: seconds on one core.

python -m benchmarks.agreement --data DIR [--keep]
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchmarks.common import parser, report
from hwbench.tables import formats
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.agreement import DRAWS, Observed, agreements

NOISE = 0.02
REPEATS = 3


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of published data")
    options = arguments.parse_args()
    matrix = formats.read(options.data / "oneproxy" / "latency.csv")
    if not isinstance(matrix, LatencyMatrix):
        raise SystemExit("latency.csv is no matrix")
    result: dict[str, object] = {
        "targets": len(matrix.targets), "architectures": len(matrix.architectures), "draws": DRAWS,
    }  # fmt: skip
    for name, noise in (("without_noise", None), ("with_noise", NOISE)):
        known = None if noise is None else np.full(len(matrix.architectures), noise)
        targets = [Observed(target, matrix.column(target), known) for target in matrix.targets]
        wall, cpu = [], []
        for _ in range(REPEATS):
            began, used = time.perf_counter(), time.process_time()
            pairs = len(agreements(targets))
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
        result[name] = {"pairs": pairs, "wall_seconds": sorted(wall), "cpu_seconds": sorted(cpu)}
    report("agreement", result, options.keep)


if __name__ == "__main__":
    main()
