"""The Once-for-all MobileNetV3 space (Cai et al., ICLR 2020, section 3.1).

Five stages of 2 to 4 blocks; each block has kernel 3, 5, 7 and expansion 3, 4, 6. A position past a stage's depth is
`zero`. A network with `zero` at the third place of a stage and a block at the fourth is the one of depth 3.

    ofa-w1.2-r224-c1000               width 1.2 at one resolution, as its published tables are
    ofa-w1.0-r160.192.224-c1000       the resolution is the first choice of an architecture
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hwbench.errors import DataError, UsageError
from hwbench.spaces.blocks import Block, ConvBlock, LinearBlock, MBConv, Pool
from hwbench.spaces.ops import Activation, Shape
from hwbench.spaces.space import Architectures, ChainSpace, NamedBlock, Position, ResolutionSpace, Space
from hwbench.spaces.widths import make_divisible

KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
STAGES = 5
SHALLOWEST, DEEPEST = 2, 4
ZERO = "zero"
DEFAULT = "ofa-w1.2-r224-c1000"

_STEM, _WIDTHS, _FINAL, _MIX = 16, (24, 40, 80, 112, 160), 960, 1280
_STRIDES = (2, 2, 2, 1, 2)
_SQUEEZE = (False, True, False, True, True)
_ACTIVATIONS: tuple[Activation, ...] = ("relu", "relu", "h-swish", "h-swish", "h-swish")
_NAME = re.compile(r"^ofa-w(\d\.\d{1,2})-r(\d{1,4}(?:\.\d{1,4})*)-c(\d{1,6})$")


class OfaChain(ChainSpace, frozen=True, dict=True):
    """The space at one resolution. `size` counts networks, and `sample` draws depths uniformly."""

    @cached_property
    def combinations(self) -> tuple[Architectures, ...]:
        """One per network: nothing comes after a stage's first `zero`."""
        blocks = len(KERNELS) * len(EXPANSIONS)
        always = np.arange(blocks, dtype=np.uint8)[:, None]
        both = itertools.product(range(blocks + 1), repeat=DEEPEST - SHALLOWEST)
        tail = np.array([choices for choices in both if list(choices) == _zeros_last(choices)], np.uint8)
        return (*[always] * SHALLOWEST, tail) * STAGES

    @property
    def size(self) -> int:
        per_block = len(KERNELS) * len(EXPANSIONS)
        return math.prod([sum(per_block**depth for depth in range(SHALLOWEST, DEEPEST + 1))] * STAGES)

    def sample(self, count: int, seed: int) -> Architectures:
        """`count` architectures: depth, kernel and expansion uniform and independent; shape (count, 20)."""
        rng = np.random.default_rng(seed)
        chosen = rng.integers(0, len(KERNELS) * len(EXPANSIONS), size=(count, STAGES, DEEPEST))
        depths = rng.integers(SHALLOWEST, DEEPEST + 1, size=(count, STAGES, 1))
        chosen[np.arange(DEEPEST) >= depths] = len(KERNELS) * len(EXPANSIONS)
        return chosen.reshape(count, -1).astype(np.uint8)


def build(width: float = 1.2, resolution: int = 224, classes: int = 1000) -> OfaChain:
    """The space of one width multiplier and input resolution."""
    widths = [make_divisible(width * one) for one in (_STEM, *_WIDTHS, _FINAL, _MIX)]
    stem_width, *stages, final_width, mix_width = widths
    stem = ConvBlock((resolution, resolution, 3), stem_width, 3, 2, activation="h-swish")
    first = MBConv(stem.out_shape, stem_width, stem_width, 3, skip=True, activation="relu")
    positions: list[Position] = []
    shape: Shape = first.out_shape
    for stage in range(STAGES):
        for index in range(DEEPEST):
            blocks: list[Block | None] = [
                _block(shape, stages[stage], kernel, expansion, stage, index)
                for kernel in KERNELS
                for expansion in EXPANSIONS
            ]
            labels = [f"k{kernel}e{expansion}" for kernel in KERNELS for expansion in EXPANSIONS]
            if index >= SHALLOWEST:
                blocks.append(None)
                labels.append(ZERO)
            positions.append(Position(f"stage{stage + 1}.{index}", tuple(labels), tuple(blocks)))
            shape = _block(shape, stages[stage], 3, 3, stage, index).out_shape
    final = ConvBlock(shape, final_width, 1, activation="h-swish")
    mix = ConvBlock((1, 1, final_width), mix_width, 1, activation="h-swish")
    return OfaChain(
        name_of(width, (resolution,), classes),
        (NamedBlock("stem", stem), NamedBlock("first", first)),
        tuple(positions),
        (
            NamedBlock("final", final),
            NamedBlock("pool", Pool(final.out_shape)),
            NamedBlock("mix", mix),
            NamedBlock("classifier", LinearBlock(mix_width, classes)),
        ),
    )


def _zeros_last(choices: Sequence[int]) -> list[int]:
    return sorted(choices, key=lambda choice: choice == len(KERNELS) * len(EXPANSIONS))


def _block(shape: Shape, width: int, kernel: int, expansion: int, stage: int, index: int) -> MBConv:
    stride = _STRIDES[stage] if index == 0 else 1
    mid = make_divisible(shape[2] * expansion)
    squeeze = squeeze_channels(mid) if _SQUEEZE[stage] else 0
    skip = stride == 1 and shape[2] == width
    return MBConv(shape, width, mid, kernel, stride, skip, activation=_ACTIVATIONS[stage], squeeze=squeeze)


def squeeze_channels(mid_channels: int) -> int:
    """Width of the squeeze of a block with squeeze-and-excite: a quarter."""
    return make_divisible(mid_channels // 4)


def architecture(kernels: Sequence[int], expansions: Sequence[int], depths: Sequence[int]) -> Architectures:
    """Choices from the published settings: 20 kernels, 20 expansions, 5 depths; shape (1, 20)."""
    if (len(kernels), len(expansions), len(depths)) != (STAGES * DEEPEST, STAGES * DEEPEST, STAGES):
        raise DataError("A Once-for-all architecture has 20 kernels, 20 expansions and 5 depths.")
    choices = []
    for number, (kernel, expansion) in enumerate(zip(kernels, expansions, strict=True)):
        depth = depths[number // DEEPEST]
        if kernel not in KERNELS or expansion not in EXPANSIONS or not SHALLOWEST <= depth <= DEEPEST:
            raise DataError(
                f"Block {number} of a Once-for-all architecture has kernel {kernel}, expansion {expansion}, "
                f"depth {depth}; known are {KERNELS}, {EXPANSIONS}, {SHALLOWEST} to {DEEPEST}."
            )
        choice = KERNELS.index(kernel) * len(EXPANSIONS) + EXPANSIONS.index(expansion)
        choices.append(choice if number % DEEPEST < depth else len(KERNELS) * len(EXPANSIONS))
    return np.array([choices], np.uint8)


def name_of(width: float, resolutions: Sequence[int], classes: int = 1000) -> str:
    return f"ofa-w{width}-r{'.'.join(map(str, resolutions))}-c{classes}"


def from_name(name: str) -> Space:
    """The space of that name. Raises UsageError."""
    match = _NAME.match(name)
    if match is None:
        raise UsageError(f"Space {name!r} cannot be read.", hint=f"An example of a name is {DEFAULT}.")
    width, classes = float(match[1]), int(match[3])
    resolutions = tuple(int(text) for text in match[2].split("."))
    if min(resolutions) < 1 or classes < 1 or width <= 0 or len(set(resolutions)) != len(resolutions):
        raise UsageError(f"Width, resolutions and classes of space {name!r} must be positive, and no resolution twice.")
    chains = tuple(build(width, resolution, classes) for resolution in resolutions)
    return chains[0] if len(chains) == 1 else ResolutionSpace(name_of(width, resolutions, classes), resolutions, chains)
