"""Kernels: what the parts of a space's networks ask of the hardware, one row per primitive operator."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.spaces.ops import Activate, Add, AveragePool, ChannelShuffle, Conv, GlobalAveragePool, Linear, Op, Scale

Floats = NDArray[np.float64]


class KernelTable(msgspec.Struct, frozen=True):
    """Kernels of `parts` parts; every array has shape (kernels,). Traffic is counted in values, not bytes."""

    parts: int
    owner: NDArray[np.int64]
    kind_names: tuple[str, ...]
    kind: NDArray[np.int64]
    macs: Floats
    moved: Floats
    weights: Floats
    in_channels: Floats
    out_channels: Floats
    pixels: Floats
    window: Floats
    groups: Floats

    @property
    def depthwise(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (self.groups > 1) & (self.groups == self.in_channels)
        return found

    def limits(self) -> Floats:
        """What each part costs where one thing alone takes time: MACs, values moved, kernels launched; (parts, 3)."""
        return self.per_part(np.stack([self.macs * (self.weights > 0), self.moved, np.ones(len(self.macs))], axis=1))

    def per_part(self, values: Floats) -> Floats:
        """Sums of kernel values, shape (kernels, k), over each part's kernels: shape (parts, k)."""
        found = np.zeros((self.parts, values.shape[1]))
        np.add.at(found, self.owner, values)
        return found


def table_of(parts: Sequence[Sequence[Op]]) -> KernelTable:
    """The kernels of parts that are given as their operators."""
    rows = [(owner, *_row(op)) for owner, part in enumerate(parts) for op in part]
    names = tuple(sorted({row[1] for row in rows}))
    numbers = np.array([row[2:] for row in rows], float).reshape(len(rows), 8)
    return KernelTable(
        len(parts),
        np.array([row[0] for row in rows], np.int64),
        names,
        np.array([names.index(row[1]) for row in rows], np.int64),
        *numbers.T,
    )


def _row(op: Op) -> tuple[str, float, float, float, float, float, float, float, float]:
    """Kind, MACs, values moved, weights, input and output channels, output pixels, window side, groups."""
    inputs = 2 if isinstance(op, Add) else 1
    pixels, channels_in, channels_out = op.out_shape[0] * op.out_shape[1], op.in_shape[2], op.out_shape[2]
    moved = float(inputs * np.prod(op.in_shape) + np.prod(op.out_shape))
    if isinstance(op, Conv):
        return (
            _conv_kind(op), op.macs, moved, op.parameters, channels_in, channels_out, pixels, op.kernel, op.groups,
        )  # fmt: skip
    if isinstance(op, Linear):
        return "linear", op.macs, moved, op.parameters, channels_in, channels_out, 1, 1, 1
    window = op.kernel if isinstance(op, AveragePool) else 1
    # Elementwise work counts as one operation per value and window place, on channels that do not mix.
    work = float(np.prod(op.out_shape)) * window**2
    return _plain_kind(op), work, moved, 0, channels_in, channels_out, pixels, window, max(channels_in, 1)


def _conv_kind(op: Conv) -> str:
    if op.groups == op.in_shape[2] and op.groups > 1:
        return f"depthwise{op.kernel}"
    return f"grouped{op.kernel}" if op.groups > 1 else f"conv{op.kernel}"


def _plain_kind(op: Op) -> str:
    if isinstance(op, AveragePool | GlobalAveragePool):
        return "pool"
    if isinstance(op, ChannelShuffle):
        return "shuffle"
    return "elementwise" if isinstance(op, Activate | Add | Scale) else "zero"
