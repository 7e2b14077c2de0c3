"""The blocks of NAS-Bench-201 (Dong & Yang, ICLR 2020, section 2): cells for networks, their parts for tables.

A cell has 4 nodes and 6 edges, in the order 0>1, 0>2, 1>2, 0>3, 1>3, 2>3. Node 0 is the input, node 3 the
output; a node is the sum of its edges. An edge is dead when its source carries nothing or its end leads nowhere.
"""

from __future__ import annotations

import msgspec

from hwbench.errors import DataError
from hwbench.spaces.keys import Fields, shape_text
from hwbench.spaces.ops import (
    INPUT,
    Activate,
    Add,
    AveragePool,
    Conv,
    GlobalAveragePool,
    Linear,
    Op,
    Shape,
    Zeroize,
)

OPERATORS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NONE, SKIP, CONV_1, CONV_3, POOL_3 = range(5)


def alive(choices: tuple[int, ...]) -> tuple[bool, ...]:
    """Which of the 6 edges lie on a path from the input to the output."""
    fed = [True, False, False, False]
    for (source, end), choice in zip(EDGES, choices, strict=True):
        fed[end] |= choice != NONE and fed[source]
    used = [False, False, False, True]
    for (source, end), choice in reversed(list(zip(EDGES, choices, strict=True))):
        used[source] |= choice != NONE and used[end]
    return tuple(
        choice != NONE and fed[source] and used[end] for (source, end), choice in zip(EDGES, choices, strict=True)
    )


class Cell(msgspec.Struct, frozen=True, tag="nb201cell"):
    """A cell as a whole; dead edges are `none` in its key, since they are left out. Nothing alive: zeros."""

    in_shape: Shape
    choices: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.choices) != len(EDGES) or not all(0 <= choice < len(OPERATORS) for choice in self.choices):
            raise DataError(f"A NAS-Bench-201 cell has 6 choices of 0 to 4, not {self.choices}.")

    @property
    def key(self) -> str:
        living = (choice if lives else NONE for choice, lives in zip(self.choices, alive(self.choices), strict=True))
        return f"nb201cell-in:{shape_text(self.in_shape)}-edges:{''.join(str(choice) for choice in living)}"

    @classmethod
    def from_fields(cls, fields: Fields) -> Cell:
        return cls(fields.shape("in"), tuple(int(digit) for digit in fields.text("edges")))

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    def ops(self) -> tuple[Op, ...]:
        ops: list[Op] = []
        nodes: dict[int, str] = {0: INPUT}
        for (source, end), choice, lives in zip(EDGES, self.choices, alive(self.choices), strict=True):
            if not lives:
                continue
            edge = _edge(f"edge{source}{end}", nodes[source], self.in_shape, choice)
            ops += edge
            result = edge[-1].name if edge else nodes[source]
            if end in nodes:
                ops.append(Add(f"add{source}{end}", nodes[end], result, self.in_shape))
                result = ops[-1].name
            nodes[end] = result
        if 3 not in nodes:
            return (Zeroize("zero", INPUT, self.in_shape),)
        return tuple(ops)


def _edge(name: str, source: str, shape: Shape, choice: int) -> tuple[Op, ...]:
    if choice == SKIP:
        return ()
    if choice == POOL_3:
        return (AveragePool(name, source, shape, 3),)
    relu = Activate(f"{name}_relu", source, shape, "relu")
    return (relu, Conv(name, relu.name, shape, shape[2], 1 if choice == CONV_1 else 3))


class EdgeConv(msgspec.Struct, frozen=True, tag="nb201conv"):
    """ReLU, convolution, batch norm: one edge."""

    in_shape: Shape
    kernel: int

    @property
    def key(self) -> str:
        return f"nb201conv-in:{shape_text(self.in_shape)}-kernel:{self.kernel}"

    @classmethod
    def from_fields(cls, fields: Fields) -> EdgeConv:
        return cls(fields.shape("in"), fields.number("kernel"))

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    def ops(self) -> tuple[Op, ...]:
        relu = Activate("relu", INPUT, self.in_shape, "relu")
        return (relu, Conv("conv", "relu", self.in_shape, self.in_shape[2], self.kernel))


class EdgePool(msgspec.Struct, frozen=True, tag="nb201pool"):
    """Average pool 3x3: one edge."""

    in_shape: Shape

    @property
    def key(self) -> str:
        return f"nb201pool-in:{shape_text(self.in_shape)}"

    @classmethod
    def from_fields(cls, fields: Fields) -> EdgePool:
        return cls(fields.shape("in"))

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    def ops(self) -> tuple[Op, ...]:
        return (AveragePool("pool", INPUT, self.in_shape, 3),)


class NodeAdd(msgspec.Struct, frozen=True, tag="nb201add"):
    """The sum of two edges at a node, measured as the sum of a map with itself."""

    in_shape: Shape

    @property
    def key(self) -> str:
        return f"nb201add-in:{shape_text(self.in_shape)}"

    @classmethod
    def from_fields(cls, fields: Fields) -> NodeAdd:
        return cls(fields.shape("in"))

    @property
    def out_shape(self) -> Shape:
        return self.in_shape

    def ops(self) -> tuple[Op, ...]:
        return (Add("add", INPUT, INPUT, self.in_shape),)


class Reduction(msgspec.Struct, frozen=True, tag="nb201reduce"):
    """The residual block between stages: two 3x3 convolutions, the first of stride 2, beside pool and 1x1."""

    in_shape: Shape
    out_channels: int

    @property
    def key(self) -> str:
        return f"nb201reduce-in:{shape_text(self.in_shape)}-out:{shape_text(self.out_shape)}"

    @classmethod
    def from_fields(cls, fields: Fields) -> Reduction:
        return cls(fields.shape("in"), fields.shape("out")[2])

    @property
    def out_shape(self) -> Shape:
        height, width, _ = self.in_shape
        return (-(-height // 2), -(-width // 2), self.out_channels)

    def ops(self) -> tuple[Op, ...]:
        out = self.out_shape
        return (
            Activate("relu_a", INPUT, self.in_shape, "relu"),
            Conv("conv_a", "relu_a", self.in_shape, self.out_channels, 3, 2),
            Activate("relu_b", "conv_a", out, "relu"),
            Conv("conv_b", "relu_b", out, self.out_channels, 3),
            AveragePool("pool", INPUT, self.in_shape, 2, 2),
            Conv("shortcut", "pool", (*out[:2], self.in_shape[2]), self.out_channels, batch_norm=False),
            Add("add", "shortcut", "conv_b", out),
        )


class Tail(msgspec.Struct, frozen=True, tag="nb201tail"):
    """Batch norm, ReLU, global average pool, linear layer."""

    in_shape: Shape
    classes: int

    @property
    def key(self) -> str:
        return f"nb201tail-in:{shape_text(self.in_shape)}-out:{shape_text(self.out_shape)}"

    @classmethod
    def from_fields(cls, fields: Fields) -> Tail:
        return cls(fields.shape("in"), fields.shape("out")[2])

    @property
    def out_shape(self) -> Shape:
        return (1, 1, self.classes)

    def ops(self) -> tuple[Op, ...]:
        channels = self.in_shape[2]
        # A batch norm of its own is a depthwise 1x1 convolution: one factor and one offset per channel.
        norm = Conv("norm", INPUT, self.in_shape, channels, groups=channels, activation="relu")
        pool = GlobalAveragePool("pool", "norm", self.in_shape)
        return (norm, pool, Linear("linear", "pool", pool.out_shape, self.classes))
