"""The searched block of FBNet (Wu et al., CVPR 2019, section 3.1 and figure 3)."""

from __future__ import annotations

import msgspec

from hwbench.errors import DataError
from hwbench.spaces.keys import Fields, shape_text
from hwbench.spaces.ops import INPUT, Activation, Add, ChannelShuffle, Conv, Op, Padding, Shape


class FBNetBlock(msgspec.Struct, frozen=True, tag="fbnet"):
    """1x1 convolution, depthwise, 1x1 convolution; the first is there even where it does not expand.

    With 2 `groups` both 1x1 convolutions are grouped, and a channel shuffle follows the first.
    """

    in_shape: Shape
    out_channels: int
    mid_channels: int
    kernel: int
    stride: int = 1
    groups: int = 1
    skip: bool = False
    padding: Padding = "symmetric"
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        if self.skip and (self.stride != 1 or self.in_shape[2] != self.out_channels):
            raise DataError(f"Block {self.key} cannot have a shortcut: its input and output shapes differ.")
        if any(width % self.groups for width in (self.in_shape[2], self.mid_channels, self.out_channels)):
            raise DataError(f"Block {self.key} has a width that {self.groups} groups do not divide.")

    @property
    def key(self) -> str:
        return (
            f"fbnet-in:{shape_text(self.in_shape)}-out:{shape_text(self.out_shape)}-mid:{self.mid_channels}"
            f"-kernel:{self.kernel}-stride:{self.stride}-groups:{self.groups}-pad:{self.padding}"
            f"-act:{self.activation}-skip:{int(self.skip)}"
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> FBNetBlock:
        return cls(
            fields.shape("in"), fields.shape("out")[2], fields.number("mid"), fields.number("kernel"),
            fields.number("stride"), fields.number("groups"), fields.flag("skip"), fields.padding(),
            fields.activation(),
        )  # fmt: skip

    @property
    def out_shape(self) -> Shape:
        height, width, _ = self.in_shape
        return (-(-height // self.stride), -(-width // self.stride), self.out_channels)

    def ops(self) -> tuple[Op, ...]:
        expand = Conv("expand", INPUT, self.in_shape, self.mid_channels, groups=self.groups, activation=self.activation)
        ops: list[Op] = [expand]
        if self.groups > 1:
            ops.append(ChannelShuffle("shuffle", "expand", expand.out_shape, self.groups))
        depthwise = Conv(
            "depthwise", ops[-1].name, expand.out_shape, self.mid_channels, self.kernel, self.stride,
            groups=self.mid_channels, padding=self.padding, activation=self.activation,
        )  # fmt: skip
        project = Conv("project", "depthwise", depthwise.out_shape, self.out_channels, groups=self.groups)
        ops += [depthwise, project]
        if self.skip:
            ops.append(Add("add", INPUT, "project", project.out_shape))
        return tuple(ops)
