"""Blocks: the unit of a lookup table, each with one canonical key and a program of primitive ops.

A key spells every field that decides a latency, in a fixed order:

    mbconv-in:14x14x80-out:14x14x80-mid:480-kernel:5-stride:1-pad:symmetric-act:relu6-skip:1

`block_from_key` is its inverse. A new kind of block is one class and one entry in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from hwbench.errors import DataError
from hwbench.spaces.cells import Cell, EdgeConv, EdgePool, NodeAdd, Reduction, Tail
from hwbench.spaces.fbnet_blocks import FBNetBlock
from hwbench.spaces.keys import Fields, shape_text, split
from hwbench.spaces.ops import (
    INPUT,
    Activate,
    Activation,
    Add,
    Conv,
    GlobalAveragePool,
    Linear,
    Op,
    Padding,
    Scale,
    Shape,
    activated,
)


class ConvBlock(msgspec.Struct, frozen=True, tag="conv"):
    """One convolution with batch norm (or a bias) and activation: a stem, a feature mix before the classifier."""

    in_shape: Shape
    out_channels: int
    kernel: int
    stride: int = 1
    padding: Padding = "symmetric"
    activation: Activation = "relu6"

    @property
    def key(self) -> str:
        return (
            f"conv-in:{shape_text(self.in_shape)}-out:{shape_text(self.out_shape)}"
            f"-kernel:{self.kernel}-stride:{self.stride}-pad:{self.padding}-act:{self.activation}"
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> ConvBlock:
        return cls(
            fields.shape("in"), fields.shape("out")[2], fields.number("kernel"), fields.number("stride"),
            fields.padding(), fields.activation(),
        )  # fmt: skip

    @property
    def out_shape(self) -> Shape:
        return self.ops()[-1].out_shape

    def ops(self) -> tuple[Op, ...]:
        conv = Conv(
            "conv", INPUT, self.in_shape, self.out_channels, self.kernel, self.stride,
            padding=self.padding, activation=self.activation,
        )  # fmt: skip
        return activated(conv, "act")


class MBConv(msgspec.Struct, frozen=True, tag="mbconv"):
    """Inverted residual: 1x1 expansion (left out when it does not expand), depthwise, 1x1 projection.

    Sandler et al., MobileNetV2, 2018, section 3.3; `mid_channels` is the width of the depthwise
    convolution; the shortcut is there when `skip` says so. With `squeeze` channels there is
    squeeze-and-excite after the depthwise convolution (Howard et al., MobileNetV3, 2019, section 5.3).
    """

    in_shape: Shape
    out_channels: int
    mid_channels: int
    kernel: int
    stride: int = 1
    skip: bool = False
    padding: Padding = "symmetric"
    activation: Activation = "relu6"
    squeeze: int = 0

    def __post_init__(self) -> None:
        if self.skip and (self.stride != 1 or self.in_shape[2] != self.out_channels):
            raise DataError(f"Block {self.key} cannot have a shortcut: its input and output shapes differ.")

    @property
    def key(self) -> str:
        squeeze = f"-se:{self.squeeze}" if self.squeeze else ""
        return (
            f"mbconv-in:{shape_text(self.in_shape)}-out:{shape_text(self.out_shape)}-mid:{self.mid_channels}"
            f"-kernel:{self.kernel}-stride:{self.stride}-pad:{self.padding}-act:{self.activation}"
            f"-skip:{int(self.skip)}{squeeze}"
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> MBConv:
        return cls(
            fields.shape("in"), fields.shape("out")[2], fields.number("mid"), fields.number("kernel"),
            fields.number("stride"), fields.flag("skip"), fields.padding(), fields.activation(),
            fields.number("se") if fields.has("se") else 0,
        )  # fmt: skip

    @property
    def out_shape(self) -> Shape:
        height, width, _ = self.in_shape
        return (-(-height // self.stride), -(-width // self.stride), self.out_channels)

    def ops(self) -> tuple[Op, ...]:
        ops: list[Op] = []
        source, shape = INPUT, self.in_shape
        if self.mid_channels != self.in_shape[2]:
            expand = Conv("expand", source, shape, self.mid_channels, activation=self.activation)
            ops += activated(expand, "expand_act")
            source, shape = ops[-1].name, ops[-1].out_shape
        depthwise = Conv(
            "depthwise", source, shape, self.mid_channels, self.kernel, self.stride,
            groups=self.mid_channels, padding=self.padding, activation=self.activation,
        )  # fmt: skip
        ops += activated(depthwise, "depthwise_act")
        if self.squeeze:
            ops += _squeeze_and_excite(ops[-1].name, ops[-1].out_shape, self.squeeze)
        project = Conv("project", ops[-1].name, ops[-1].out_shape, self.out_channels)
        ops.append(project)
        if self.skip:
            ops.append(Add("add", INPUT, "project", project.out_shape))
        return tuple(ops)


def _squeeze_and_excite(source: str, shape: Shape, channels: int) -> tuple[Op, ...]:
    """Hu et al., Squeeze-and-Excitation networks, 2018, section 3, with the hard sigmoid of MobileNetV3."""
    pool = GlobalAveragePool("squeeze", source, shape)
    narrow = Conv("reduce", "squeeze", pool.out_shape, channels, activation="relu", batch_norm=False)
    widen = Conv("excite", "reduce", narrow.out_shape, shape[2], batch_norm=False)
    gate = Activate("gate", "excite", widen.out_shape, "h-sigmoid")
    return (pool, narrow, widen, gate, Scale("scale", source, "gate", shape))


class Classifier(msgspec.Struct, frozen=True, tag="classifier"):
    """Global average pool and a linear layer."""

    in_shape: Shape
    classes: int

    @property
    def key(self) -> str:
        return f"classifier-in:{shape_text(self.in_shape)}-out:{shape_text(self.out_shape)}"

    @classmethod
    def from_fields(cls, fields: Fields) -> Classifier:
        return cls(fields.shape("in"), fields.shape("out")[2])

    @property
    def out_shape(self) -> Shape:
        return (1, 1, self.classes)

    def ops(self) -> tuple[Op, ...]:
        pool = GlobalAveragePool("pool", INPUT, self.in_shape)
        return (pool, Linear("linear", "pool", pool.out_shape, self.classes))


class Pool(msgspec.Struct, frozen=True, tag="pool"):
    """Global average pool on its own, as MobileNetV3 has it before its last convolution."""

    in_shape: Shape

    @property
    def key(self) -> str:
        return f"pool-in:{shape_text(self.in_shape)}-out:{shape_text(self.out_shape)}"

    @classmethod
    def from_fields(cls, fields: Fields) -> Pool:
        return cls(fields.shape("in"))

    @property
    def out_shape(self) -> Shape:
        return (1, 1, self.in_shape[2])

    def ops(self) -> tuple[Op, ...]:
        return (GlobalAveragePool("pool", INPUT, self.in_shape),)


class LinearBlock(msgspec.Struct, frozen=True, tag="linear"):
    """A linear layer on a 1 x 1 map."""

    in_channels: int
    classes: int

    @property
    def in_shape(self) -> Shape:
        return (1, 1, self.in_channels)

    @property
    def key(self) -> str:
        return f"linear-in:{shape_text(self.in_shape)}-out:{shape_text(self.out_shape)}"

    @classmethod
    def from_fields(cls, fields: Fields) -> LinearBlock:
        return cls(fields.shape("in")[2], fields.shape("out")[2])

    @property
    def out_shape(self) -> Shape:
        return (1, 1, self.classes)

    def ops(self) -> tuple[Op, ...]:
        return (Linear("linear", INPUT, self.in_shape, self.classes),)


Block: TypeAlias = (
    ConvBlock
    | MBConv
    | Classifier
    | Pool
    | LinearBlock
    | FBNetBlock
    | Cell
    | EdgeConv
    | EdgePool
    | NodeAdd
    | Reduction
    | Tail
)

KINDS: dict[str, Callable[[Fields], Block]] = {
    "conv": ConvBlock.from_fields,
    "mbconv": MBConv.from_fields,
    "classifier": Classifier.from_fields,
    "pool": Pool.from_fields,
    "linear": LinearBlock.from_fields,
    "fbnet": FBNetBlock.from_fields,
    "nb201cell": Cell.from_fields,
    "nb201conv": EdgeConv.from_fields,
    "nb201pool": EdgePool.from_fields,
    "nb201add": NodeAdd.from_fields,
    "nb201reduce": Reduction.from_fields,
    "nb201tail": Tail.from_fields,
}


def macs(block: Block) -> int:
    """Multiply-accumulates of one forward pass with batch 1."""
    return sum(op.macs for op in block.ops())


def parameters(block: Block) -> int:
    """Trainable parameters, batch norm's scale and shift included."""
    return sum(op.parameters for op in block.ops())


def block_from_key(key: str) -> Block:
    """The block that a canonical key describes. Raises DataError for anything else."""
    kind, fields = split(key)
    try:
        block = KINDS[kind](fields)
    except (KeyError, ValueError) as error:
        raise DataError(f"Block key {key!r} is not one hwbench writes.") from error
    if block.key != key:
        raise DataError(f"Block key {key!r} is not canonical; it would be {block.key!r}.")
    return block
