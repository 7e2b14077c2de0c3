"""The FBNet space (Wu et al., CVPR 2019, table 1): 22 searched positions of 9 choices.

`g2` in a label (`s2` in some of its names) means 2 groups with channel shuffle, not a stride. `skip` is the identity
where shapes agree, else a 1x1 convolution of the position's stride, as HW-NAS-Bench measured it.

    fbnet-imagenet-r224-c1000         stride-2 stem, second stage of stride 2
    fbnet-cifar-r32-c100              stride-1 stem and second stage: the form of the published latencies
    fbnet-cifar-r32-c100-w0.5         widths halved
"""

from __future__ import annotations

import re

from hwbench.errors import UsageError
from hwbench.spaces.blocks import Block, Classifier, ConvBlock
from hwbench.spaces.fbnet_blocks import FBNetBlock
from hwbench.spaces.ops import Shape
from hwbench.spaces.space import ChainSpace, NamedBlock, Position
from hwbench.spaces.widths import make_divisible

# Kernel, expansion, groups, in the order of the published architectures.
OPERATORS = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1))
LABELS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
DEFAULT = "fbnet-imagenet-r224-c1000"

_STEM, _MIX = 16, 1504
_WIDTHS = (16, 24, 32, 64, 112, 184, 352)
_DEPTHS = (1, 4, 4, 4, 4, 4, 1)
_STRIDES = {"imagenet": (1, 2, 2, 2, 1, 2, 1), "cifar": (1, 1, 2, 2, 1, 2, 1)}
_STEM_STRIDES = {"imagenet": 2, "cifar": 1}
_NAME = re.compile(r"^fbnet-(imagenet|cifar)-r(\d{1,4})-c(\d{1,6})(?:-w(\d\.\d{1,2}))?$")


def build(form: str = "imagenet", resolution: int = 224, classes: int = 1000, width: float = 1.0) -> ChainSpace:
    """The space in one of its two forms; `width` multiplies every width."""
    stem = ConvBlock(
        (resolution, resolution, 3), make_divisible(_STEM * width), 3, _STEM_STRIDES[form], activation="relu"
    )
    positions: list[Position] = []
    shape: Shape = stem.out_shape
    for stage, (base, depth, stride) in enumerate(zip(_WIDTHS, _DEPTHS, _STRIDES[form], strict=True)):
        for index in range(depth):
            position = _position(
                f"stage{stage + 1}.{index}", shape, make_divisible(base * width), stride if index == 0 else 1
            )
            positions.append(position)
            first = position.blocks[0]
            assert first is not None
            shape = first.out_shape
    mix = ConvBlock(shape, make_divisible(_MIX * width), 1, activation="relu")
    suffix = "" if width == 1.0 else f"-w{width}"
    return ChainSpace(
        f"fbnet-{form}-r{resolution}-c{classes}{suffix}",
        (NamedBlock("stem", stem),),
        tuple(positions),
        (NamedBlock("mix", mix), NamedBlock("classifier", Classifier(mix.out_shape, classes))),
    )


def _position(name: str, shape: Shape, width: int, stride: int) -> Position:
    same = stride == 1 and shape[2] == width
    blocks: list[Block | None] = [
        FBNetBlock(shape, width, shape[2] * expansion, kernel, stride, groups, same)
        for kernel, expansion, groups in OPERATORS
    ]
    blocks.append(None if same else ConvBlock(shape, width, 1, stride, activation="relu"))
    return Position(name, LABELS, tuple(blocks))


def from_name(name: str) -> ChainSpace:
    """The space of that name. Raises UsageError."""
    match = _NAME.match(name)
    if match is None:
        raise UsageError(f"Space {name!r} cannot be read.", hint=f"An example of a name is {DEFAULT}.")
    form, resolution, classes, width = match[1], int(match[2]), int(match[3]), float(match[4] or 1.0)
    if min(resolution, classes) < 1 or width <= 0:
        raise UsageError(f"Resolution, classes and width of space {name!r} must be positive.")
    return build(form, resolution, classes, width)
