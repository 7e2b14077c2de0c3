"""An independent forward pass in numpy, in double precision, with batch norm applied as batch norm.

It shares no code with the exporters: only the description of the ops and the naming of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwbench.spaces.ops import (
    INPUT,
    Activate,
    Add,
    AveragePool,
    ChannelShuffle,
    Conv,
    GlobalAveragePool,
    Linear,
    Op,
    Scale,
    Zeroize,
)
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
                current = _convolve(source, weights[f"{prefix}.weight"], op)
                if op.batch_norm:
                    current = _batch_norm(current, weights, prefix)
                else:
                    current = current + weights[f"{prefix}.bias"]
                current = _activate(current, op.activation)
            elif isinstance(op, Linear):
                current = source.reshape(-1) @ weights[f"{prefix}.weight"].T.astype(float) + weights[f"{prefix}.bias"]
            else:
                current = _without_weights(op, source, tensors)
            tensors[op.name] = current
    return current


def _without_weights(op: Op, source: Array, tensors: Mapping[str, Array]) -> Array:
    match op:
        case GlobalAveragePool():
            found: Array = source.mean(axis=(0, 1), keepdims=True)
        case Add():
            found = source + tensors[op.other]
        case Scale():
            found = source * tensors[op.other]
        case Activate():
            found = _activate(source, op.activation)
        case AveragePool():
            found = _average_pool(source, op)
        case ChannelShuffle():
            found = source[:, :, np.arange(source.shape[2]).reshape(op.groups, -1).T.reshape(-1)]
        case Zeroize():
            found = np.zeros_like(source)
        case _:
            raise TypeError(op)
    return found


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
            inner, outer = channels // op.groups, op.out_channels // op.groups
            for group in range(op.groups):
                rows = slice(group * outer, (group + 1) * outer)
                seen = window[:, :, group * inner : (group + 1) * inner]
                output[:, :, rows] += seen @ kernel[rows, :, y, x].T.astype(float)
    return output


def _batch_norm(values: Array, weights: Mapping[str, NDArray[np.float32]], prefix: str) -> Array:
    scale, shift, mean, variance = (
        weights[f"{prefix}.bn_{part}"].astype(float) for part in ("scale", "shift", "mean", "variance")
    )
    return (values - mean) / np.sqrt(variance + EPSILON) * scale + shift


def _average_pool(source: Array, op: AveragePool) -> Array:
    """Mean of what lies inside the map, window by window."""
    height, width, channels = source.shape
    out_h, out_w = -(-height // op.stride), -(-width // op.stride)
    top = max((out_h - 1) * op.stride + op.kernel - height, 0) // 2
    left = max((out_w - 1) * op.stride + op.kernel - width, 0) // 2
    output = np.zeros((out_h, out_w, channels))
    for y in range(out_h):
        for x in range(out_w):
            first, begin = y * op.stride - top, x * op.stride - left
            window = source[max(first, 0) : first + op.kernel, max(begin, 0) : begin + op.kernel]
            output[y, x] = window.mean(axis=(0, 1))
    return output


def _activate(values: Array, activation: str) -> Array:
    if activation == "relu6":
        return np.clip(values, 0, 6)
    if activation == "relu":
        return np.maximum(values, 0)
    if activation == "h-sigmoid":
        return np.clip(values + 3, 0, 6) / 6
    if activation == "h-swish":
        return values * np.clip(values + 3, 0, 6) / 6
    return values
