"""Primitive operators: the one description that MAC counts, model files and reference forwards share.

A block is a short straight-line program of these. Every op names its inputs and its output; the
block's input tensor is called `INPUT`, and the last op's output is the block's output. Shapes are
(height, width, channels) without the batch.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Shape: TypeAlias = tuple[int, int, int]
Activation: TypeAlias = Literal["none", "relu", "relu6", "h-swish", "h-sigmoid"]
Padding: TypeAlias = Literal["symmetric", "same"]

INPUT = "input"


class _Free(msgspec.Struct, frozen=True):
    """An op that neither multiplies and accumulates nor has parameters."""

    @property
    def macs(self) -> int:
        return 0

    @property
    def parameters(self) -> int:
        return 0


class Conv(msgspec.Struct, frozen=True, tag=True):
    """Convolution, batch normalisation, activation. `groups == in_channels` is depthwise.

    `padding="symmetric"` pads kernel // 2 on all four sides (PyTorch); `"same"` is TensorFlow's,
    which puts the odd pixel of a stride-2 convolution at the bottom right.
    """

    name: str
    source: str
    in_shape: Shape
    out_channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    padding: Padding = "symmetric"
    activation: Activation = "none"
    batch_norm: bool = True

    @property
    def out_shape(self) -> Shape:
        height, width, _ = self.in_shape
        return (-(-height // self.stride), -(-width // self.stride), self.out_channels)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Output channels, input channels per group, kernel height, kernel width."""
        return (self.out_channels, self.in_shape[2] // self.groups, self.kernel, self.kernel)

    @property
    def macs(self) -> int:
        height, width, channels = self.out_shape
        return height * width * channels * (self.in_shape[2] // self.groups) * self.kernel**2

    @property
    def parameters(self) -> int:
        """Kernel plus two numbers per channel (batch norm) or one (bias)."""
        out, inner, height, width = self.weight_shape
        return out * inner * height * width + out * (2 if self.batch_norm else 1)


class Linear(msgspec.Struct, frozen=True, tag=True):
    """A fully connected layer on a 1 x 1 map."""

    name: str
    source: str
    in_shape: Shape
    out_channels: int

    @property
    def out_shape(self) -> Shape:
        return (1, 1, self.out_channels)

    @property
    def macs(self) -> int:
        return self.in_shape[2] * self.out_channels

    @property
    def parameters(self) -> int:
        return (self.in_shape[2] + 1) * self.out_channels


class GlobalAveragePool(_Free, frozen=True, tag=True):
    name: str
    source: str
    in_shape: Shape

    @property
    def out_shape(self) -> Shape:
        return (1, 1, self.in_shape[2])


class Add(_Free, frozen=True, tag=True):
    name: str
    source: str
    other: str
    in_shape: Shape

    @property
    def out_shape(self) -> Shape:
        return self.in_shape


class Activate(_Free, frozen=True, tag=True):
    """An activation that stands on its own: before a convolution, or one that engines do not fuse into it."""

    name: str
    source: str
    in_shape: Shape
    activation: Activation

    @property
    def out_shape(self) -> Shape:
        return self.in_shape


class AveragePool(_Free, frozen=True, tag=True):
    """Mean over a kernel x kernel window; what lies outside the map does not count. Pads as TensorFlow's `same`."""

    name: str
    source: str
    in_shape: Shape
    kernel: int
    stride: int = 1

    @property
    def out_shape(self) -> Shape:
        height, width, channels = self.in_shape
        return (-(-height // self.stride), -(-width // self.stride), channels)


class Scale(_Free, frozen=True, tag=True):
    """`source` (height, width, channels) times `other` (1, 1, channels): the excitation of squeeze-and-excite."""

    name: str
    source: str
    other: str
    in_shape: Shape

    @property
    def out_shape(self) -> Shape:
        return self.in_shape


class ChannelShuffle(_Free, frozen=True, tag=True):
    """Channels seen as groups x rest, transposed to rest x groups (Zhang et al., ShuffleNet, 2018, section 3.1)."""

    name: str
    source: str
    in_shape: Shape
    groups: int

    @property
    def out_shape(self) -> Shape:
        return self.in_shape


class Zeroize(_Free, frozen=True, tag=True):
    """Zeros of the input's shape."""

    name: str
    source: str
    in_shape: Shape

    @property
    def out_shape(self) -> Shape:
        return self.in_shape


Op: TypeAlias = Conv | Linear | GlobalAveragePool | Add | Activate | AveragePool | Scale | ChannelShuffle | Zeroize


def sources(op: Op) -> tuple[str, ...]:
    """Names of the tensors that an op reads, in order."""
    return (op.source, op.other) if isinstance(op, Add | Scale) else (op.source,)


def activated(conv: Conv, name: str) -> tuple[Op, ...]:
    """A convolution and its activation: one op where engines fuse the two, else a second one called `name`."""
    if conv.activation not in ("h-swish", "h-sigmoid"):
        return (conv,)
    plain = msgspec.structs.replace(conv, activation="none")
    return (plain, Activate(name, conv.name, conv.out_shape, conv.activation))
