"""The three anchors, in every launch: bound by matrix products, by memory traffic, and by the cost of a call."""

from __future__ import annotations

from hwbench.spaces.blocks import Block, ConvBlock, MBConv

ANCHORS: dict[str, Block] = {
    "anchor-gemm": ConvBlock((28, 28, 64), 128, 3),
    "anchor-memory": MBConv((112, 112, 32), 32, 32, 3, skip=True),
    "anchor-overhead": ConvBlock((4, 4, 8), 8, 1),
}
