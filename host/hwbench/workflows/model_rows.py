"""Blocks and networks as model files in a session's folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hwbench.errors import DeviceError
from hwbench.files import sha256
from hwbench.measure.anchors import ANCHORS
from hwbench.measure.campaign import ModelRow
from hwbench.models.calibration import activation_ranges, seeded_inputs
from hwbench.models.litert import Precision, write_model
from hwbench.models.weights import random_weights
from hwbench.records import DeviceRecord
from hwbench.spaces.space import NamedBlock, Space

_WEIGHT_SEED = 0
_CALIBRATION_INPUTS = 2
_SAMPLED_NETWORKS = 200
_BYTES = {"fp32": 4, "int8": 1}


def block_rows(space: Space, precision: Precision, folder: Path) -> list[ModelRow]:
    """A model per distinct block of the space, its key as id."""
    return [
        model_row(block.key, f"block-{number:04d}", [NamedBlock("block", block)], precision, folder)
        for number, block in enumerate(space.distinct_blocks)
    ]


def anchor_rows(precision: Precision, folder: Path) -> list[ModelRow]:
    return [
        model_row(name, name, [NamedBlock("block", block)], precision, folder, anchor=True)
        for name, block in ANCHORS.items()
    ]


def network_rows(
    space: Space, architectures: Iterable[Sequence[int]], precision: Precision, folder: Path
) -> list[ModelRow]:
    """A model per architecture, `network-0`, `network-1`, ... as ids."""
    return [
        model_row(f"network-{number}", f"network-{number:04d}", space.network(architecture), precision, folder)
        for number, architecture in enumerate(architectures)
    ]


def model_row(
    row: str, stem: str, network: Sequence[NamedBlock], precision: Precision, folder: Path, anchor: bool = False
) -> ModelRow:
    """Writes one model with seeded random weights under `folder`/models."""
    weights = random_weights(network, _WEIGHT_SEED)
    ranges = None
    if precision == "int8":
        inputs = seeded_inputs(network[0].block.in_shape, _CALIBRATION_INPUTS, _WEIGHT_SEED)
        ranges = activation_ranges(network, weights, inputs)
    data = write_model(network, weights, precision, ranges).data
    path = folder / "models" / f"{stem}.tflite"
    try:
        path.write_bytes(data)
    except OSError as error:
        raise DeviceError(
            f"{path} cannot be written: {error.strerror}.", hint="Free some space and try again."
        ) from error
    largest = max(int(np.prod(op.out_shape)) for named in network for op in named.block.ops()) * 4
    # Kernels are packed once more by the engine; two of the largest activations live at a time, with some slack.
    return ModelRow(row, f"models/{stem}.tflite", sha256(data), 2 * len(data) + 4 * largest, anchor)


def flush_bytes(space: Space, precision: Precision, record: DeviceRecord) -> int:
    """How much to read between two invokes of a block, so that its weights are as cold as in a network.

    Between two uses of a block's weights a network touches all its other weights and its activations: that many
    bytes, but no more than the last-level cache holds (benchmarks/estimator.py).
    """
    touched = []
    for architecture in space.sample(_SAMPLED_NETWORKS, seed=0):
        ops = [op for named in space.network(architecture) for op in named.block.ops()]
        touched.append(sum(op.parameters + int(np.prod(op.out_shape)) for op in ops))
    footprint = int(np.median(touched)) * _BYTES[precision]
    last_level = max((cache.size_bytes for cache in record.caches), default=footprint)
    return min(footprint, last_level) // 8 * 8
