"""Blocks in the words of a person: operator, kernel, expansion, and where in a space they stand."""

from __future__ import annotations

import msgspec

from hwbench.spaces.blocks import Block, ConvBlock, MBConv
from hwbench.spaces.cells import EdgeConv
from hwbench.spaces.fbnet_blocks import FBNetBlock
from hwbench.spaces.keys import shape_text
from hwbench.spaces.ops import Shape
from hwbench.spaces.space import ResolutionSpace, Space


class BlockWords(msgspec.Struct, frozen=True):
    """`expand` is the ratio of the widest channels to the input's; None, as `kernel`, where there is no such thing."""

    operator: str
    kernel: int | None
    expand: float | None
    in_shape: Shape
    out_shape: Shape

    @property
    def text(self) -> str:
        """E.g. `MBConv 7x7, expand 6, 14x14x80 to 14x14x80`."""
        kernel = "" if self.kernel is None else f" {self.kernel}x{self.kernel}"
        expand = "" if self.expand is None else f", expand {self.expand:g}"
        return f"{self.operator}{kernel}{expand}, {shape_text(self.in_shape)} to {shape_text(self.out_shape)}"


def words(block: Block) -> BlockWords:
    """What a block is."""
    operator, kernel, expand = _operator(block)
    return BlockWords(operator, kernel, expand, block.in_shape, block.out_shape)


def places(space: Space) -> dict[str, tuple[str, ...]]:
    """By block key, the names of the fixed blocks and searched positions that it stands at."""
    found: dict[str, list[str]] = {}
    if isinstance(space, ResolutionSpace):
        for resolution, chain in zip(space.resolutions, space.chains, strict=True):
            for named in chain.fixed_blocks:
                found.setdefault(named.block.key, []).append(f"r{resolution} {named.name}")
    for named in space.fixed_blocks:
        found.setdefault(named.block.key, []).append(named.name)
    for position in space.grid:
        for block in position.blocks:
            if block is not None:
                found.setdefault(block.key, []).append(position.name)
    return {key: tuple(dict.fromkeys(names)) for key, names in found.items()}


def _operator(block: Block) -> tuple[str, int | None, float | None]:
    match block:
        case MBConv() | FBNetBlock():
            name = "MBConv" if isinstance(block, MBConv) else "FBNet block"
            if isinstance(block, MBConv) and block.squeeze:
                name += " with squeeze-and-excite"
            return name, block.kernel, block.mid_channels / block.in_shape[2]
        case ConvBlock() | EdgeConv():
            return "convolution", block.kernel, None
        case _:
            return block.key.split("-")[0], None, None
