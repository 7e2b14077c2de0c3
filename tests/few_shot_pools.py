"""Made-up pools: random rooflines as sources, another one as the target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwbench import spaces
from hwbench.spaces import hat
from hwbench.tables.matrix import Column, LatencyMatrix
from hwbench.transfer.few_shot.describe import describe
from hwbench.transfer.few_shot.simulate import device_costs

Floats = NDArray[np.float64]


def simulated_matrix(space_name: str, rows: int, devices: int, noise: float = 0.0, seed: int = 7) -> LatencyMatrix:
    """Latencies of random devices d0, d1, ..., about 1000 us, in the space's first regime."""
    rng = np.random.default_rng(seed)
    description = describe(space_name)
    if space_name == hat.NAME:
        scales = np.array([640, 6, 2048, 6, 640, 6, 2048, 6, 6, 2])
        archs: Floats = np.round(rng.uniform(0.4, 1.0, (rows, len(scales))) * scales, 1)
        latency = description.views(archs)[0].totals @ rng.uniform(0.2, 1, (12, devices))
    else:
        archs = np.unique(spaces.get(space_name).sample(rows, seed), axis=0).astype(float)
        archs = rng.permutation(archs)
        assert description.kernels is not None
        latency = description.sums(device_costs(description.kernels, devices, rng), archs.astype(np.uint8))[0]
    latency = 1000 * latency / latency.mean(axis=0) * np.exp(rng.normal(0, noise, latency.shape))
    columns = tuple(Column(f"d{number}", tuple(values)) for number, values in enumerate(latency.T.tolist()))
    whole = space_name != hat.NAME
    rows_of = tuple(tuple(int(x) if whole else x for x in row) for row in archs.tolist())
    return LatencyMatrix(space_name, "latency_us", rows_of, columns)
