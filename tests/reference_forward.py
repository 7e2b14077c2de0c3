"""An independent forward pass in numpy, in double precision, with batch norm applied as batch norm.

It shares no code with the exporters: only the description of the ops and the naming of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwbench.spaces.ops import INPUT, Add, Conv, GlobalAveragePool, Linear
from hwbench.spaces.space import NamedBlock

Array = NDArray[np.float64]
EPSILON = 1e-3


def forward(
    network: Sequence[NamedBlock], weights: Mapping[str, NDArray[np.float32]], image: NDArray[np.float32]
) -> Array:
    """Output of the network for one image (height, width, channels)."""
    current: Array = image.astype(np.float64)
    for named in network:
        tensors = {INPUT: current}
        for op in named.block.ops():
            prefix = f"{named.name}.{op.name}"
            source = tensors[op.source]
            if isinstance(op, Conv):
                current = _activate(
                    _batch_norm(_convolve(source, weights[f"{prefix}.weight"], op), weights, prefix), op
                )
            elif isinstance(op, Linear):
                current = source.reshape(-1) @ weights[f"{prefix}.weight"].T.astype(float) + weights[f"{prefix}.bias"]
            elif isinstance(op, GlobalAveragePool):
                current = source.mean(axis=(0, 1), keepdims=True)
            elif isinstance(op, Add):
                current = source + tensors[op.other]
            tensors[op.name] = current
    return current


def _convolve(source: Array, kernel: NDArray[np.float32], op: Conv) -> Array:
    """Sum over kernel offsets of shifted inputs; kernel is out x in/groups x height x width."""
    height, width, channels = source.shape
    out_h, out_w = -(-height // op.stride), -(-width // op.stride)
    if op.padding == "symmetric":
        top = left = op.kernel // 2
    else:
        top = max((out_h - 1) * op.stride + op.kernel - height, 0) // 2
        left = max((out_w - 1) * op.stride + op.kernel - width, 0) // 2
    padded = np.zeros((height + 2 * op.kernel, width + 2 * op.kernel, channels))
    padded[top : top + height, left : left + width] = source
    output = np.zeros((out_h, out_w, op.out_channels))
    for y in range(op.kernel):
        for x in range(op.kernel):
            window = padded[y : y + out_h * op.stride : op.stride, x : x + out_w * op.stride : op.stride]
            window = window[:out_h, :out_w]
            if op.groups == 1:
                output += window @ kernel[:, :, y, x].T.astype(float)
            else:
                output += window * kernel[:, 0, y, x]
    return output


def _batch_norm(values: Array, weights: Mapping[str, NDArray[np.float32]], prefix: str) -> Array:
    scale, shift, mean, variance = (
        weights[f"{prefix}.bn_{part}"].astype(float) for part in ("scale", "shift", "mean", "variance")
    )
    return (values - mean) / np.sqrt(variance + EPSILON) * scale + shift


def _activate(values: Array, op: Conv) -> Array:
    if op.activation == "relu6":
        return np.clip(values, 0, 6)
    if op.activation == "relu":
        return np.maximum(values, 0)
    return values
