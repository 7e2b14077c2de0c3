"""Blocks: the unit of a lookup table, each with one canonical key and a program of primitive ops.

A key spells every field that decides a latency, in a fixed order:

    mbconv-in:14x14x80-out:14x14x80-mid:480-kernel:5-stride:1-pad:symmetric-act:relu6-skip:1

`block_from_key` is its inverse. A new kind of block is one class here and one entry in `KINDS`.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

from hwbench.errors import DataError
from hwbench.spaces.ops import INPUT, Activation, Add, Conv, GlobalAveragePool, Linear, Op, Padding, Shape


def _shape_text(shape: Shape) -> str:
    return "x".join(str(n) for n in shape)


class ConvBlock(msgspec.Struct, frozen=True, tag="conv"):
    """One convolution with batch norm and activation: a stem, or the feature mix before the classifier."""

    in_shape: Shape
    out_channels: int
    kernel: int
    stride: int = 1
    padding: Padding = "symmetric"
    activation: Activation = "relu6"

    @property
    def key(self) -> str:
        return (
            f"conv-in:{_shape_text(self.in_shape)}-out:{_shape_text(self.out_shape)}"
            f"-kernel:{self.kernel}-stride:{self.stride}-pad:{self.padding}-act:{self.activation}"
        )

    @property
    def out_shape(self) -> Shape:
        return self.ops()[-1].out_shape

    def ops(self) -> tuple[Op, ...]:
        return (
            Conv(
                "conv", INPUT, self.in_shape, self.out_channels, self.kernel, self.stride,
                padding=self.padding, activation=self.activation,
            ),
        )  # fmt: skip


class MBConv(msgspec.Struct, frozen=True, tag="mbconv"):
    """Inverted residual: 1x1 expansion (left out when it does not expand), depthwise, 1x1 projection.

    Sandler et al., MobileNetV2, 2018, section 3.3; `mid_channels` is the width of the depthwise
    convolution; the shortcut is there when `skip` says so.
    """

    in_shape: Shape
    out_channels: int
    mid_channels: int
    kernel: int
    stride: int = 1
    skip: bool = False
    padding: Padding = "symmetric"
    activation: Activation = "relu6"

    def __post_init__(self) -> None:
        if self.skip and (self.stride != 1 or self.in_shape[2] != self.out_channels):
            raise DataError(f"Block {self.key} cannot have a shortcut: its input and output shapes differ.")

    @property
    def key(self) -> str:
        return (
            f"mbconv-in:{_shape_text(self.in_shape)}-out:{_shape_text(self.out_shape)}-mid:{self.mid_channels}"
            f"-kernel:{self.kernel}-stride:{self.stride}-pad:{self.padding}-act:{self.activation}-skip:{int(self.skip)}"
        )

    @property
    def out_shape(self) -> Shape:
        height, width, _ = self.in_shape
        return (-(-height // self.stride), -(-width // self.stride), self.out_channels)

    def ops(self) -> tuple[Op, ...]:
        ops: list[Op] = []
        source, shape = INPUT, self.in_shape
        if self.mid_channels != self.in_shape[2]:
            ops.append(Conv("expand", source, shape, self.mid_channels, activation=self.activation))
            source, shape = "expand", ops[-1].out_shape
        depthwise = Conv(
            "depthwise", source, shape, self.mid_channels, self.kernel, self.stride,
            groups=self.mid_channels, padding=self.padding, activation=self.activation,
        )  # fmt: skip
        project = Conv("project", "depthwise", depthwise.out_shape, self.out_channels)
        ops += [depthwise, project]
        if self.skip:
            ops.append(Add("add", INPUT, "project", project.out_shape))
        return tuple(ops)


class Classifier(msgspec.Struct, frozen=True, tag="classifier"):
    """Global average pool and a linear layer."""

    in_shape: Shape
    classes: int

    @property
    def key(self) -> str:
        return f"classifier-in:{_shape_text(self.in_shape)}-out:{_shape_text(self.out_shape)}"

    @property
    def out_shape(self) -> Shape:
        return (1, 1, self.classes)

    def ops(self) -> tuple[Op, ...]:
        pool = GlobalAveragePool("pool", INPUT, self.in_shape)
        return (pool, Linear("linear", "pool", pool.out_shape, self.classes))


Block: TypeAlias = ConvBlock | MBConv | Classifier


def macs(block: Block) -> int:
    """Multiply-accumulates of one forward pass with batch 1."""
    return sum(op.macs for op in block.ops())


def parameters(block: Block) -> int:
    """Trainable parameters, batch norm's scale and shift included."""
    return sum(op.parameters for op in block.ops())


_FIELD = re.compile(r"^(?P<name>[a-z]+):(?P<value>[a-z0-9-]+)$")
_ACTIVATIONS: tuple[Activation, ...] = ("none", "relu", "relu6", "h-swish", "h-sigmoid")


def block_from_key(key: str) -> Block:
    """The block that a canonical key describes. Raises DataError for anything else."""
    kind, *parts = re.split(r"-(?=[a-z]+:)", key)
    fields = {}
    for part in parts:
        match = _FIELD.match(part)
        if match is None:
            raise DataError(f"Block key {key!r} has the unreadable field {part!r}.")
        fields[match["name"]] = match["value"]
    try:
        block = _build(kind, fields)
    except (KeyError, ValueError) as error:
        raise DataError(f"Block key {key!r} is not one hwbench writes.") from error
    if block.key != key:
        raise DataError(f"Block key {key!r} is not canonical; it would be {block.key!r}.")
    return block


def _build(kind: str, fields: dict[str, str]) -> Block:
    in_shape, out_shape = _shape(fields["in"]), _shape(fields["out"])
    if kind == "classifier":
        return Classifier(in_shape, out_shape[2])
    if fields["pad"] not in ("symmetric", "same") or fields["act"] not in _ACTIVATIONS:
        raise ValueError("padding or activation")
    padding: Padding = "same" if fields["pad"] == "same" else "symmetric"
    activation = next(known for known in _ACTIVATIONS if known == fields["act"])
    kernel, stride = int(fields["kernel"]), int(fields["stride"])
    if min(kernel, stride) < 1:
        raise ValueError("kernel or stride")
    if kind == "conv":
        return ConvBlock(in_shape, out_shape[2], kernel, stride, padding, activation)
    if kind == "mbconv":
        return MBConv(
            in_shape, out_shape[2], int(fields["mid"]), kernel, stride, fields["skip"] == "1", padding, activation
        )  # fmt: skip
    raise ValueError(kind)


def _shape(text: str) -> Shape:
    height, width, channels = (int(n) for n in text.split("x"))
    if min(height, width, channels) < 1:
        raise ValueError(text)
    return (height, width, channels)
