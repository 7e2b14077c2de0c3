"""Random devices as roofline models (Williams, Waterman, Patterson 2009): costs that a new device might have.

A kernel costs compute (padded to the device's tiles) times an efficiency of its kind, with memory traffic either
hidden behind it (the larger counts) or not (the sum), plus a launch overhead. Costs have no unit: devices are
standardised afterwards.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwbench.transfer.few_shot.kernels import KernelTable

Floats = NDArray[np.float64]

_LARGEST_TILE = 6
_DEPTHWISE_PENALTY = 2.5
_VALUES_PER_MAC = (0.5, 30.0)
_WEIGHTS_PER_MAC = (0.3, 30.0)
_WEIGHTS_MATTER = 0.7
# Launch overhead in mean kernel costs, from compute-bound to launch-bound.
_OVERHEAD = (np.exp(-4.0), np.exp(3.0))
_OVERHEAD_BY_KIND = 0.5


def device_costs(table: KernelTable, devices: int, rng: np.random.Generator) -> Floats:
    """Cost of each part on each random device, shape (parts, devices)."""
    kernels = np.stack([_kernel_costs(table, rng) for _ in range(devices)], axis=1)
    return table.per_part(kernels)


def _kernel_costs(table: KernelTable, rng: np.random.Generator) -> Floats:
    """Cost of each kernel on one random device, shape (kernels,)."""
    efficiency = np.exp(rng.normal(0, 1, len(table.kind_names)))[table.kind]
    overhead = np.exp(rng.normal(0, _OVERHEAD_BY_KIND, len(table.kind_names)))[table.kind]
    compute = _padded_macs(table, rng) if rng.random() < 0.5 else table.macs
    compute = compute * efficiency * np.where(table.depthwise, np.exp(rng.uniform(0, _DEPTHWISE_PENALTY)), 1.0)
    memory = table.moved / _log_uniform(rng, *_VALUES_PER_MAC)
    if rng.random() < _WEIGHTS_MATTER:
        memory = memory + table.weights / _log_uniform(rng, *_WEIGHTS_PER_MAC)
    cost = compute + memory if rng.random() < 0.5 else np.maximum(compute, memory)
    found: Floats = cost + _log_uniform(rng, *_OVERHEAD) * cost.mean() * overhead
    return found


def _padded_macs(table: KernelTable, rng: np.random.Generator) -> Floats:
    """MACs when input and output channels of a group fill whole tiles; depthwise fills output tiles alone."""
    rows, columns = 2.0 ** rng.integers(0, _LARGEST_TILE, 2)
    inputs = np.ceil(table.in_channels / table.groups / rows) * rows
    outputs = np.ceil(table.out_channels / table.groups / columns) * columns * table.groups
    outputs_alone = np.ceil(table.out_channels / columns) * columns
    channels = np.where(table.depthwise, outputs_alone, inputs * outputs)
    found: Floats = channels * table.pixels * table.window**2
    return found


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
